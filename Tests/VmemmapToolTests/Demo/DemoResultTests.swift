import FoundationEssentials
import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("The demo's result on real memory")
struct DemoResultTests {
    private static func run(_ pages: Int, _ size: HugePageSize) throws -> DemoResult {
        try DemoExperiment(
            EmulatedMemory(pages: HugePageCount(pages), pageSize: size, scheme: .firstTail), walkers: 1,
            raceNanoseconds: 20_000_000
        ).run()
    }

    @Test(
        "Every check passes, and says what it measured", arguments: [(3, HugePageSize.twoMebibytes), (1, .oneGibibyte)])
    func checks(_ pages: Int, _ size: HugePageSize) throws {
        let result = try Self.run(pages, size)
        #expect(
            result.checks.map(\.id) == [
                "distinct_frames", "shared_frames", "tail_store_faults", "tail_stays_read_only", "walkers_read_right",
                "contents_unchanged", "figures_back",
            ])
        for check in result.checks { #expect(check.outcome == .passed, "\(check)") }
        #expect(result.holds)
        let optimized = try #require(result.figures(.optimized))
        #expect(optimized.distinctFrames.value == PageCount(2 * pages))
        #expect(optimized.memfdBytes.value == HostLimits.pageSize * pages)
        #expect(result.race.cycles > 0)
        #expect(result.race.reads > 0)
    }

    @Test("The report has a line for each check and for each step")
    func report() throws {
        let lines = DemoReport.lines(try Self.run(2, .twoMebibytes))
        // The first screen of 24 lines.
        let first = lines.prefix(23)
        #expect(first.contains { $0.contains("-----> |") } && first.contains { $0.hasPrefix("restored ") })
        #expect(lines.count { $0.hasPrefix("ok    ") } == 7)
        for step in Step.allCases { #expect(lines.contains { $0.hasPrefix(step.rawValue + " ") }) }
        #expect(lines.contains { $0.hasSuffix("HugeTLB: 24 KiB vmemmap can be freed for a 2.00 MiB page") })
        #expect(lines.last == "7 checks passed")
    }

    @Test("The JSON has the envelope, snake_case keys with units, integers, and null where nothing was measured")
    func json() throws {
        let result = try Self.run(2, .twoMebibytes)
        let text = try JSONExport.text(result)
        #expect(text.hasSuffix("}\n"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let envelope = try decoder.decode(Envelope.self, from: Data(text.utf8))
        #expect(envelope.schemaVersion == Tool.schemaVersion)
        #expect(envelope.command == "demo")
        #expect(envelope.holds)
        // What was written is what was measured.
        #expect(try decoder.decode(DemoResult.self, from: Data(text.utf8)) == result)
        #expect(text.contains("\"distinct_frames\" : null"))
        #expect(text.contains("\"page_size_bytes\" : \(HostLimits.pageSize.rawValue)"))
        for key in text.matches(of: /"([^"]*)" :/) {
            #expect(key.output.1.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }, "\(key.output.1)")
        }
    }

    private struct Envelope: Decodable {
        let schemaVersion: Int
        let tool: String
        let toolVersion: String
        let command: String
        let holds: Bool
    }
}
