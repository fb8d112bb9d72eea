import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("The page of a stress run")
struct StressPageTests {
    private static func figures(
        _ remaps: Int, nanoseconds: Int, setUps: Int, elapsed: Int = 2_000_000_000
    ) -> StressFigures {
        var figures = StressFigures()
        figures.elapsedNanoseconds = elapsed
        figures.remaps = remaps
        figures.regionRemaps = remaps
        figures.regionRemapNanoseconds = nanoseconds
        figures.takeMeans()
        figures.headReads = 3_000_000
        figures.setUps = setUps
        figures.shortages.mappings = 1200
        return figures
    }

    private static func footprint(_ mebibytes: Int?, _ mappings: Int) -> StressFootprint {
        StressFootprint(
            rssBytes: Measured(mebibytes.map { .mebibytes($0) }), mappings: MappingCount(mappings), openFiles: 7)
    }

    private static func result(
        _ footprints: [StressFootprint], violation: StressViolation? = nil,
        faults: StressConfiguration.Faults = .all, isComplete: Bool = true
    ) throws -> StressResult {
        let combinations = [
            StressCombinationResult(
                scheme: .head, backing: .memfd, figures: figures(1000, nanoseconds: 5_000_000, setUps: 2)),
            StressCombinationResult(
                scheme: .firstTail, backing: .anonymous, figures: figures(0, nanoseconds: 70, setUps: 2)),
        ]
        return StressResult(
            host: try .current(), seed: 11,
            configuration: StressBlock(StressConfiguration(pages: HugePageCount(64), faults: faults)),
            combinations: combinations,
            total: figures(1000, nanoseconds: 5_000_000, setUps: 4),
            leftOut: ["nothing <of> it"], footprints: footprints,
            history: [500, 1000].map { (remaps: Int) in
                StressMoment(figures(remaps, nanoseconds: 0, setUps: 1, elapsed: remaps * 1_000_000))
            },
            checks: StressCheck.allCases.map {
                $0.result(times: $0 == .keepsToFrameBudget ? 0 : 12, isViolated: violation?.check == $0.id)
            }, wasEnded: false, isComplete: isComplete, violation: violation)
    }

    @Test("A combination that had no operations, or was not reached, is said to be untested: no failure, no success")
    func untested() throws {
        func result(_ operations: [Int]) throws -> StressResult {
            let configuration = StressConfiguration(schemes: [.head, .sharedTail], backings: [.anonymous])
            let combinations = zip(configuration.combinations, operations).map { combination, operations in
                var figures = StressFigures()
                figures.operations = operations
                return StressCombinationResult(
                    scheme: combination.scheme, backing: combination.backing, figures: figures)
            }
            return StressResult(
                host: try .current(), of: configuration, combinations: combinations, total: StressFigures(),
                leftOut: [], footprints: [], history: [],
                checks: [StressCheck.pageIsLegal.result(times: 1, isViolated: false)], wasEnded: false,
                isComplete: true, violation: nil)
        }
        #expect(StressReport.lines(try result([3, 1])).last == "2 checks passed")
        for operations in [[3, 0], [3]] {
            let untested = try result(operations)
            #expect(untested.holds && untested.checks.last?.id == "every_combination_is_run")
            #expect(
                StressReport.lines(untested).suffix(4) == [
                    "?     every combination had operations",
                    "        operations_shared_tail_anonymous: expected at least 1, not measured",
                    "        operations of all workers; a longer run reaches every combination",
                    "1 of 2 checks passed, 1 not measured",
                ])
        }
    }

    @Test("What was done a second is drawn over time; of a run under way the page says so")
    func overTime() throws {
        let page = HTMLExport.text(try Self.result([]))
        #expect(page.contains(">What was done a second</title>"))
        // 500 in each half second.
        #expect(page.contains("remaps a second: from 1\u{a0}000 to 1\u{a0}000"))
        #expect(!page.contains("had not ended"))
        #expect(try HTMLExport.text(Self.result([], isComplete: false)).contains("The run had not ended when this was"))
    }

    @Test("The history of a run of any length has a page's worth of moments, evenly spaced")
    func history() {
        var history = StressHistory()
        for second in 1...100_000 {
            let figures = Self.figures(second, nanoseconds: 0, setUps: 1, elapsed: second * 1_000_000_000)
            if history.isDue(figures.elapsedNanoseconds) { history.note(figures) }
        }
        let seconds = history.moments.map { $0.elapsedNanoseconds / 1_000_000_000 }
        #expect(seconds.count > StressHistory.most / 3 && seconds.count <= StressHistory.most)
        #expect(seconds == Array(stride(from: seconds[0], through: seconds[0] * seconds.count, by: seconds[0])))
    }

    @Test("It says what was run, how fast each scheme was, what was checked, and whether the process grew")
    func passed() throws {
        let page = HTMLExport.text(try Self.result((0..<4).map { Self.footprint(20 + $0, 100) }))
        let most = StressCheck.allCases.count
        for text in [
            "64 huge pages of 2.00 MiB each", "2 workers, 3 walkers, faults: all", "seed 11.",
            "\(most - 1) of \(most) checks passed, 1 not measured.", "Scheme by scheme",
            ">Remaps a second</title>", "head, memfd: 500; first-tail, anonymous: 0",
            "head, memfd: 5.0 us",
            "Made scarce: address space in 0 rounds, mappings in 1\u{a0}200, descriptors in 0, room on a tmpfs in 0, "
                + "frames in 0.",
            "Left out: nothing &lt;of&gt; it", "times 12, violations 0", "this run did not look at it",
            "RSS: first 20.00 MiB, last 23.00 MiB, at most 23.00 MiB", "1 head, memfd; 2 first-tail, anonymous.",
        ] {
            // Not the page itself: a failure would print all of it.
            let isThere = page.contains(text)
            #expect(isThere, "\(text)")
        }
        // What was never remapped took no time that could be told.
        #expect(!page.contains("first-tail, anonymous: 70 ns"))
        #expect(!page.contains("id=\"violation\""))
    }

    @Test("A violation comes first, with states, mappings and operations as they are")
    func failed() throws {
        let violation = StressViolation(
            check: StressCheck.regionMappings.id, statement: StressCheck.regionMappings.statement,
            detail: "expected 1 024, found 3", seed: 11, scheme: .head,
            backing: .memfd, setUp: 1, round: 2, states: ["huge page 3 at 0x7f00: restored"],
            mappings: ["7f00-7f01 rw-s 00000000 00:01 1234 100 /memfd:a<b"], lastOperations: ["worker 0 #1: done"])
        let page = HTMLExport.text(try Self.result([Self.footprint(nil, 100)], violation: violation))
        for text in [
            "The region has the mappings of the plan: not so.",
            "1 of \(StressCheck.allCases.count) checks failed, 1 not measured.", "Again with --seed 11.",
            "<pre>huge page 3 at 0x7f00: restored</pre>",
            "<pre>7f00-7f01 rw-s 00000000 00:01 1234 100 /memfd:a&lt;b</pre>", "<pre>worker 0 #1: done</pre>",
            "aria-label=\"failed\"", "RSS not measured",
        ] {
            let isThere = page.contains(text)
            #expect(isThere, "\(text)")
        }
    }

    @Test("With nothing to fail nothing is said of failures; one set-up, or none, draws no line")
    func little() throws {
        for count in 0...1 {
            let page = HTMLExport.text(
                try Self.result((0..<count).map { _ in Self.footprint(20, 100) }, faults: .off))
            #expect(!page.contains("id=\"faults\"") && !page.contains("id=\"footprints\""))
            #expect(page.contains("id=\"growth\"") == (count == 1))
        }
    }

    @Test("The mean of a part of a run is of that part")
    func means() {
        let all = Self.figures(1000, nanoseconds: 5_000_000, setUps: 2)
        let part = all.since(Self.figures(400, nanoseconds: 4_400_000, setUps: 1))
        #expect(part.remapMeanNanoseconds == .value(1000))
        #expect(all.since(all).remapMeanNanoseconds == .notMeasured)
    }
}
