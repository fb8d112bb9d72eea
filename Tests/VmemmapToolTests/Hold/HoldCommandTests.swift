import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage
import Testing

@Suite("vmemmap hold")
struct HoldCommandTests {
    private struct Held: Decodable {
        let schemaVersion: Int
        let pid: Int32
        let regionStart: String
        let regionLengthBytes: Int
        let pages: Int
        let scheme: String
        let configuration: Configuration
    }

    private struct Configuration: Decodable {
        let walkers: Int
        let isTouched: Bool
    }

    @Test(
        "Others find what is held where it says, and a signal ends it in order",
        arguments: [Signal.interrupt, .terminate])
    func signalled(_ signal: Signal) async throws {
        let folder = try TemporaryFolder()
        let file = folder.path.appending("hold.json")
        let record = try await Subprocess.run(
            .path(Command.binary),
            arguments: ["hold", "--pages", "16", "--touch", "--walkers", "1", "--export-json", file.string],
            input: .none, output: .string(limit: 4096), error: .string(limit: 4096)
        ) { execution in
            let held = try await Self.wait(for: file)
            #expect(held.pid == execution.processIdentifier.value)
            #expect(held.regionLengthBytes == 16 * 32768)
            #expect(held.scheme == "first-tail")
            #expect(held.configuration.walkers == 1 && held.configuration.isTouched)
            let found = try await Self.mappings(of: held)
            #expect(found == 8 * 16)
            try execution.send(signal: signal)
        }
        #expect(record.terminationStatus == .exited(0))
        let check = /\nok    walkers read the right compound_head: wrong reads 0, reads [0-9 ]+\n1 check passed\n$/
        #expect(record.standardOutput.firstMatch(of: check) != nil, "\(record.standardOutput)")
        #expect(record.standardError.isEmpty)
    }

    @Test("A line on standard input ends it; --restored shows what is left")
    func enter() async throws {
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["hold", "--pages", "4", "--restored"], input: .string("\n"),
            output: .string(limit: 4096), error: .string(limit: 4096))
        #expect(record.terminationStatus == .exited(0))
        #expect(record.standardOutput.hasPrefix("pid     "))
        #expect(record.standardOutput.contains("first-tail scheme, restored\n"))
    }

    /// The export takes its name when it is complete.
    private static func wait(for file: FilePath) async throws -> Held {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        for _ in 0..<500 {
            if let data = try? Data(contentsOf: URL(filePath: file.string)) {
                return try decoder.decode(Held.self, from: data)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Errno.timedOut
    }

    /// The mappings that /proc/PID/maps shows in the region that is said to be held.
    private static func mappings(of held: Held) async throws -> Int {
        let start = try #require(UInt(held.regionStart.dropFirst(2), radix: 16))
        let maps = try await Command.run("/bin/cat", ["/proc/\(held.pid)/maps"])
        return maps.output.split(separator: "\n").count { line in
            guard let address = UInt(line.prefix { $0 != "-" }, radix: 16) else { return false }
            return start <= address && address < start + UInt(held.regionLengthBytes)
        }
    }
}
