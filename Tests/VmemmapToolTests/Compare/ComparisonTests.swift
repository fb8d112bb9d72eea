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
        "A median differs where the ranges do not meet",
        arguments: [
            (100, 90.0, 110.0, ComparisonResult.Verdict.same), (105, 95, 120, .withinNoise),
            (130, 110, 140, .withinNoise), (130, 111, 140, .differs), (80, 70, 89, .differs),
            (80, 70, 90, .withinNoise),
            // Of one run, or of none that took longer than another, the noise is not known.
            (130, 130, 130, .unknown),
        ])
    func noise(_ median: Double, _ least: Double, _ most: Double, _ verdict: ComparisonResult.Verdict) {
        let rows = Self.rows(
            [Item(name: "a", median: 100, range: (90, 110), frames: 5)],
            [Item(name: "a", median: median, range: (least, most), frames: 5)])
        // The ends of the range are no figures of their own.
        #expect(rows.map(\.figure) == ["on_median_nanoseconds", "frames", "once_nanoseconds"])
        #expect(rows[0].verdict == verdict && rows[1].verdict == .same)
    }

    @Test("What only one of two tables has, or one of two exports, is missing; in the same order, whatever the process")
    func missing() throws {
        let items = (0..<20).map { Item(name: "a\($0)", median: 1, range: (0, 2), frames: 3) }
        let table = Self.table(items)
        let lost = Comparison.rows([table], [])
        #expect(lost.count == 60 && lost.allSatisfy { $0.verdict == .missing && $0.new.value == nil })
        let added = Comparison.rows([], [table])
        #expect(added.count == 60 && added.allSatisfy { $0.verdict == .missing && $0.old.value == nil })
        #expect(try Self.result(lost).changed == lost && Self.result(lost).verdict == false)
        #expect(try Self.result(added).verdict == true)
    }

    @Test("A check that passed and is gone or not measured fails, and is named; what was not measured before does not")
    func checks() throws {
        func check(_ id: String, _ measured: Int?) -> Check { Check(id, "", [.equal("n", 1, measured)], method: "") }
        func result(_ old: [Check], _ new: [Check]) throws -> ComparisonResult {
            try Self.result(Comparison.rows(Check.tables(old), Check.tables(new)))
        }
        let old = [check("gone", 1), check("unmeasured", 1), check("kept", 1), check("never", nil)]
        let worse = try result(old, [check("unmeasured", nil), check("kept", 1), check("never", nil)])
        #expect(worse.reasons == ["passed before, now missing or not measured: gone, unmeasured"])
        #expect(worse.verdict == false && worse.changed.map(\.row) == ["gone", "unmeasured"])
        #expect(try result(old, old).verdict == true && result([], old).verdict == true)
        // From failed to passed is a difference, and no failure.
        let mended = try result([check("a", 2)], [check("a", 1)])
        #expect(mended.verdict == true && mended.differences.map { $0.text($0.old.value) } == ["failed"])
    }

    private static func result(_ rows: [ComparisonResult.Row]) throws -> ComparisonResult {
        let source = ComparisonResult.Source(
            file: "", run: .notMeasured, host: try .current(), holds: .notMeasured)
        return ComparisonResult(
            configuration: .init(failAbovePercent: .value(10)), comparedCommand: "plan", old: source, new: source,
            differentConfiguration: [], rows: rows)
    }

    @Test("A count differs by one; a row that one of them lacks is missing; both not measured is the same")
    func counts() {
        let rows = Self.rows(
            [
                Item(name: "a", median: nil, range: (0, 0), frames: 5),
                Item(name: "old", median: 1, range: (0, 2), frames: 1),
            ],
            [
                Item(name: "a", median: nil, range: (0, 0), frames: 6),
                Item(name: "new", median: 1, range: (0, 2), frames: 1),
            ])
        #expect(rows.prefix(3).map(\.verdict) == [.same, .differs, .same])
        // What was timed once, too.
        let others = rows.filter { $0.row != "a" }
        #expect(others.allSatisfy { $0.verdict == .missing })
        #expect(others.count == 6 && rows.count == 9)
    }

    @Test(
        "A limit fails what grew beyond its runs, is missing, failed itself, or did other things; no time taken once"
    )
    func limit() throws {
        func holds(
            _ row: ComparisonResult.Row?, _ newHolds: Bool? = nil, different: [String] = []
        ) throws -> Bool? {
            func source(_ holds: Bool?) throws -> ComparisonResult.Source {
                .init(file: "", run: .notMeasured, host: try .current(), holds: Measured(holds))
            }
            return ComparisonResult(
                configuration: .init(failAbovePercent: .value(10)), comparedCommand: "plan", old: try source(nil),
                new: try source(newHolds), differentConfiguration: different, rows: row.map { [$0] } ?? []
            ).verdict
        }
        func row(
            _ old: Double?, _ new: Double?, _ unit: ExportTable.Unit = .nanoseconds, around: Double? = nil,
            varies: Bool = false
        ) -> ComparisonResult.Row {
            func figure(_ value: Double?) -> ExportTable.MeasuredFigure {
                .init(value: value, range: around.flatMap { around in value.map { $0 - around...$0 + around } })
            }
            func range(_ value: Double?) -> Measured<[Double]> {
                Measured(figure(value).range.map { [$0.lowerBound, $0.upperBound] })
            }
            return ComparisonResult.Row(
                table: "", row: "", figure: "", unit: unit, old: Measured(old), new: Measured(new),
                oldRange: range(old), newRange: range(new),
                verdict: Comparison.verdict(unit, figure(old), figure(new), varies: varies))
        }
        #expect(try holds(nil) == true && holds(nil, true) == true && holds(nil, false) == false)
        #expect(try holds(nil, true, different: ["pages: 4, 8"]) == false)
        #expect(try holds(row(100, 113, around: 1)) == false && holds(row(100, 112, around: 1)) == true)
        #expect(try holds(row(100, 10, around: 1)) == true && holds(row(100, 190, around: 40)) == true)
        #expect(try holds(row(100, 200)) == true && holds(row(100, 200, .ratio)) == true)
        #expect(try holds(row(100, 80, .bytes)) == false && holds(row(100, 95, .bytes)) == true)
        #expect(try holds(row(100, 80, .bytes, varies: true)) == true && holds(row(100, nil, varies: true)) == true)
        #expect(try holds(row(100, nil, around: 1)) == false && holds(row(nil, 100, around: 1)) == true)
        #expect(try holds(row(100, nil, .count)) == false && holds(row(100, nil)) == false)
        #expect(try holds(row(nil, 100)) == true)
    }

    @Test("A time without a range has no noise to be held against")
    func unknown() {
        let verdict = Comparison.verdict(.nanoseconds, .init(value: 1), .init(value: 2))
        #expect(verdict == .unknown)
        #expect(Comparison.verdict(.bytes, .init(value: 1), .init(value: 2)) == .differs)
        #expect(Comparison.verdict(.bytes, .init(value: 1), .init(value: 2), varies: true) == .varies)
    }

    @Test("What varies by itself does so by its column: a whole process's mappings do, a plan's or a region's do not")
    func varying() throws {
        let all = ExportColumn<MemoryFigures>.figures { $0 }.map(\.heading)
        // Of all processes, even.
        #expect(all.filter { $0.name.hasPrefix("thp_") }.map(\.varies) == Array(repeating: true, count: 7))
        let steps = all.filter { !$0.name.hasPrefix("thp_") }
        #expect(
            steps.filter(\.varies).map(\.name)
                == ["rss_bytes", "pss_bytes", "page_table_bytes", "mappings", "mapping_cost_bytes"])
        let region = ExportColumn<InspectResult>.region(\.self).map(\.heading)
        #expect(region.filter(\.varies).map(\.name) == ["process_rss_bytes", "process_pss_bytes"])
        let forecast = try PlanExperiment(
            memory: .gibibytes(1), sizes: [.twoMebibytes], schemes: [.head], backing: .anonymous,
            tailFrames: .frames(1)
        ).run().forecast.table("forecast", "")
        #expect(forecast.headings.contains { $0.name == "mappings" })
        #expect(!forecast.headings.contains { $0.varies })
    }

    @Test("What two were asked for tells them apart, whatever the command: its export has a configuration")
    func configuration() async throws {
        let schema = try JSON(
            text: Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json"))
        guard case .object(let definitions)? = schema["$defs"] else { return #expect(Bool(false)) }
        for (name, definition) in definitions where name.hasPrefix("command_") {
            #expect(definition["required"]?.elements.contains(.text("configuration")) == true, "\(name)")
        }
        let folder = try TemporaryFolder()
        let (old, new) = (folder.path("old.json"), folder.path("new.json"))
        for (first, second, difference) in [
            (
                ["inspect", "--scheme", "head", "--pages", "4"], ["inspect", "--pages", "2"], "scheme: head, first-tail"
            ),
            (
                ["stress", "--cycles", "1", "--pages", "4"], ["stress", "--cycles", "1", "--pages", "8"], "pages: 4, 8"
            ),
            (["demo", "--pages", "2"], ["demo", "--pages", "4"], "memory.pages: 2, 4"),
            (
                ["demo", "--pages", "2", "--page-size", "32M"],
                ["demo", "--pages", "2", "--base-page", "16K", "--page-size", "32M"],
                "memory.base_page_bytes: 4096, 16384"
            ),
            (
                ["savings", "--pages", "2", "--page-size", "32M"],
                ["savings", "--pages", "2", "--base-page", "16K", "--page-size", "32M"],
                "memory.base_page_bytes: 4096, 16384"
            ),
            (["savings", "--pages", "4"], ["savings", "--pages", "4", "--nodes", "2"], "nodes: null, 2"),
            (
                ["stress", "--cycles", "2", "--pages", "4"],
                ["stress", "--cycles", "2", "--pages", "4", "--nodes", "2"], "nodes: null, 2"
            ),
        ] {
            _ = try await Command.run(first + ["-q", "--export-json", old])
            _ = try await Command.run(second + ["-q", "--export-json", new])
            let outcome = try await Command.run(["compare", old, new, "--fail-above", "1000000"])
            #expect(outcome.code == 2 && outcome.output.contains("They were not asked for the same"), "\(outcome)")
            #expect(outcome.output.contains(difference), "\(outcome)")
        }
    }

    @Test("Two runs of the same pass, though times and memory differ; with its times doubled, one does not")
    func slowdown() async throws {
        let folder = try TemporaryFolder()
        let (old, new) = (folder.path("old.json"), folder.path("new.json"))
        let kept = try Repository.text(of: "Tests/VmemmapToolTests/Bench/Snapshots/bench.json")
        let text = kept.replacing("{", with: Self.envelope("bench"), maxReplacements: 1)
        try folder.write(text, to: "old.json")
        try folder.write(Self.doubled(text), to: "new.json")
        #expect(try await Command.run(["compare", old, old, "--fail-above", "0"]).code == 0)
        let slower = try await Command.shell("COLUMNS=80 \"$0\" compare \(old) \(new) --fail-above 10")
        #expect(slower.code == 2 && slower.output.contains("grew or changed by more than 10 %"), "\(slower)")
        #expect(
            slower.output.contains("figure") && slower.output.contains("least") && slower.output.contains("new/old"),
            "\(slower)")
        #expect(slower.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(slower)")
        // The other way round it has become faster.
        #expect(try await Command.run(["compare", new, old, "--fail-above", "10"]).code == 0)
    }

    private static func envelope(_ command: String) -> String {
        "{ \"tool\" : \"vmemmap\", \"schema_version\" : 1, \"command\" : \"\(command)\","
    }

    /// The same with each number of a spread of nanoseconds doubled.
    private static func doubled(_ text: String) -> String {
        var isTime = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            if line.contains("{") { isTime = line.contains("_nanoseconds\"") }
            guard isTime, let key = line.firstMatch(of: /^(\s*"(?:median|min|max)": )([0-9.]+)/),
                let number = Double(key.2)
            else { return String(line) }
            return "\(key.1)\(number * 2)" + (line.hasSuffix(",") ? "," : "")
        }.joined(separator: "\n")
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
        let schema = JSONSchema(
            try JSON(
                text: Repository.text(
                    of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
        #expect(schema.mistake(in: try JSON(text: json.output), by: "command_compare") == nil)
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
