import Glibc
import SystemPackage
import Testing

/// A checkout with the scripts in it, and a PATH of programs that say and do what a test wants.
private struct Checkout {
    let folder: TemporaryFolder

    /// What prepare.sh and check-readme take for granted.
    private static let tools = [
        "awk", "bash", "cat", "chmod", "cksum", "cut", "dirname", "env", "find", "git", "head", "ln", "mkdir", "mktemp",
        "realpath", "rm", "sed", "tar", "touch",
    ]

    init(without absent: [String] = []) async throws {
        folder = try TemporaryFolder()
        let tools = Self.tools.filter { !absent.contains($0) }.joined(separator: " ")
        let outcome = try await Command.run(
            "/bin/bash",
            [
                "-c",
                """
                set -e; cd "$1"; mkdir bin home scripts toolchain toolchain/bin
                mkdir -p toolchain/lib/swift
                for tool in \(tools); do ln -s "$(command -v "$tool")" bin/; done
                cp "$2"/scripts/{prepare.sh,check-readme} scripts/
                """, "bash", folder.path.string, Command.repository,
            ])
        #expect(outcome.code == 0, "\(outcome)")
        try program("scripts/try", ". \"${0%/*}/prepare.sh\"; echo prepared")
        try program("bin/uname", "echo Linux")
        try program("bin/id", "echo 1000")
        try swift("Swift version 6.3.1 (swift-6.3.1-RELEASE)")
        try clang(finds: ["ld", "Scrt1.o", "crtbeginS.o", "libstdc++.so"])
        try folder.write("ID=debian\n", to: "os-release")
    }

    /// A program that runs `body` in Bash.
    func program(_ name: String, _ body: String) throws {
        try folder.write("#!/bin/bash\nset -euo pipefail\n\(body)\n", to: name)
        // SAFETY: the path lives for the call.
        let result = unsafe folder.path.appending(name).withPlatformString { unsafe chmod($0, 0o755) }
        try #require(result == 0)
    }

    /// A swift that says `version` and ends with `code`.
    func swift(_ version: String, code: Int = 0) throws {
        let info = #"{ "paths": { "runtimeResourcePath": "\#(folder.path("toolchain/lib/swift"))" } }"#
        try program(
            "bin/swift",
            """
            case "$1" in
                --version) echo '\(version)'; exit \(code) ;;
                -print-target-info) echo '\(info)' ;;
            esac
            """)
    }

    /// The toolchain's clang; what it does not find it answers with the bare name.
    func clang(finds names: [String]) throws {
        let found = names.map { "    *=\($0)) echo /dev/null ;;" }.joined(separator: "\n")
        try program("toolchain/bin/clang", "case \"$1\" in\n\(found)\n    *) echo \"${1#*=}\" ;;\nesac")
    }

    /// Runs a script with nothing but `bin` on its PATH.
    func run(_ line: String = "scripts/try") async throws -> Command.Outcome {
        try await Command.run(
            "/usr/bin/env",
            [
                "-i", "-C", folder.path.string, "PATH=\(folder.path("bin"))", "HOME=\(folder.path("home"))",
                "TMPDIR=\(folder.path.string)", "VMEMMAP_OS_RELEASE=\(folder.path("os-release"))",
                "bash", "-c", line,
            ])
    }
}

@Suite("What the scripts need, and say if it is not there")
struct PrepareTests {
    @Test("With everything there, a script goes on")
    func complete() async throws {
        let outcome = try await Checkout().run()
        #expect(outcome.code == 0 && outcome.output == "prepared\n" && outcome.error.isEmpty, "\(outcome)")
    }

    @Test("A swift that cannot start is told, with what it says itself")
    func brokenSwift() async throws {
        let checkout = try await Checkout()
        try checkout.program("bin/swift", "echo 'swift: libncurses.so.6: cannot open shared object file' >&2; exit 127")
        let outcome = try await checkout.run()
        #expect(outcome.code == 1, "\(outcome)")
        #expect(outcome.error.contains("/bin/swift does not start (exit code 127):"), "\(outcome)")
        #expect(outcome.error.contains("libncurses.so.6: cannot open"), "\(outcome)")
    }

    @Test("No swift at all is told")
    func noSwift() async throws {
        let checkout = try await Checkout()
        let outcome = try await checkout.run("rm bin/swift; exec scripts/try")
        #expect(outcome.code == 1 && outcome.error.contains("no swift on PATH"), "\(outcome)")
    }

    @Test(
        "Versions from 6.2 on are new enough", arguments: ["6.2", "6.2.1", "6.3-dev", "6.10", "7.0", "10.1", "6.02"])
    func newEnough(_ version: String) async throws {
        let checkout = try await Checkout()
        try checkout.swift("swift-driver version: 1.148\nSwift version \(version) (swift-RELEASE)")
        #expect(try await checkout.run().code == 0)
    }

    @Test("Older versions are not", arguments: ["2.2", "5.10.1", "6.0", "6.1.3", "0.9", "6.01"])
    func tooOld(_ version: String) async throws {
        let checkout = try await Checkout()
        try checkout.swift("Swift version \(version) (swift-RELEASE)")
        let outcome = try await checkout.run()
        #expect(outcome.code == 1 && outcome.error.contains("is too old: 6.2 or later is needed"), "\(outcome)")
    }

    @Test(
        "A version that cannot be read is no version",
        arguments: ["", "OpenStack Object Storage 2.33", "Swift version", "Swift version six", "Swift version 6"])
    func unreadable(_ said: String) async throws {
        let checkout = try await Checkout()
        try checkout.swift(said)
        let outcome = try await checkout.run()
        #expect(outcome.code == 1 && outcome.error.contains("cannot tell the version of "), "\(outcome)")
        #expect(outcome.error.contains(said))
    }

    @Test(
        "What is missing is named, with the command of the distribution",
        arguments: [
            ("ID=ubuntu\nID_LIKE=debian\n", "apt-get", "sudo apt-get update && sudo apt-get install --yes", "g++"),
            ("ID=debian\n", "apt-get", "sudo apt-get update && sudo apt-get install --yes", "g++"),
            ("ID=fedora\n", "dnf", "sudo dnf install", "gcc-c++"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf", "sudo dnf install", "gcc-c++"),
            ("ID=arch\n", "pacman", "sudo pacman -S --needed", "gcc"),
        ])
    func missing(_ release: String, _ manager: String, _ command: String, _ compiler: String) async throws {
        let checkout = try await Checkout(without: ["git"])
        try checkout.folder.write(release, to: "os-release")
        for name in ["apt-get", "dnf", "pacman"] { try checkout.program("bin/\(name)", "exit 0") }
        let library = command.contains("apt-get") ? "libc6-dev" : manager == "dnf" ? "glibc-devel" : "glibc"
        try checkout.clang(finds: [])
        let all = try await checkout.run()
        #expect(all.code == 1 && all.output.isEmpty, "\(all)")
        #expect(
            all.error == """
                missing: git, a linker (ld), the C library's headers and start files (Scrt1.o), the C++ library \
                (libstdc++.so, crtbeginS.o). Run: \(command) git binutils \(library) \(compiler)

                """)
        try checkout.clang(finds: ["ld", "Scrt1.o", "crtbeginS.o"])
        let some = try await checkout.run()
        #expect(some.error.hasSuffix(" Run: \(command) git \(compiler)\n"), "\(some)")
    }

    @Test("Of any other distribution the list alone is told", arguments: ["ID=void\n", "ID=fedora\n", "", nil])
    func otherDistribution(_ release: String?) async throws {
        let checkout = try await Checkout()
        if let release { try checkout.folder.write(release, to: "os-release") }
        try checkout.clang(finds: ["Scrt1.o", "crtbeginS.o", "libstdc++.so"])
        let line = release == nil ? "rm os-release; exec scripts/try" : "exec scripts/try"
        let outcome = try await checkout.run(line)
        #expect(outcome.code == 1, "\(outcome)")
        #expect(
            outcome.error
                == "missing: a linker (ld). Install them with your distribution's package manager.\n", "\(outcome)")
    }

    @Test("Root's are installed where there is apt-get; what that says is told if it fails")
    func root() async throws {
        let checkout = try await Checkout()
        try checkout.program("bin/id", "echo 0")
        try checkout.clang(finds: ["ld", "Scrt1.o"])
        try checkout.program("bin/apt-get", "echo \"apt-get $*\"")
        let installed = try await checkout.run()
        #expect(installed.code == 0 && installed.output == "prepared\n", "\(installed)")
        #expect(installed.error == "installing g++\napt-get update\napt-get install --yes g++\n")
        try checkout.program("bin/apt-get", "echo 'E: no such package' >&2; exit 100")
        let failed = try await checkout.run()
        #expect(failed.code == 1 && failed.output.isEmpty, "\(failed)")
        #expect(failed.error.contains("E: no such package") && failed.error.contains("This failed: apt-get install"))
    }

    @Test("A checkout that may only be read is left as it is: what is built and written is in a copy, which follows it")
    func readOnly() async throws {
        let (checkout, place) = (try await Checkout(), try TemporaryFolder())
        try checkout.program(
            "scripts/try",
            """
            . "${0%/*}/prepare.sh"
            mkdir -p .build; echo x >>.build/made; touch Package.resolved
            echo $PWD; echo *; echo $(<.build/made)
            """)
        // Root may write anywhere.
        let user = geteuid() == 0 ? "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups" : ""
        let line = """
            set -e; chmod 777 '\(place.path)'; export TMPDIR='\(place.path)' HOME=/nonexistent
            chmod -R go+rX,a-w .; \(user) scripts/try
            chmod u+w .; rm os-release; chmod u-w .; \(user) scripts/try; chmod -R u+w .
            """
        let before = try checkout.folder.contents()
        let outcome = try await checkout.run(line)
        #expect(outcome.code == 0 && outcome.error.isEmpty, "\(outcome)")
        let lines = outcome.output.split(separator: "\n").map(String.init)
        let copy = try #require(lines.first)
        #expect(copy.hasPrefix("\(place.path)/vmemmap-emulator-1000/copy-"))
        #expect(
            lines == [
                copy, "Package.resolved bin home os-release scripts toolchain", "x",
                copy, "Package.resolved bin home scripts toolchain", "x x",
            ])
        #expect(try checkout.folder.contents() == before.filter { $0 != "os-release" })
    }

    @Test("A link where the private folder would be changes nothing of where it leads to")
    func privatePlace() async throws {
        let checkout = try await Checkout()
        let line = """
            mkdir -m 755 mine; ln -s "$PWD/mine" vmemmap-emulator-1000
            HOME=/nonexistent scripts/try; code=$?; [ -z "$(find mine -perm 700)" ] && exit $code
            """
        let outcome = try await checkout.run(line)
        #expect(outcome.code == 1 && outcome.error.contains("belongs to somebody else"), "\(outcome)")
    }
}

@Suite("The check of the README's commands")
struct CheckReadmeTests {
    private static func checkout(_ commands: String) async throws -> Checkout {
        let checkout = try await Checkout()
        let articles = "Sources/VmemmapEmulator/Documentation.docc"
        _ = try await checkout.run("mkdir -p \(articles) .build/release")
        try checkout.program(".build/release/vmemmap", "echo \"$*\"")
        try checkout.folder.write("Words.\n```sh\n\(commands)\n```\n", to: "README.md")
        try checkout.folder.write("No commands.\n", to: "\(articles)/Article.md")
        return checkout
    }

    @Test("What the commands write is no file of the checkout's, and nothing is left of it")
    func leavesNothing() async throws {
        let checkout = try await Self.checkout("vmemmap demo > demo.html  # A page")
        try checkout.folder.write("mine", to: "demo.html")
        let before = try checkout.folder.contents()
        let outcome = try await checkout.run("scripts/check-readme")
        #expect(outcome.code == 0 && outcome.output == "ok    vmemmap demo > demo.html\n", "\(outcome)")
        #expect(try checkout.folder.contents() == before)
        #expect(try Repository.text(of: checkout.folder.path("demo.html")) == "mine")
    }

    @Test("No file with a name that can be guessed is written through")
    func guessedName() async throws {
        let checkout = try await Self.checkout("vmemmap plan")
        try checkout.folder.write("mine", to: "victim")
        // The number of the shell that becomes the script.
        let line = "ln -s \"$PWD/victim\" /tmp/check-readme-$$; echo $$ > number; exec scripts/check-readme"
        let outcome = try await checkout.run(line)
        _ = try await checkout.run("rm /tmp/check-readme-$(cat number)")
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try Repository.text(of: checkout.folder.path("victim")) == "mine")
    }

    @Test("A command that fails is told, with what it says")
    func fails() async throws {
        let checkout = try await Self.checkout("echo fine\necho out of cheese >&2; false")
        let outcome = try await checkout.run("scripts/check-readme")
        #expect(outcome.code == 1, "\(outcome)")
        #expect(outcome.output == "ok    echo fine\nFAIL  echo out of cheese >&2; false\nout of cheese\n")
    }

    /// A checkout whose README shows what a command prints; the command prints its arguments and three lines.
    private static func checkout(shown: String) async throws -> Checkout {
        let checkout = try await checkout("true")
        try checkout.program(".build/release/vmemmap", #"printf '%s\n' "$*" first '  12 pages,  1 024 KiB' last"#)
        try checkout.folder.write("```console\n\(shown)\n```\n", to: "README.md")
        return checkout
    }

    @Test(
        "What a block of console shows may leave lines out and have other numbers and units",
        arguments: [
            "$ vmemmap plan\nfirst\n7 pages, 3 MiB\n...\nlast", "$ vmemmap plan\n...\nplan\n\nlast",
            "$ vmemmap plan",
        ])
    func shown(_ text: String) async throws {
        let outcome = try await Self.checkout(shown: text).run("scripts/check-readme")
        #expect(outcome.code == 0 && outcome.output == "ok    vmemmap plan\n", "\(outcome)")
    }

    @Test(
        "A line that is shown and not printed is told, and one in the wrong place",
        arguments: [
            ("$ vmemmap plan\nfirst\nlost", "lost"), ("$ vmemmap plan\n7 pages, 3 MiB\nfirst", "first"),
            ("$ vmemmap plan\n7 bytes", "7 bytes"),
        ])
    func notPrinted(_ text: String, _ line: String) async throws {
        let outcome = try await Self.checkout(shown: text).run("scripts/check-readme")
        let expected = "FAIL  vmemmap plan\nnot in its output, or not in this place: \(line)\n"
        #expect(outcome.code == 1 && outcome.output == expected, "\(outcome)")
    }

    @Test("A command after root's prompt is left out for others")
    func rootsPrompt() async throws {
        let outcome = try await Self.checkout(shown: "# vmemmap plan\nlost").run("scripts/check-readme")
        #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome)")
    }
}
