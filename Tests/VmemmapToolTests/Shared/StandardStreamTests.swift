import Glibc
import Testing

@Suite("Standard streams")
struct StandardStreamTests {
    /// A pipe whose reader has gone, as descriptor 3.
    private static let closedPipe = "mkfifo pipe; (exec < pipe) & exec 3> pipe; wait; "
    /// A script with a line that is not as expected.
    private static let violation = "printf 'boot memory=16M\\nmeminfo\\nexpect HugePages_Total 2M 1\\n' > script; "

    @Test("A standard output that is open for reading only is the caller's fault, and told as that")
    func readOnly() async throws {
        for command in ["plan", "plan --export-json -", "--help"] {
            let outcome = try await Command.shell("\"$0\" \(command) 1< /dev/null")
            #expect(outcome.code == 3, "\(command): \(outcome)")
            #expect(outcome.error.contains("it has to be open for writing") && !outcome.error.contains("report it"))
        }
    }

    @Test(
        "Where a stream is closed, the run and its export are as ever",
        arguments: ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
    func closed(_ streams: String) async throws {
        let outcome = try await Command.shell(
            """
            "$0" demo --pages 4 --backing memfd --export-json json \(streams); echo $?
            head -c 1 json; tail -c 2 json; ls
            """)
        #expect(outcome.output.hasSuffix("0\n{}\njson\n"), "\(outcome)")
    }

    @Test("A script on a standard input that is closed is no empty script", arguments: ["", "-", "/dev/stdin"])
    func closedScript(_ name: String) async throws {
        let outcome = try await Command.shell(
            """
            "$0" pool \(name) <&-; echo $?; "$0" pool \(name) < /dev/null; echo $?
            """)
        #expect(outcome.output == "64\n0\n", "\(outcome)")
        #expect(
            outcome.error
                == "vmemmap: cannot read standard input: it is closed; give a script that may be read, "
                + "or - for standard input\n")
    }

    @Test("A signal of a crash that somebody sends ends the command, however crashes are to be shown")
    func sentCrash() async throws {
        let outcome = try await Command.shell(
            """
            export SWIFT_BACKTRACE=enable=yes; ulimit -c 0; mkfifo json
            for signal in ABRT BUS SEGV; do
                "$0" hold --pages 1 --export-json - > json & read -r line < json; kill -$signal $!; wait $!; echo $?
            done
            """)
        #expect(outcome.output == "134\n135\n139\n", "\(outcome)")
        #expect(!outcome.error.contains("Program crashed"), "\(outcome)")
    }

    @Test("An export to a pipe that nobody reads yet says that it waits, and can be interrupted")
    func pipeWithoutReader() async throws {
        let outcome = try await Command.shell(
            """
            mkfifo pipe told
            wait_for_line() { read -r line < told; echo "${line#vmemmap: }"; }
            "$0" plan -q --export-json pipe 2> told & wait_for_line; head -c 1 pipe; echo; wait $!; echo $?
            "$0" plan -q --export-json pipe 2> told & wait_for_line; kill -TERM $!; wait $!; echo $?
            """)
        let line = "waiting until somebody reads the pipe pipe"
        #expect(outcome.output == "\(line)\n{\n0\n\(line)\n143\n", "\(outcome)")
    }

    @Test("An export to a standard output that is closed is refused", arguments: ["-", "/dev/stdout"])
    func exportToClosed(_ name: String) async throws {
        let outcome = try await Command.shell("\"$0\" plan --export-json \(name) >&-; echo $?")
        #expect(outcome.output == "64\n", "\(outcome)")
        #expect(outcome.error.contains("cannot write the export \(name): standard output is closed"))
    }

    @Test(
        "Where there is no /dev/null for a closed stream, nothing is run",
        .enabled("needs a mount namespace of its own (root)") {
            try await Command.shell("unshare -m true").code == 0
        })
    func noNull() async throws {
        let outcome = try await Command.shell(
            """
            unshare -m bash -c 'mount --make-rprivate /; mount -t tmpfs tmpfs /dev; "$0" plan; echo $?; "$0" plan \
            <&-; echo $?' \
            "$0" | tail -n 2
            """)
        #expect(outcome.output == "0\n4\n", "\(outcome)")
        #expect(
            outcome.error.contains(
                "a standard stream is closed, and nothing can be opened in its place: open of /dev/null"))
    }

    @Test("A reader that goes away changes neither the run nor its exit code, and the export is written")
    func closedPipe() async throws {
        let outcome = try await Command.shell(
            Self.closedPipe + """
                "$0" demo --pages 4 --export-json json >&3; echo $?
                "$0" stress --duration 200ms --report-every 50ms --pages 16 --walkers 1 --export-csv csv >&3; echo $?
                "$0" demo --pages 4 --export-json - >&3; echo $?
                "$0" --help >&3; echo $?
                head -c 1 json; tail -c 2 json; tail -c 1 csv
                """)
        #expect(outcome.output == "0\n0\n0\n0\n{}\n\n", "\(outcome)")
        #expect(outcome.error.isEmpty, "\(outcome)")
    }

    @Test("A violation outranks what could not be written", arguments: ["3", "/dev/full"])
    func violation(_ place: String) async throws {
        let outcome = try await Command.shell(
            Self.closedPipe + Self.violation + """
                "$0" pool script --export-json json >\(place == "3" ? "&3" : place); echo $?; tail -c 2 json
                """)
        #expect(outcome.output == "2\n}\n", "\(outcome)")
        #expect(outcome.error.contains("script:3: HugePages_Total is 0, not as expected: 1"))
    }

    @Test("A report that cannot be printed is an error, said once, and the export is written")
    func fullDevice() async throws {
        let outcome = try await Command.shell(
            """
            "$0" stress --duration 200ms --report-every 50ms --pages 16 --walkers 1 --export-json json > /dev/full; \
            echo $?
            "$0" --version > /dev/full; echo $?
            head -c 1 json; tail -c 2 json
            """)
        #expect(outcome.output == "3\n3\n{}\n", "\(outcome)")
        let line = "vmemmap: cannot print the report: write of standard output: No space left on device (errno 28)\n"
        #expect(outcome.error == line + line)
    }

    @Test("A pipe that takes no more of an export is an error; what else there is to write is written")
    func brokenExport() async throws {
        let outcome = try await Command.shell(
            """
            mkfifo other report; exec 4<> other
            "$0" stress --duration 500ms --pages 16 --walkers 1 --export-json other --export-csv csv > report 4<&- &
            exec 3< report; read -r line <&3; exec 4<&-; tail -n 1 <&3; wait $!; echo $?; ls
            """)
        #expect(
            outcome.output.contains(" checks passed") && outcome.output.hasSuffix("\n3\ncsv\nother\nreport\n"),
            "\(outcome)")
        #expect(outcome.error.contains("cannot write the export other: write of other: Broken pipe"))
    }

    @Test(
        "Without /proc no command passes by printing the help", .enabled(if: geteuid() == 0, "only root hides /proc"),
        arguments: ["plan --memory 1G", "stress --duration 100ms", "--nonsense"])
    func noProc(_ words: String) async throws {
        let outcome = try await Command.shell(
            """
            unshare -m bash -c 'mount --make-rprivate /; mount -t tmpfs t /proc && "$0" \(words)' "$0"; echo $?
            """)
        #expect(outcome.output == "4\n", "\(outcome)")
        #expect(outcome.error.split(separator: "\n").count == 1, "\(outcome)")
    }

    @Test("The limit on the size of files (ulimit -f) is said, where it ends a run or an export")
    func fileSizeLimit() async throws {
        let outcome = try await Command.shell(
            """
            (ulimit -f 0; exec "$0" demo --pages 4 2>&1) | cat; echo ${PIPESTATUS[0]}
            (ulimit -f 0; exec "$0" plan -q --export-json json 2>&1) | cat; echo ${PIPESTATUS[0]}; ls
            """)
        let lines = outcome.output.split(separator: "\n")
        try #require(lines.count == 4, "\(outcome)")
        #expect(lines[0].contains("File too large (errno 27); take fewer huge pages or raise the limit (ulimit -f)"))
        #expect(lines[2] == "vmemmap: cannot write the export json: write of json: File too large (errno 27)")
        #expect(lines[1] == "3" && lines[3] == "3")
    }
}
