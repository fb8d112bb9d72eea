import Glibc
import HostMemory
import SystemPackage
import Testing

@Suite("vmemmap demo")
struct DemoCommandTests {
    @Test(
        "Every check passes, and the command exits with 0",
        arguments: [["--pages", "16"], ["--pages", "1", "--page-size", "1G"]])
    func holds(_ arguments: [String]) async throws {
        let outcome = try await Command.run(["demo"] + arguments)
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasSuffix("7 checks passed\n"))
        #expect(outcome.error.isEmpty)
    }

    @Test("With --race the naive restore is held beside the engine's, and nothing else is run")
    func race() async throws {
        let outcome = try await Command.run(["demo", "--race", "--race-duration", "1", "--pages", "64"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasPrefix("vmemmap demo --race: 64 x 2.00 MiB huge pages"))
        #expect(outcome.output.contains("\nnaive ") && outcome.output.contains("\natomic "))
        #expect(!outcome.output.contains("FAIL") && !outcome.output.contains("checks passed"))
    }

    @Test("With --export-json - standard output is one JSON object and nothing else")
    func jsonOnStandardOutput() async throws {
        let outcome = try await Command.run(["demo", "--pages", "4", "--export-json", "-"])
        #expect(outcome.code == 0)
        #expect(outcome.output.hasPrefix("{\n") && outcome.output.hasSuffix("}\n"))
        #expect(outcome.output.contains("\"schema_version\" : 1"))
        #expect(!outcome.output.contains("checks passed"))
    }

    @Test("An export takes its name when it is complete, and leaves nothing else behind")
    func jsonFile() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.run(
            ["demo", "--pages", "4", "--export-json", folder.path.appending("demo.json").string])
        #expect(outcome.code == 0)
        #expect(outcome.output.hasSuffix("7 checks passed\n"))
        #expect(try folder.contents() == ["demo.json"])
    }

    @Test("Every form at once, one of them on standard output, which it has to itself")
    func everyForm() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.run([
            "demo", "--pages", "4", "--export-json", folder.path("demo.json"), "--export-csv", "-",
            "--export-markdown", folder.path("demo.md"), "--export-prometheus", folder.path("demo.prom"),
            "--export-html", folder.path("demo.html"),
        ])
        #expect(outcome.code == 0)
        #expect(outcome.output.hasPrefix("step,duration_nanoseconds,") && outcome.output.hasSuffix("\n"))
        #expect(!outcome.output.contains("checks passed"))
        #expect(try folder.contents() == ["demo.html", "demo.json", "demo.md", "demo.prom"])
    }

    @Test("Two exports cannot share a destination", arguments: ["-", "/tmp/vmemmap-shared-export"])
    func sharedDestination(_ destination: String) async throws {
        let outcome = try await Command.run(["demo", "--export-json", destination, "--export-csv", destination])
        #expect(outcome.code == 64)
        #expect(outcome.error.contains("two exports cannot both go to"))
    }

    @Test("A refused run leaves no export")
    func noExportOfARefusedRun() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.run(
            ["demo", "--pages", "9999999", "--export-json", folder.path.appending("demo.json").string])
        #expect(outcome.code == 3)
        #expect(try folder.contents().isEmpty)
    }

    @Test("A bad export path fails before anything is run")
    func badExportPath() async throws {
        let outcome = try await Command.run(["demo", "--export-json", "/nowhere/at/all.json"])
        #expect(outcome.code == 64)
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.contains("/nowhere/at/all.json"))
    }

    @Test(
        "An ordinary user needs nothing: frames are told apart by file offset",
        .enabled(if: geteuid() == 0, "only root can become an ordinary user"))
    func ordinaryUser() async throws {
        let folder = try TemporaryFolder()
        let copy = folder.path.appending("vmemmap")
        _ = try await Command.run("/bin/chmod", ["755", folder.path.string])
        _ = try await Command.run("/bin/cp", [Command.binary.string, copy.string])
        let outcome = try await Command.run(
            "/usr/bin/setpriv",
            ["--reuid=65534", "--regid=65534", "--clear-groups", copy.string, "demo", "--pages", "16"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("user, PFNs hidden"))
        #expect(outcome.output.contains("memfd + 0x"))
        #expect(outcome.output.hasSuffix("7 checks passed\n"))
    }

    @Test("Step by step: each is told in a few lines, with what it changed, and waits for Enter")
    func stepByStep() async throws {
        let outcome = try await Command.shell("printf '\\n\\n\\n\\n' | \"$0\" demo --pages 4 --step")
        #expect(outcome.code == 0, "\(outcome)")
        let steps = outcome.output.split(separator: "\nstep ").dropFirst().map(String.init)
        #expect(
            steps.map { $0.prefix { $0 != "\n" } } == [
                "1 of 4: populated", "2 of 4: optimized", "3 of 4: touched", "4 of 4: restored",
            ])
        #expect(steps.allSatisfy { $0.contains("\n[Enter: ") })
        let frames = steps.map { $0.contains("frames behind the region") }
        // Reading brings no frame back.
        #expect(frames == [true, true, false, true])
        #expect(steps.map { $0.contains("-----> |") } == [true, true, true, true])
        #expect(outcome.output.hasSuffix("7 checks passed\n"))
    }

    @Test("Where nobody can press Enter, that is said, before the run or when standard input ends")
    func nobodyThere() async throws {
        let nowhere = try await Command.shell("\"$0\" demo --step < /dev/null")
        #expect(nowhere.code == 64 && nowhere.error.contains("--step waits for Enter after each step"), "\(nowhere)")
        let short = try await Command.shell("printf '\\n' | \"$0\" demo --pages 4 --step")
        #expect(short.code != 0 && short.error.contains("standard input has ended"), "\(short)")
        for other in ["--race", "--quiet"] {
            let both = try await Command.shell("echo | \"$0\" demo --step \(other)")
            #expect(both.code == 64 && both.error.contains("--step is not for \(other)"), "\(both)")
        }
    }
}
