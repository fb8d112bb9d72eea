import HostMemory
import Testing

@Suite("vmemmap bench")
struct BenchCommandTests {
    // As root, the host's own pool is measured.
    @Test("One scheme on one backing fits one screen; a handful of huge pages is not judged", .hostSettingsTurn)
    func oneScreen() async throws {
        let outcome = try await Command.run(["bench", "--pages", "16", "--pairs", "2", "--peers", "baseline,kernel"])
        #expect(outcome.code == 0, "\(outcome)")
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count <= 24)
        #expect(
            lines.contains { $0.hasPrefix("Note: no time is judged: 16 huge pages are too few (512 or more tell), ") })
        #expect(!lines.contains { $0.contains("slower") })
        #expect(lines.contains { $0.hasPrefix("kernel: ") || $0.hasPrefix("the kernel, per huge page") })
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

    @Test("A signal ends it with the pairs that there are, exports and all, and the signal's exit code")
    func interrupted() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Command.shell(
            """
            "$0" bench --pages 512 --pairs 1000 --peers baseline --export-json \(folder.path("b.json")) > out & pid=$!
            # Into the pairs: the signals are blocked from the first thread on.
            for _ in {1..500}; do [ "$(ls /proc/$pid/task | wc -l)" -ge 2 ] && break; sleep 0.02; done
            sleep 1; kill -TERM $pid; wait $pid; echo $? >&2; cat out
            """)
        #expect(outcome.error.hasSuffix("143\n"), "\(outcome)")
        let result = try JSON(text: folder.text("b.json"))
        #expect(result["ended_by_signal"]?.double == 15)
        let pairs = try #require(
            result["combinations"]?.elements.first?["outcome"]?["synchronous"]?["pairs"]?.elements)
        #expect((1..<1000).contains(pairs.count))
        #expect(outcome.output.contains("Note: ended by signal 15: these are the pairs until then"))
        #expect(outcome.output.contains("baseline: ended by a signal before it began"))
    }
}
