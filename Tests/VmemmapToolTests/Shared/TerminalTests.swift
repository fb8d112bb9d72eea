import Foundation
import SystemPackage
import Testing

@Suite("The terminal")
struct TerminalTests {
    @Test("Quiet prints nothing, and the exit code tells; quiet and verbose exclude each other")
    func quiet() async throws {
        let outcome = try await Command.run(["demo", "--pages", "2", "--quiet"])
        #expect(outcome.code == 0)
        #expect(outcome.output.isEmpty && outcome.error.isEmpty)
        let refused = try await Command.run(["plan", "-q", "-v"])
        #expect(refused.code == 64)
        #expect(refused.error.contains("--quiet and --verbose exclude each other"))
    }

    @Test("Colour is there when asked for, and not in a pipe otherwise")
    func color() async throws {
        let colored = try await Command.run(
            "/usr/bin/env", ["NO_COLOR=1", Command.binary.string, "plan", "--color", "always"])
        #expect(colored.output.contains("\u{1b}["))
        let plain = try await Command.run(["plan"])
        #expect(!plain.output.contains("\u{1b}"))
        #expect(try await Command.run(["plan", "--color", "some"]).code == 64)
    }

    @Test(
        "Every report fits the columns there are, and one screen where they are 80 or more",
        arguments: [
            ["demo", "--pages", "8"], ["demo", "--pages", "8", "--race", "--race-duration", "1"], ["plan"],
            ["savings", "--memory", "16M"], ["inspect", "--pages", "8"], ["kernel"],
            ["bench", "--pages", "16", "--pairs", "1", "--walkers", "1"],
            ["stress", "--duration", "1s", "--pages", "32", "--walkers", "1", "--report-every", "300ms"],
        ])
    func fits(_ arguments: [String]) async throws {
        for columns in [120, 80, 60, 40] {
            let outcome = try await Command.run(
                "/usr/bin/env", ["COLUMNS=\(columns)", Command.binary.string] + arguments)
            let longest = outcome.output.split(separator: "\n").map(\.count).max()
            #expect(try #require(longest) <= columns, "\(outcome.output)")
            if columns < 80 { continue }
            let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count <= 51, "\(outcome.output)")
        }
    }

    @Test(
        "On a terminal of 40 columns no line of any command is wider, told in full, too",
        .enabled(if: hasScript, "there is no script(1) of util-linux"),
        arguments: [
            "plan --arch all", "plan -v --cover-letter", "plan 400G@2M 64G@1G --of 512G -v",
            "savings --pages 8 --nodes 2", "savings --pages 8 -v", "inspect --pages 8 -v", "demo --pages 8 -v",
            "demo --pages 8 --step", "demo --pages 8 --race gap --race-duration 1", "kernel -v",
            "bench --pages 16 --pairs 1 --walkers 1 --histograms -v", "bench --pages 16 --pairs 1 --readers",
            "stress --duration 1s --pages 32 --scheme all --backing all -v", "hold --pages 8",
            "pool script", "pool --random 3 --seed 1",
        ] + ([""] + commands).map { "\($0) --help" })
    func narrow(_ line: String) async throws {
        let outcome = try await Command.shell(
            """
            printf 'boot memory=4G hugepages=30 hugetlb_free_vmemmap=on\nnr_hugepages 2M 5\nalloc 2M 2\n' > script
            for key in 1 2 3 4 5; do echo; done > keys
            script -qec "stty cols 40; '$0' \(line)" out < keys > /dev/null; code=$?
            grep -av '^Script ' out | tr -d '\r'; exit $code
            """)
        // A line of progress takes itself away.
        let lines = outcome.output.split(separator: "\n").map { $0.split(separator: "\u{1b}[K").last ?? "" }
            .map { $0.replacing(/\u{1b}\[[0-9;]*m/, with: "") }
        #expect(!lines.isEmpty)
        // A host that has not, or may not, what is asked for says so.
        let isRefused = [3, 4].contains(outcome.code) && outcome.output.contains("vmemmap: ")
        #expect(outcome.code == 0 || isRefused, "\(outcome)")
        // A path or a list of words for a script is one word: it is copied.
        for line in lines where line.contains(/\S +\S/) { #expect(line.count <= 40, "\(line)") }
    }

    private static let hasScript = FileManager.default.isExecutableFile(atPath: "/usr/bin/script")
    private static let commands = [
        "demo", "hold", "inspect", "pool", "savings", "plan", "bench", "kernel", "stress", "compare",
    ]

    @Test(
        "On a terminal errors are broken between words, whoever finds them; in a pipe a line stays one",
        .enabled(if: hasScript, "there is no script(1) of util-linux"),
        arguments: [
            "compare /nonexistent /dev/null", "compare old new --fail-above 9999999", "demo --pages 999999999",
        ])
    func errors(_ line: String) async throws {
        let outcome = try await Command.shell(
            """
            script -qec "stty cols 50; '$0' \(line)" out < /dev/null > /dev/null; grep -v '^Script ' out
            "$0" \(line)
            """)
        let lines = outcome.output.split(whereSeparator: \.isNewline)
        #expect(lines.count > 1 && lines.allSatisfy { $0.count <= 50 }, "\(outcome)")
        func words(_ text: String) -> [Substring] { text.split(whereSeparator: \.isWhitespace) }
        // What is free may differ from one to the next.
        #expect(words(outcome.output).prefix(9) == words(outcome.error).prefix(9), "\(outcome)")
        #expect(outcome.error.split(separator: "\n").contains { $0.count > 50 }, "\(outcome)")
    }

    @Test("Completions are generated for each shell, for every subcommand", arguments: ["bash", "zsh", "fish"])
    func completions(_ shell: String) async throws {
        let outcome = try await Command.run(["--generate-completion-script", shell])
        #expect(outcome.code == 0)
        for command in ["demo", "hold", "inspect", "plan", "savings", "pool", "bench"] {
            #expect(outcome.output.contains(command))
        }
    }
}

@Suite("scripts/install")
struct InstallScriptTests {
    private func run(_ arguments: [String]) async throws -> Command.Outcome {
        try await Command.run("/bin/bash", [Command.repository + "/scripts/install"] + arguments)
    }

    @Test("It says how it is called, and refuses what it does not know")
    func usage() async throws {
        let help = try await run(["--help"])
        #expect(help.code == 0)
        #expect(help.output.contains("scripts/install [--prefix DIR] [--uninstall]"))
        let unknown = try await run(["--frobnicate"])
        #expect(unknown.code == 64)
        #expect(unknown.error.contains("unknown argument '--frobnicate'"))
        #expect(try await run(["--prefix"]).code == 64)
    }

    @Test("Uninstalling takes its own files and no others")
    func uninstall() async throws {
        let folder = try TemporaryFolder()
        let files = ["bin/vmemmap", "bin/other", "share/man/man1/vmemmap.1", "share/man/man1/vmemmap.demo.1"]
        for file in files {
            let path = folder.path(file)
            _ = try await Command.run("/usr/bin/install", ["-D", "/dev/null", path])
        }
        let outcome = try await run(["--uninstall", "--prefix", folder.path.string])
        #expect(outcome.code == 0, "\(outcome)")
        let left = try await Command.run("/usr/bin/find", [folder.path.string, "-type", "f"])
        #expect(left.output == folder.path("bin/other") + "\n")
    }
}
