import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage
import Testing

@Suite("vmemmap stress")
struct StressCommandTests {
    @Test("The seed comes first, the verdict last")
    func passes() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.run([
            "stress", "--duration", "1500ms", "--pages", "32", "--seed", "11", "--faults", "all", "--report-every",
            "300ms", "--walkers", "1", "--export-json", folder.path("stress.json"),
        ])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasPrefix("seed 11\n"))
        #expect(outcome.output.contains(" cycles/s remaps/s ns/remap "))
        #expect(outcome.output.contains("\nscarce    address space in "))
        #expect(outcome.output.firstMatch(of: /\nseed      11\n(.*\n)*.*checks passed.*\n$/) != nil)
        #expect(try folder.contents() == ["stress.json"])
    }

    @Test(
        "A signal ends it in order, with a verdict on what was run",
        arguments: [Signal.interrupt, .terminate, .terminalClosed])
    func signalled(_ signal: Signal) async throws {
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["stress", "--duration", "1h", "--pages", "32", "--walkers", "1"],
            input: .none, output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            try await Self.waitUntilAtWork(execution.processIdentifier.value)
            try execution.send(signal: signal)
        }
        #expect(record.terminationStatus == .exited(0), "\(record.standardOutput) \(record.standardError)")
        #expect(record.standardOutput.contains("ended by a signal before its time"))
        #expect(record.standardOutput.firstMatch(of: /\nseed  .*\n(.*\n)*.*checks passed/) != nil)
    }

    @Test("A second signal ends it at once")
    func twice() async throws {
        // The last check of 1 GiB pages takes a while.
        let record = try await Subprocess.run(
            .path(Command.binary),
            arguments: ["stress", "--duration", "1h", "--pages", "6", "--page-size", "1G", "--walkers", "1"],
            input: .none, output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            try await Self.waitUntilAtWork(execution.processIdentifier.value)
            try execution.send(signal: .interrupt)
            try execution.send(signal: .terminate)
        }
        #expect(record.terminationStatus == .exited(128 + SIGTERM), "\(record.standardOutput) \(record.standardError)")
        #expect(!record.standardOutput.contains("passed"))
    }

    @Test("What was reported is there, whole, after a power cut: every export, and a line of JSON a report")
    func killed() async throws {
        let folder = try TemporaryFolder()
        let arguments = [
            "stress", "--duration", "1h", "--pages", "32", "--walkers", "1", "--report-every", "50ms", "--quiet",
            "--export-json", folder.path("night.json"), "--export-jsonl", folder.path("night.jsonl"), "--export-html",
            folder.path("night.html"), "--export-csv", folder.path("night.csv"),
        ]
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: Arguments(arguments), input: .none, output: .string(limit: 1 << 16),
            error: .string(limit: 1 << 16)
        ) { execution in
            for _ in 0..<1500 {
                let lines = (try? folder.text("night.jsonl"))?.count { $0 == "\n" } ?? 0
                if lines > 3 { break }
                try await Task.sleep(for: .milliseconds(20))
            }
            try execution.send(signal: .kill)
        }
        #expect(record.terminationStatus == .signaled(SIGKILL))
        #expect(try folder.contents().sorted() == ["night.csv", "night.html", "night.json", "night.jsonl"])
        let schema = JSONSchema(
            try JSON(
                text: Repository.text(
                    of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
        let json = try JSON(text: folder.text("night.json"))
        #expect(json["is_complete"] == .bool(false))
        #expect(schema.mistake(in: json, by: "command_stress") == nil)
        let lines = try folder.text("night.jsonl").split(separator: "\n")
        #expect(lines.count > 3)
        for line in lines.dropLast() {
            let line = try JSON(text: String(line))
            #expect(schema.mistake(in: line, by: "stress_line") == nil)
            #expect(line["run"]?["command_line"] != nil && line["seed"] == json["seed"])
        }
        #expect(try folder.text("night.html").contains("The run had not ended when this was written"))
    }

    @Test("More huge pages than there is room for are a shortage")
    func shortage() async throws {
        let outcome = try await Command.run(["stress", "--pages", "99999999"])
        #expect(outcome.code == 3, "\(outcome)")
    }

    /// Until the coordinator, the signals' thread, two workers and a walker run beside the main thread.
    private static func waitUntilAtWork(_ pid: Int32) async throws {
        for _ in 0..<1500 {
            let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            if let threads, threads.count >= 6 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Errno.timedOut
    }
}
