import FoundationEssentials
import HostMemory
import Testing

@testable import VmemmapTool

/// Reports of fixed results: `Snapshots/NAME.json` in the folder of a subcommand, and `NAME.txt`, what is printed of it
/// on a terminal of 80 columns. With VMEMMAP_RECORD_SNAPSHOTS set, the texts are written anew.
@Suite("Text reports of fixed results")
struct SnapshotTests {
    private static let style = Style(width: 80, isColored: false, isVerbose: false)

    private static func result<Result: Decodable>(_ text: String) throws -> Result {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Result.self, from: Data(text.utf8))
    }

    private static func lines(_ path: String) throws -> [String] {
        let text = try Repository.text(of: path + ".json")
        return switch path.split(separator: "/").last {
        case "demo": DemoReport.lines(try result(text), style)
        case "race": RaceReport.lines(try result(text), style)
        case "savings", "savings-pmd": SavingsReport.lines(try result(text), style)
        case "plan": ForecastReport.lines(try result(text), style)
        case "inspect": InspectReport.lines(try result(text), style)
        case "bench": BenchReport.lines(try result(text), style)
        case "kernel": KernelReport.lines(try result(text), style)
        case "stress": StressReport.lines(try result(text) as StressResult, style)
        default: []
        }
    }

    @Test(
        "The report is the one that is kept, and fits 80 columns",
        arguments: [
            "Demo/Snapshots/demo", "Demo/Snapshots/race", "Savings/Snapshots/savings",
            "Savings/Snapshots/savings-pmd", "Plan/Snapshots/plan", "Inspect/Snapshots/inspect",
            "Bench/Snapshots/bench", "Kernel/Snapshots/kernel", "Stress/Snapshots/stress",
        ])
    func report(_ name: String) throws {
        let path = "Tests/VmemmapToolTests/\(name)"
        let lines = try Self.lines(path)
        #expect(lines.allSatisfy { $0.count <= 80 })
        let text = lines.joined(separator: "\n") + "\n"
        if !HostKernel.environment(["VMEMMAP_RECORD_SNAPSHOTS"]).isEmpty {
            try Data(text.utf8).write(to: URL(filePath: "\(Command.repository)/\(path).txt"))
        }
        #expect(text == (try Repository.text(of: path + ".txt")))
    }
}
