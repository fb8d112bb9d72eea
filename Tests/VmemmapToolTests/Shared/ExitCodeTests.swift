import FoundationEssentials
import Glibc
import HostMemory
import Subprocess
import SystemPackage
import Testing

/// What a subcommand says of its end, each code by a run that ends so.
@Suite("Exit codes")
struct ExitCodeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// Who runs it, under what.
        enum Manner: Sendable {
            case plain
            /// As an ordinary user.
            case unprivileged
            /// Under a limit of the shell's.
            case limited(String)
            /// With so many threads or more, somebody with a debugger overwrites compound_heads.
            case overwritten(threads: Int, endedBySignal: Bool)
        }

        let code: Int32
        let arguments: [String]
        let manner: Manner

        init(_ code: Int32, _ arguments: [String], _ manner: Manner = .plain) {
            self.code = code
            self.arguments = arguments
            self.manner = manner
        }

        var testDescription: String { "\(code): \(arguments.joined(separator: " ")) (\(manner))" }
    }

    /// One descriptor beside the standard ones: the export's.
    private static let noDescriptor = Case.Manner.limited("ulimit -n 4")
    private static let tooMany = "99999999"
    private static let memfd = ["--backing", "memfd"]

    static let cases: [Case] = [
        Case(0, ["demo", "--pages", "2"]),
        Case(2, ["demo", "--pages", "16"] + memfd, .overwritten(threads: 1, endedBySignal: false)),
        Case(3, ["demo", "--pages", tooMany]), Case(4, ["demo", "--pages", "1", "--pmd-mapped"]),
        Case(64, ["demo", "--pages", "0"]),

        Case(0, ["hold", "--pages", "2", "--until-input-ends"]),
        Case(2, ["hold", "--pages", "2", "--walkers", "1"] + memfd, .overwritten(threads: 2, endedBySignal: true)),
        Case(3, ["hold", "--pages", tooMany]), Case(4, ["hold", "--pages", "1", "--pmd-mapped"]),
        Case(64, ["hold", "--walkers", "257"]),

        Case(0, ["inspect", "--pages", "2"]),
        Case(3, ["inspect", "--pid", "2147483647"]), Case(4, ["inspect", "--pid", "1"], .unprivileged),
        Case(64, ["inspect", "--pid", "0"]),

        Case(0, ["savings", "--memory", "4M"]),
        Case(2, ["savings", "--memory", "512M"] + memfd, .overwritten(threads: 1, endedBySignal: false)),
        Case(3, ["savings", "--memory", "1T"]), Case(4, ["savings", "--memory", "2M", "--pmd-mapped"]),
        Case(64, ["savings", "--memory", "3M"]),

        Case(0, ["pool", "%boot memory=4M hugepages=1\nexpect HugePages_Total 2M 1\n"]),
        Case(2, ["pool", "%boot memory=4M hugepages=1\nexpect HugePages_Total 2M 2\n"]),
        Case(3, ["pool", "%boot memory=1048576T\n"]), Case(4, ["pool", "%boot memory=4M pmd_mapped=on\n"]),
        Case(64, ["pool", "%frobnicate\n"]),

        Case(0, ["plan"]), Case(3, ["plan", "--export-json", "%"], noDescriptor), Case(64, ["plan", "--memory", "1K"]),

        Case(0, ["bench", "--pages", "2", "--pairs", "1"]),
        Case(
            2, ["bench", "--pages", "32", "--pairs", "8", "--walkers", "4"] + memfd,
            .overwritten(threads: 6, endedBySignal: false)),
        Case(3, ["bench", "--pages", tooMany]), Case(64, ["bench", "--pairs", "0"]),
        Case(4, ["bench", "--pages", "16384", "--raise-map-limit"], .unprivileged),

        Case(0, ["stress", "--pages", "4", "--duration", "200ms"]),
        Case(
            2, ["stress", "--pages", "16", "--duration", "20s"] + memfd,
            .overwritten(threads: 4, endedBySignal: false)),
        Case(3, ["stress", "--pages", tooMany]), Case(64, ["stress", "--seed", "-1"]),

        Case(0, ["kernel"]), Case(3, ["kernel", "--export-json", "%"], noDescriptor),
        Case(4, ["kernel", "--measure", "--pages", "1"], .unprivileged), Case(64, ["kernel", "--pages", "1"]),
    ]

    @Test("Each is reached by a run", arguments: cases)
    func reached(_ expected: Case) async throws {
        if expected.arguments.contains("16384"), try HostLimits.maxMapCount() > MappingCount(65530) {
            try Test.cancel("vm.max_map_count is higher than its default: nothing has to be raised")
        }
        let folder = try TemporaryFolder()
        let arguments = try expected.arguments.map { word in
            guard word.hasPrefix("%") else { return word }
            // A script of these lines, or the name of a file.
            if word != "%" { try folder.write(String(word.dropFirst()), to: "script.pool") }
            return folder.path(word == "%" ? "export.json" : "script.pool")
        }
        let outcome =
            switch expected.manner {
            case .plain: try await Command.run(arguments)
            case .unprivileged: try await Command.asOrdinaryUser(arguments)
            case .limited(let limit): try await Command.run("/bin/sh", Command.limited(limit, arguments))
            case .overwritten(let threads, let endedBySignal):
                try await overwritten(arguments, threads: threads, endedBySignal)
            }
        #expect(outcome.code == expected.code, "\(outcome)")
        // Whatever goes wrong is said, in a line of its own; a usage error shows the usage too.
        if [3, 4].contains(expected.code) { #expect(outcome.error.split(separator: "\n").count == 1, "\(outcome)") }
        if expected.code == 0 { #expect(outcome.error.isEmpty, "\(outcome)") }
        if expected.code == 64 { #expect(!outcome.error.isEmpty) }
    }

    @Test("Of every subcommand each code that there can be is among them")
    func complete() {
        let reached = Dictionary(grouping: Self.cases) { $0.arguments[0] }.mapValues { Set($0.map(\.code)) }
        #expect(
            reached == [
                "demo": [0, 2, 3, 4, 64], "hold": [0, 2, 3, 4, 64],
                // Of inspect 2 is InspectCommandTests.running: it takes a hold that runs.
                "inspect": [0, 3, 4, 64], "savings": [0, 2, 3, 4, 64], "pool": [0, 2, 3, 4, 64],
                // It verifies nothing, and every host can do it.
                "plan": [0, 3, 64], "bench": [0, 2, 3, 4, 64],
                // It takes nothing that a host may lack, but memory.
                "stress": [0, 2, 3, 64],
                // 2 is a kernel that does not save what its source says: there is none to run.
                "kernel": [0, 3, 4, 64],
            ])
    }

    // MARK: With a debugger

    /// Runs the command while compound_heads of its region are overwritten, as soon as it has so many threads.
    private func overwritten(
        _ arguments: [String], threads: Int, _ endedBySignal: Bool
    ) async throws -> Command.Outcome {
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: Arguments(arguments), input: .none, output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20)
        ) { execution in
            let pid = execution.processIdentifier.value
            var isOverwritten = false
            // A minute at most: the process ends long before.
            for _ in 0..<30_000 {
                let tasks = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
                guard let tasks, let maps = try? Repository.text(of: "/proc/\(pid)/maps"), !maps.isEmpty else { break }
                if tasks.count >= threads, try overwriteHeads(of: pid, maps) { isOverwritten = true }
                if isOverwritten, endedBySignal {
                    // Its walkers see it.
                    try await Task.sleep(for: .milliseconds(500))
                    try execution.send(signal: .terminate)
                    break
                }
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        let code: Int32? = if case .exited(let code) = record.terminationStatus { code } else { nil }
        return Command.Outcome(code: code, output: record.standardOutput, error: record.standardError)
    }

    /// Overwrites the compound_heads of the first vmemmap page of each writable mapping of the region's memory file.
    private func overwriteHeads(of pid: Int32, _ maps: String) throws -> Bool {
        let starts = maps.split(separator: "\n").filter { $0.contains(" rw-s ") && $0.contains("/memfd:vmemmap") }
            .compactMap { UInt($0.prefix { $0 != "-" }, radix: 16) }
        if starts.isEmpty { return false }
        guard let memory = try? FileDescriptor.open(FilePath("/proc/\(pid)/mem"), .writeOnly) else {
            try Test.cancel("this host lets nobody write to another process's memory")
        }
        defer { try? memory.close() }
        let word = [UInt8](repeating: 0x5a, count: 8)
        var isWritten = false
        for start in starts {
            for number in 1..<64 {
                // One call each: of a process that has ended, 0 bytes are written, however often one asks.
                // SAFETY: the bytes are the array's own for the call.
                let written = unsafe word.withUnsafeBytes { bytes in
                    try? unsafe memory.write(toAbsoluteOffset: Int64(start) + Int64(number) * 64 + 8, bytes)
                }
                isWritten = isWritten || written == word.count
            }
        }
        return isWritten
    }
}
