import HostMemory
import Testing

@Suite("vmemmap bench")
struct BenchCommandTests {
    // As root, the host's own pool is measured.
    @Test("One scheme on one backing fits one screen, and ends in the letter's manner", .hostSettingsTurn)
    func oneScreen() async throws {
        let outcome = try await Command.run(["bench", "--pages", "16", "--pairs", "2", "--peers", "baseline,kernel"])
        #expect(outcome.code == 0, "\(outcome)")
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count <= 24)
        #expect(
            lines.contains {
                $0.wholeMatch(of: /optimizing makes allocation [0-9.]+x slower \(.* a huge page\), freeing .*x/) != nil
            })
        #expect(
            lines.contains {
                $0.hasPrefix("published (v5 cover letter, kernel, 10 240 x 2 MiB): allocation 2.5x slower")
            })
        #expect(lines.contains { $0.hasPrefix("kernel: ") })
    }

    @Test(
        "Where nothing fits, it exits with 3 and says what does",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func nothingFits() async throws {
        let outcome = try await Command.run(["bench", "--pages", "100000"])
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.firstMatch(of: /\d+ fit: use --pages \d+/) != nil)
    }

    @Test("Each huge page alone is drawn as a histogram")
    func histograms() async throws {
        let outcome = try await Command.run([
            "bench", "--pages", "16", "--pairs", "1", "--scheme", "shared-tail", "--histograms",
        ])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("allocate, synchronous, optimizing on, ns: p50 "))
        #expect(outcome.output.firstMatch(of: /\[\d+K?M?, \d+K?M?\) +\d+ \|@+ *\|\n/) != nil)
    }
}
