import HostMemory
import Testing

@testable import VmemmapTool

@Suite("Checks")
struct CheckTests {
    private static let passed = Check("frames", "all frames", [.equal("distinct_frames", 4, 4)], method: "pagemap")
    private static let failed = Check("file", "all bytes", [.equal("memfd_bytes", 4096, 8192)], method: "st_blocks")
    private static let unknown = Check("split", "all split", [.equal("folios", 0, nil), .some("reads", 1)], method: "")

    @Test("The closing line counts what passed, and never what was not measured")
    func closing() {
        #expect(Check.closing([Self.passed, Self.passed]) == "2 checks passed")
        #expect(Check.closing([Self.passed, Self.failed]) == "1 of 2 checks failed")
        #expect(Check.closing([Self.passed, Self.unknown]) == "1 of 2 checks passed, 1 not measured")
        #expect(Check.closing([Self.failed, Self.unknown]) == "1 of 2 checks failed, 1 not measured")
    }

    @Test("A figure that is at most, or at least, something is never 0; without one of the numbers it is not measured")
    func bounds() {
        #expect([0, 1, 4, 5].map { Check.Figure.atMost("a", 4, $0).outcome == .passed } == [false, true, true, false])
        #expect([0, 1].map { Check.Figure.some("a", $0).outcome } == [.failed, .passed])
        #expect(Check.Figure.equal("a", nil, 1).outcome == .notMeasured)
        #expect([0, 1].map { Check.Figure.tried("a", $0).outcome } == [.notMeasured, .passed])
    }

    @Test("One wrong read of walkers fails, and none of no reads says nothing")
    func walkers() {
        #expect(Check.walkersReadRight(wrong: 1, of: 5).outcome == .failed)
        #expect(Check.walkersReadRight(wrong: 0, of: 5).outcome == .passed)
        #expect(Check.walkersReadRight(wrong: 0, of: 0).outcome == .notMeasured)
    }

    @Test("In text, what disagrees is told with its figures and its source")
    func text() {
        #expect(
            Check.lines([Self.passed, Self.failed, Self.unknown], .plain) == [
                "ok    all frames: distinct frames 4",
                "FAIL  all bytes", "        memfd_bytes: expected 4 096, measured 8 192", "        st_blocks",
                "?     all split", "        folios: expected 0, not measured", "1 of 3 checks failed, 1 not measured",
            ])
    }

    private struct Result: ExportableResult {
        static let command = "trial"
        let host: HostBlock
        let checks: [Check]
        let tables: [ExportTable] = []

        func encode(to encoder: any Encoder) throws { try host.encode(to: encoder) }
    }

    @Test("In Prometheus text each figure is a metric with its unit at the end; what was not measured has no sample")
    func prometheus() throws {
        let text = PrometheusExport.text(
            Result(host: try .current(), checks: [Self.passed, Self.failed, Self.unknown]))
        let samples = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.dropFirst(2)
        #expect(
            Array(samples) == [
                "vmemmap_trial_holds 0", "vmemmap_trial_check_passed{id=\"frames\"} 1",
                "vmemmap_trial_check_passed{id=\"file\"} 0",
                "vmemmap_trial_check_figure_distinct_frames_expected{id=\"frames\"} 4",
                "vmemmap_trial_check_figure_distinct_frames_measured{id=\"frames\"} 4",
                "vmemmap_trial_check_figure_memfd_expected_bytes{id=\"file\"} 4096",
                "vmemmap_trial_check_figure_memfd_measured_bytes{id=\"file\"} 8192",
                "vmemmap_trial_check_figure_folios_expected{id=\"split\"} 0",
                "vmemmap_trial_check_figure_reads_expected{id=\"split\"} 1",
                "vmemmap_trial_check_figure_reads_measured{id=\"split\"} 1",
            ])
    }

    @Test("A table on a terminal has the columns with a short heading, and no label without one that all rows share")
    func table() {
        let table = ExportTable(
            "thing", "A thing.", [("head", 2048), ("head", 4096)],
            [
                .label("scheme", "How.") { $0.0 }.shown(""), .label("number", "Which.") { "\($0.1)" }.shown("number"),
                .bytes("size", "How much.") { ByteCount($0.1) }.shown("size\nKiB"),
                .count("hidden", "Not there.") { $0.1 },
            ])
        #expect(table.lines(.plain) == ["        size", "number   KiB", "2048       2", "4096       4"])
    }
}
