import SystemPackage
import Testing

@Suite("HTML pages")
struct PageTests {
    /// What makes pages of every kind: schemes, sizes of huge page, a region built optimized, a dry run, no figure of
    /// its own.
    private static let runs = [
        ["demo", "--pages", "16"],
        [
            "demo", "--pages", "1", "--page-size", "1G", "--scheme", "shared-tail", "--tail-frames", "auto",
            "--backing",
            "memfd",
        ],
        ["savings", "--memory", "256M", "--scheme", "head"],
        ["savings", "--memory", "1G", "--page-size", "1G", "--at-boot"],
        ["savings", "--memory", "8G", "--page-size", "1G", "--dry-run", "--tail-frames", "auto"],
        ["bench", "--pages", "4", "--pairs", "1", "--histograms"],
        ["bench", "--pages", "4", "--pairs", "1", "--scheme", "all", "--backing", "all"],
        [
            "stress", "--duration", "2s", "--scheme", "all", "--backing", "all", "--pages", "16", "--faults", "all",
            "--seed", "7",
        ],
        ["demo", "--race", "--race-duration", "1s", "--pages", "16"],
        ["pool", Command.repository + "/scripts/examples/nodes.pool"],
        ["kernel"],
        ["inspect", "--pages", "8"],
        ["pool", Command.repository + "/scripts/examples/surplus.pool"],
        ["plan", "--memory", "128G"],
    ]

    @Test(
        "Each is well-formed and loads nothing; in Chromium, at both widths, no texts overlap, nothing is cut off"
    )
    func inABrowser() async throws {
        let folder = try TemporaryFolder()
        var pages: [String] = []
        for (number, run) in Self.runs.enumerated() {
            let page = folder.path("\(run[0])-\(number).html")
            let outcome = try await Command.run(run + ["--export-html", page])
            #expect(outcome.code == 0, "\(outcome)")
            pages.append(page)
        }
        try await Self.check(pages)
    }

    @Test(
        "The check finds what is wrong",
        arguments: [("page 1<", "page 1 that is far too long to stay in its box<"), ("</html>", "")])
    func theCheckItself(_ change: (String, String)) async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.run(["demo", "--pages", "2", "--export-html", "-"])
        #expect(outcome.output.contains(change.0))
        try folder.write(outcome.output.replacing(change.0, with: change.1), to: "wrong.html")
        let found = try await Command.run(Self.checker, [folder.path("wrong.html")])
        try Self.skip(found)
        #expect(found.code == 1, "\(found)")
    }

    private static var checker: FilePath { FilePath(Command.repository + "/scripts/check-pages") }

    private static func check(_ pages: [String]) async throws {
        let outcome = try await Command.run(checker, pages)
        try skip(outcome)
        #expect(outcome.code == 0, "\(outcome)")
    }

    /// 77: no Chromium, and what needs none holds. 127: env found no Python.
    private static func skip(_ outcome: Command.Outcome) throws {
        if outcome.code == 77 || outcome.code == 127 {
            try Test.cancel("not looked at in a browser: \(outcome.error)")
        }
    }
}
