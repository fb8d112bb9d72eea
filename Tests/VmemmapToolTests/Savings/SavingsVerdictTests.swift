import FoundationEssentials
import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("The verdict of savings looks at what is mapped and at what the memory file holds")
struct SavingsVerdictTests {
    /// 64 huge pages, run for real.
    private static func run(_ scheme: Scheme, _ backing: Backing = .anonymous) throws -> SavingsResult {
        try SavingsExperiment(
            EmulatedMemory(pages: HugePageCount(64), pageSize: .twoMebibytes, scheme: scheme, backing: backing)
        ).run { _ in }
    }

    /// The same figures with one of them changed; nil: not measured.
    private static func changed(_ figures: MemoryFigures, _ key: String, _ value: Int?) throws -> MemoryFigures {
        let object = try JSONSerialized.object(figures)
        return try JSONSerialized.value(object.merging([key: value.map { .number($0) } ?? .null]) { $1 })
    }

    private static func result(
        _ run: SavingsResult, _ step: Step, _ key: String, _ value: Int?, plan: MappingPlan
    ) throws -> SavingsResult {
        let reference = SavingsResult.Reference(plan, run.rows[0].figures, run.rows[0].figures)
        let rows = try run.rows.map { row in
            SavingsResult.Row(
                row.step, row.durationNanoseconds,
                row.step == step ? try changed(row.figures, key, value) : row.figures, reference, plan,
                run.host.mappingCost)
        }
        var reads = Walkers.Tally()
        reads.reads = 1
        return SavingsResult(
            host: run.host,
            memory: EmulatedMemory(
                pages: plan.hugePages, pageSize: .twoMebibytes, scheme: plan.scheme, backing: plan.backing,
                mapping: plan.mapping),
            plan: PlanBlock(plan, cost: run.host.mappingCost), baseline: run.baseline.value, rows: rows, reads: reads)
    }

    private static func plan(
        _ scheme: Scheme, _ backing: Backing = .anonymous, mapping: RegionMapping = .pte
    ) throws -> MappingPlan {
        try MappingPlan(
            geometry: try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: .twoMebibytes)),
            scheme: scheme, backing: backing, mapping: mapping, hugePages: HugePageCount(64),
            tailFrames: .frames(PageCount(1)))
    }

    @Test("What was run passes every check", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func asPlanned(_ scheme: Scheme, _ backing: Backing) throws {
        let run = try Self.run(scheme, backing)
        #expect(run.checks.allSatisfy { $0.outcome == .passed })
        #expect(run.rows.allSatisfy { $0.figures.memfdBytes.value == $0.expectedMemfdBytes })
        #expect(SavingsReport.lines(run).last == "3 checks passed")
    }

    @Test(
        "A memory file that holds more than is shown, or less, fails a check at any step",
        arguments: [Step.populated, .optimized, .touched, .restored])
    func file(_ step: Step) throws {
        let plan = try Self.plan(.firstTail)
        let run = try Self.run(.firstTail)
        let row = try #require(run.rows.first { $0.step == step })
        let bytes = row.expectedMemfdBytes.rawValue
        for more in [2 << 20, -4096] {
            let result = try Self.result(run, step, "memfd_bytes", bytes + more, plan: plan)
            #expect(!result.holds)
            let lines = SavingsReport.lines(result)
            #expect(lines.last == "1 of 3 checks failed")
            #expect(lines.joined(separator: " ").contains("memfd_\(step.rawValue)_bytes: expected "))
            // What it holds too many is not given back.
            let changed = try #require(result.rows.first { $0.step == step })
            #expect(changed.grossSavingBytes == row.grossSavingBytes - ByteCount(max(0, more)))
        }
        let unknown = try Self.result(run, step, "memfd_bytes", nil, plan: plan)
        #expect(unknown.holds && unknown.checks.contains { $0.outcome == .notMeasured })
        #expect(SavingsReport.lines(unknown).last == "2 of 3 checks passed, 1 not measured")
    }

    @Test("Frames that are mapped and were not planned are named")
    func frames() throws {
        let run = try Self.run(.head)
        let row = try #require(run.rows.first { $0.step == .touched })
        let result = try Self.result(
            run, .touched, "distinct_frames", row.distinctFrames.rawValue + 1, plan: try Self.plan(.head))
        #expect(!result.holds)
        #expect(SavingsReport.lines(result).last == "1 of 3 checks failed")
    }

    @Test(
        "A huge page of private memory that was not split gives nothing back, and where that is hidden it is said to be"
    )
    func unsplit() throws {
        let plan = try Self.plan(.firstTail, mapping: .pmd)
        let run = try Self.run(.firstTail)
        #expect(
            try Self.result(run, .optimized, "pages_in_huge_folios", 0, plan: plan).checks.allSatisfy {
                $0.outcome == .passed
            })
        #expect(try !Self.result(run, .optimized, "pages_in_huge_folios", 512, plan: plan).holds)
        let unknown = try Self.result(run, .optimized, "pages_in_huge_folios", nil, plan: plan)
        #expect(unknown.holds && unknown.checks.contains { $0.outcome == .notMeasured })
    }
}

/// A value by way of its JSON, so that a test can change what only a measurement can set.
private enum JSONSerialized: Codable {
    case number(Int)
    case text(String)
    case object([String: JSONSerialized])
    case null

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let number = try? container.decode(Int.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else {
            self = .object(try container.decode([String: JSONSerialized].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        case .object(let object): try container.encode(object)
        case .null: try container.encodeNil()
        }
    }

    static func object(_ value: some Encodable) throws -> [String: JSONSerialized] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try JSONDecoder().decode([String: JSONSerialized].self, from: encoder.encode(value))
    }

    static func value<Value: Decodable>(_ object: [String: JSONSerialized]) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Value.self, from: JSONEncoder().encode(object))
    }
}
