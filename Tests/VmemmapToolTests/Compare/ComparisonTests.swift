import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Two exports compared")
struct ComparisonTests {
    private struct Item {
        let name: String
        let median: Double?
        let range: (Double, Double)
        let frames: Int
    }

    private static func table(_ items: [Item]) -> ExportTable {
        ExportTable(
            "thing", "", items,
            [
                .label("name", "") { $0.name }, .meanNanoseconds("on_median", "") { $0.median },
                .meanNanoseconds("on_min", "") { $0.range.0 }, .meanNanoseconds("on_max", "") { $0.range.1 },
                .count("frames", "") { $0.frames }, .nanoseconds("once", "") { _ in 7 },
            ])
    }

    private static func rows(_ old: [Item], _ new: [Item]) -> [ComparisonResult.Row] {
        Comparison.rows([table(old)], [table(new)])
    }

    @Test(
        "A median differs where each lies outside the other's range",
        arguments: [
            (100, 90.0, 110.0, ComparisonResult.Verdict.same), (105, 95, 120, .withinNoise), (130, 108, 140, .differs),
            (120, 105, 140, .differs), (120, 99, 140, .withinNoise),
        ])
    func noise(_ median: Double, _ least: Double, _ most: Double, _ verdict: ComparisonResult.Verdict) {
        let rows = Self.rows(
            [Item(name: "a", median: 100, range: (90, 110), frames: 5)],
            [Item(name: "a", median: median, range: (least, most), frames: 5)])
        // The ends of the range are no figures of their own.
        #expect(rows.map(\.figure) == ["on_median_nanoseconds", "frames", "once_nanoseconds"])
        #expect(rows[0].verdict == verdict && rows[1].verdict == .same)
    }

    @Test("A count differs by one; a row that one of them lacks is missing; both not measured is the same")
    func counts() {
        let rows = Self.rows(
            [
                Item(name: "a", median: nil, range: (0, 0), frames: 5),
                Item(name: "old", median: 1, range: (1, 1), frames: 1),
            ],
            [
                Item(name: "a", median: nil, range: (0, 0), frames: 6),
                Item(name: "new", median: 1, range: (1, 1), frames: 1),
            ])
        #expect(rows.prefix(3).map(\.verdict) == [.same, .differs, .same])
        #expect(rows.filter { $0.row != "a" }.allSatisfy { $0.verdict == .missing } && rows.count == 9)
    }

    @Test(
        "A limit fails what grew, what nothing says is noise, what is missing, failed itself, or did other things"
    )
    func limit() throws {
        func holds(
            _ row: ComparisonResult.Row?, _ newHolds: Bool? = nil, different: [String] = []
        ) throws -> Bool? {
            func source(_ holds: Bool?) throws -> ComparisonResult.Source {
                .init(file: "", run: .notMeasured, host: try .current(), holds: Measured(holds))
            }
            return ComparisonResult(
                comparedCommand: "plan", old: try source(nil), new: try source(newHolds),
                differentConfiguration: different,
                rows: row.map { [$0] } ?? [], failAbovePercent: .value(10)
            ).verdict
        }
        func row(_ old: Double?, _ new: Double?, _ unit: ExportTable.Unit = .nanoseconds) -> ComparisonResult.Row {
            ComparisonResult.Row(
                table: "", row: "", figure: "", unit: unit, old: Measured(old), new: Measured(new),
                oldRange: .notMeasured, newRange: .notMeasured,
                verdict: Comparison.verdict(unit, .init(value: old), .init(value: new)))
        }
        #expect(try holds(nil) == true && holds(nil, true) == true && holds(nil, false) == false)
        #expect(try holds(nil, true, different: ["pages: 4, 8"]) == false)
        #expect(try holds(row(100, 109)) == true && holds(row(100, 111)) == false && holds(row(100, 10)) == true)
        #expect(try holds(row(100, 80, .bytes)) == false && holds(row(100, 95, .bytes)) == true)
        #expect(try holds(row(100, nil)) == false && holds(row(nil, 100)) == true)
    }

    @Test("A time without a range has no noise to be held against")
    func unknown() {
        let verdict = Comparison.verdict(.nanoseconds, .init(value: 1), .init(value: 2))
        #expect(verdict == .unknown)
        #expect(Comparison.verdict(.bytes, .init(value: 1), .init(value: 2)) == .differs)
        let ofProcess = Comparison.verdict(.bytes, .init(value: 1), .init(value: 2), isOfProcess: true)
        #expect(ofProcess == .unknown)
    }

    @Test("What is a whole process's is so by its column: a plan's mappings, or a region's, are none of those")
    func ofProcess() throws {
        let all = ExportColumn<MemoryFigures>.figures { $0 }.map(\.heading)
        // Of all processes, even.
        #expect(all.filter { $0.name.hasPrefix("thp_") }.map(\.isOfProcess) == Array(repeating: true, count: 7))
        let steps = all.filter { !$0.name.hasPrefix("thp_") }
        #expect(
            steps.filter(\.isOfProcess).map(\.name)
                == ["rss_bytes", "pss_bytes", "page_table_bytes", "mappings", "mapping_cost_bytes"])
        let region = ExportColumn<InspectResult>.region(\.self).map(\.heading)
        #expect(region.filter(\.isOfProcess).map(\.name) == ["process_rss_bytes", "process_pss_bytes"])
        let forecast = try PlanExperiment(
            memory: .gibibytes(1), sizes: [.twoMebibytes], schemes: [.head], backing: .anonymous,
            tailFrames: .frames(1)
        ).run().forecast.table("forecast", "")
        #expect(forecast.headings.contains { $0.name == "mappings" })
        #expect(!forecast.headings.contains { $0.isOfProcess })
    }

    @Test("The command: the same twice, a change above the limit, two commands, and its own input spared")
    func command() async throws {
        let folder = try TemporaryFolder()
        let (old, new) = (folder.path("old.json"), folder.path("new.json"))
        _ = try await Command.run(["plan", "--memory", "64G", "-q", "--export-json", old])
        _ = try await Command.run(["plan", "--memory", "128G", "-q", "--export-json", new])
        let same = try await Command.run(["compare", old, old, "--fail-above", "0"])
        #expect(same.code == 0 && same.output.contains("No figure differs by more than noise."), "\(same)")
        let changed = try await Command.run(["compare", old, new, "--fail-above", "50"])
        #expect(changed.code == 2 && changed.output.contains("grew or changed by more than 50 %"), "\(changed)")
        #expect(changed.output.contains("memory_bytes: 68719476736, 137438953472"), "\(changed)")
        #expect(changed.output.contains("vmemmap plan --memory 128G -q --export-json"), "\(changed)")
        let json = try await Command.run(["compare", old, new, "-q", "--export-json", "-"])
        #expect(json.code == 0 && json.output.contains("\"verdict\" : \"differs\""), "\(json)")
        let onto = try await Command.run(["compare", old, new, "--export-json", old])
        #expect(onto.code == 64, "\(onto)")
        // A figure that is gone, and a run that failed, are no success.
        let text = try Repository.text(of: old)
        for damaged in [
            text.replacing("\"pages\" : 32768", with: "\"pages\" : null"),
            text.replacing("\"command\" : \"plan\"", with: "\"command\" : \"plan\", \"holds\" : false"),
        ] {
            try folder.write(damaged, to: "damaged.json")
            let outcome = try await Command.run(["compare", old, folder.path("damaged.json"), "--fail-above", "1000"])
            #expect(outcome.code == 2 || outcome.code == 64, "\(outcome)")
        }
        let nodes = folder.path("nodes.json")
        _ = try await Command.run(["inspect", "--pages", "2", "--nodes", "2", "-q", "--export-json", nodes])
        let both = try await Command.run(["compare", nodes, nodes])
        #expect(both.code == 0, "\(both)")
        _ = try await Command.run(["kernel", "-q", "--export-json", new])
        let mixed = try await Command.run(["compare", old, new])
        #expect(mixed.code == 64 && mixed.error.contains("give two of the same"), "\(mixed)")
    }
}
