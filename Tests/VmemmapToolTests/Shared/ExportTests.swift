import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("Exports")
struct ExportTests {
    private struct Item {
        let name: String
        let frames: Int?
        let nanoseconds: Int?
        let ratio: Double?
    }

    private struct Result: ExportableResult {
        static let command = "trial"
        let host: HostBlock
        let verdict: Bool?
        let items: [Item]
        var tables: [ExportTable] {
            [
                ExportTable(
                    "thing", "What a row is.", items,
                    [
                        .label("name", "Its name.") { $0.name },
                        .count("frames", "How many \\ frames.") { $0.frames },
                        .nanoseconds("duration", "How long.") { $0.nanoseconds },
                        .ratio("speed", "Over the C baseline.") { $0.ratio },
                        .truth("known", "Whether frames were counted.") { $0.frames != nil },
                    ])
            ]
        }

        func encode(to encoder: any Encoder) throws { try host.encode(to: encoder) }
    }

    private static let odd = "a,\"b\"|\\c\r\nd"

    private static func result(verdict: Bool? = true) throws -> Result {
        Result(
            host: try HostBlock.current(), verdict: verdict,
            items: [
                Item(name: odd, frames: 12, nanoseconds: 1_500_000_000, ratio: 1.25),
                Item(name: "none", frames: nil, nanoseconds: nil, ratio: .nan),
            ])
    }

    @Test("CSV has the names with their units, quotes what must be, and leaves what was not measured empty")
    func csv() throws {
        #expect(
            try CSVExport.text(Self.result())
                == "name,frames,duration_nanoseconds,speed_ratio,known\n"
                + "\"a,\"\"b\"\"|\\c\r\nd\",12,1500000000,1.25,1\nnone,,,,0\n")
    }

    @Test("Markdown keeps a row on its line, and figures to the right")
    func markdown() throws {
        let text = try MarkdownExport.text(Self.result(verdict: false))
        #expect(text.hasPrefix("# vmemmap trial\n\n"))
        #expect(text.contains("**Failed.**"))
        #expect(
            text.hasSuffix(
                """
                ## thing

                What a row is.

                | name | frames | duration | speed_ratio | known |
                | :--- | ---: | ---: | ---: | ---: |
                | a,"b"\\|\\\\c d | 12 | 1.50 s | 1.250 | yes |
                | none |  |  |  | no |

                """))
    }

    @Test("Prometheus text is in base units, each family once, without samples of what was not measured")
    func prometheus() throws {
        let text = try PrometheusExport.text(Self.result())
        #expect(text.hasSuffix("\n"))
        #expect(text.contains("\nvmemmap_trial_holds 1\n"))
        #expect(
            text.hasSuffix(
                #"""
                # HELP vmemmap_trial_thing_frames How many \\ frames.
                # TYPE vmemmap_trial_thing_frames gauge
                vmemmap_trial_thing_frames{name="a,\"b\"|\\c\#r\nd"} 12
                # HELP vmemmap_trial_thing_duration_seconds How long.
                # TYPE vmemmap_trial_thing_duration_seconds gauge
                vmemmap_trial_thing_duration_seconds{name="a,\"b\"|\\c\#r\nd"} 1.5
                # HELP vmemmap_trial_thing_speed_ratio Over the C baseline.
                # TYPE vmemmap_trial_thing_speed_ratio gauge
                vmemmap_trial_thing_speed_ratio{name="a,\"b\"|\\c\#r\nd"} 1.25
                # HELP vmemmap_trial_thing_known Whether frames were counted.
                # TYPE vmemmap_trial_thing_known gauge
                vmemmap_trial_thing_known{name="a,\"b\"|\\c\#r\nd"} 1
                vmemmap_trial_thing_known{name="none"} 0

                """#.replacing("\\#r", with: "\r")))
        #expect(try !PrometheusExport.text(Self.result(verdict: nil)).contains("_holds"))
    }

    @Test("The rows of a result's tables are told apart by their labels, and its names by their tables")
    func labels() throws {
        let demo = try DemoExperiment(
            EmulatedMemory(pages: .init(2), pageSize: .twoMebibytes, scheme: .firstTail), walkers: 1,
            raceNanoseconds: 1_000_000
        ).run()
        let plan = try PlanExperiment(
            memory: nil, sizes: [.twoMebibytes, .oneGibibyte], schemes: [.head, .sharedTail], backing: .memfd,
            tailFrames: .auto
        ).run()
        for tables in [demo.tables, plan.tables] {
            #expect(Set(tables.map(\.name)).count == tables.count)
            for table in tables {
                #expect(Set(table.headings.map(\.name)).count == table.headings.count)
                let labels = table.headings.indices.filter { table.headings[$0].unit == .label }
                #expect(Set(table.rows.map { row in labels.map { row[$0] } }).count == table.rows.count)
                for heading in table.headings { #expect(heading.name.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil) }
            }
        }
    }
}
