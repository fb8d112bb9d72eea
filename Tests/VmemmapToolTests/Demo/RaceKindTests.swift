import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Races with a gap, and with walkers that take references")
struct RaceKindTests {
    private static func race(
        _ kind: RaceKind, _ scheme: Scheme, _ backing: Backing
    ) throws -> RaceResult {
        try RaceExperiment(
            EmulatedMemory(pages: HugePageCount(8), pageSize: .twoMebibytes, scheme: scheme, backing: backing), kind,
            walkers: 2, nanosecondsEach: 100_000_000
        ).run()
    }

    @Test("Readers fault in a gap, and never under the engine", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func gap(_ scheme: Scheme, _ backing: Backing) throws {
        // On a busy host a walker may not look in time.
        for _ in 0..<100 {
            let result = try Self.race(.gap, scheme, backing)
            #expect(result.holds && result.side(.atomic).faults == 0 && result.side(.gap).wrongReads == 0)
            if result.side(.gap).faults == 0 { continue }
            #expect(RaceReport.lines(result).contains { $0.hasPrefix("Readers faulted ") })
            return
        }
        Issue.record("nobody looked into the gap in 100 runs")
    }

    @Test(
        "With the check and the grace period no store meets a read-only tail",
        arguments: Scheme.ofHugeTLB, Backing.allCases)
    func checked(_ scheme: Scheme, _ backing: Backing) throws {
        let result = try Self.race(.speculative, scheme, backing)
        let side = result.side(.checked)
        #expect(result.holds && side.faults == 0 && side.references > 0 && side.cycles > 0)
        let isCaught = result.side(.unchecked).faults > 0
        let mark = isCaught ? "ok    " : "?     "
        let lines = RaceReport.lines(result)
        #expect(lines.contains { $0.hasPrefix(mark + "no checked walker stores into a read-only tail") })
        #expect(lines.last == (isCaught ? "1 check passed" : "0 of 1 check passed, 1 not measured"))
    }

    @Test("With more walkers than can give back what they hold the race is refused")
    func walkers() async throws {
        let outcome = try await Command.run(["demo", "--race", "speculative", "--pages", "1", "--walkers", "64"])
        #expect(outcome.code == 64 && outcome.error.contains("must be from 1 to 2, not 64"), "\(outcome)")
    }

    @Test("Without them one does", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func unchecked(_ scheme: Scheme, _ backing: Backing) throws {
        for _ in 0..<100 where try Self.race(.speculative, scheme, backing).side(.unchecked).faults > 0 { return }
        Issue.record("no store met a read-only tail in 100 runs")
    }

    @Test("The same on huge pages of which each is many", arguments: Scheme.ofHugeTLB)
    func gigantic(_ scheme: Scheme) throws {
        let memory = EmulatedMemory(pages: 2, pageSize: .oneGibibyte, scheme: scheme, backing: .anonymous)
        for _ in 0..<20 {
            let result = try RaceExperiment(memory, .speculative, walkers: 2, nanosecondsEach: 1).run()
            #expect(result.holds && result.side(.checked).faults == 0)
            if result.side(.unchecked).faults > 0 { return }
        }
        Issue.record("no store met a read-only tail in 20 runs")
    }

    @Test("A fault under the right way is a violation")
    func violation() throws {
        let real = try Self.race(.speculative, .sharedTail, .anonymous)
        var side = real.side(.checked)
        side.faults = 1
        let result = RaceResult(
            host: real.host, configuration: real.configuration, plan: real.plan,
            sides: [real.side(.unchecked), side])
        #expect(!result.holds)
        let lines = RaceReport.lines(result)
        #expect(lines.contains("FAIL  no checked walker stores into a read-only tail"))
        #expect(lines.contains("        faults: expected 0, measured 1") && lines.last == "1 of 1 check failed")
    }

    @Test("What readers pay is measured of every encoding, order and state, and every head is right")
    func readers() throws {
        let result = try ReaderCostExperiment(pages: HugePageCount(4), passes: 1).run()
        #expect(result.holds && result.rows.count == 16)
        #expect(result.checks.map(\.id) == ["heads_found_right"] && result.checks[0].outcome == .passed)
        #expect(ReaderCostReport.lines(result).last == "1 check passed")
        let wrong = ReaderCostResult(
            host: result.host, configuration: result.configuration,
            rows: result.rows.map { row in
                ReaderCostResult.Row(
                    encoding: row.encoding, order: row.order, state: row.state, headNanoseconds: row.headNanoseconds,
                    isRight: Measured(row.isRight.value.map { $0 && row.encoding != .mask }))
            })
        #expect(!wrong.holds && ReaderCostReport.lines(wrong).last == "1 of 1 check failed")
        #expect(
            result.rows.allSatisfy { $0.headNanoseconds.min > 0 && $0.headNanoseconds.max >= $0.headNanoseconds.min })
        #expect(ReaderCostReport.lines(result).contains { $0.contains("2.11, 2.54, 2.97 ns") })
    }
}
