import FoundationEssentials
import Glibc
import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("The benchmark's result on real memory")
struct BenchResultTests {
    @Test("Every scheme on every backing is measured, on and off, synchronous and deferred; every pair is told")
    func everyCombination() throws {
        let bench = BenchExperiment(
            pages: HugePageCount(32), schemes: Scheme.ofHugeTLB, backings: Backing.allCases, pairs: 2,
            peers: [.baseline]
        )
        let result = try bench.run()
        #expect(result.combinations.count == 6)
        for combination in result.combinations {
            let outcome = try #require(combination.measured)
            for timing in [outcome.synchronous, outcome.deferred] {
                #expect(timing.pairs.count == 2)
                for run in timing.pairs.flatMap({ [$0.on, $0.off] }) {
                    #expect(run.allocate.wallNanoseconds > 0 && run.free.wallNanoseconds > 0)
                    #expect(run.untilRestored.wallNanoseconds >= run.free.wallNanoseconds)
                }
                let wall = timing.pairs.map {
                    (on: $0.on.allocate.wallNanoseconds, off: $0.off.allocate.wallNanoseconds)
                }
                #expect(timing.allocate.ratio == Spread(wall.map { Double($0.on) / Double($0.off) }))
                #expect(timing.allocate.onNanoseconds == Spread(wall.map { Double($0.on) / 32 }))
                #expect(timing.allocate.offNanoseconds == Spread(wall.map { Double($0.off) / 32 }))
            }
            #expect(outcome.synchronous.free == outcome.synchronous.untilRestored)
            #expect(outcome.latencies.isEmpty && outcome.readers.value == nil && outcome.ksm.value == nil)
        }
        #expect(result.verdict == nil && result.checks.isEmpty)
        let goal = try #require(result.goals.first)
        #expect(result.goals.map(\.figure) == [.overBaseline, .growOverEngine, .shrinkOverEngine])
        #expect(goal.limitRatio == 1.05)
        // A handful of huge pages: figures, and no verdict.
        #expect(result.goals.allSatisfy { $0.isReached.value == nil })
        let few = "32 huge pages are too few (512 or more tell), and 2 pairs are too few (5 or more tell)"
        #expect(result.notJudged.value == few)
        #expect(result.goalTable.rows.count == 3 && MarkdownExport.text(result).contains("No time is judged: \(few)."))
        let ratios = result.combinations.compactMap { $0.measured?.baseline.value }.flatMap {
            [$0.optimize.ratio.median, $0.restore.ratio.median]
        }
        #expect(goal.measuredRatio == ratios.max())
        let lines = BenchReport.lines(result, Style(width: nil, isColored: false, isVerbose: true))
        #expect(lines.count { $0.hasPrefix("allocate ") } == 6)
        #expect(lines.contains("Note: no time is judged: \(few)."))
        #expect(!lines.contains { $0.contains("optimizing makes allocation") || $0.contains("bound it") })
        #expect(lines.count { $0.contains(", 2, on ") } == 12)
    }

    @Test("Single huge pages are timed in a pass of their own, each of them; readers see nothing wrong")
    func latenciesAndReaders() throws {
        let bench = BenchExperiment(pages: HugePageCount(16), pairs: 1, walkers: 1, takesHistograms: true)
        var told: [Progress] = []
        let result = try bench.run(progress: { told.append($0) })
        // Two pools and the readers, each once to warm up and once to count.
        #expect(told == (1...6).map { .count("bench", $0, of: 6, unit: "pairs") })
        let outcome = try #require(result.combinations.first?.measured)
        #expect(
            outcome.latencies.map(\.release) == [.synchronous, .synchronous, .deferred, .deferred]
                && outcome.latencies.map(\.isOptimizing) == [false, true, false, true])
        for latency in outcome.latencies { #expect(latency.allocate.count == 16 && latency.free.count == 16) }
        let readers = try #require(outcome.readers.value)
        #expect(readers.reads > 0 && readers.wrongReads == 0)
        #expect(result.verdict == true && result.checks.map(\.id) == ["walkers_read_right"])
        #expect(BenchReport.lines(result).last == "1 check passed")
        let text = try JSONExport.text(result).replacing("\"wrong_reads\" : 0", with: "\"wrong_reads\" : 1")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let wrong = try decoder.decode(BenchResult.self, from: Data(text.utf8))
        #expect(!wrong.holds && BenchReport.lines(wrong).last == "1 of 1 check failed")
        #expect(readers.besideBaseline.value == nil)
        #expect(outcome.baseline.reason.value == "not asked for (--peers)")
    }

    @Test("With readers, the C baseline is measured under them too, and is a goal of its own")
    func baselineWithReaders() throws {
        for backing in Backing.allCases {
            let bench = BenchExperiment(
                pages: HugePageCount(70), backings: [backing], pairs: 2, peers: [.baseline], walkers: 1)
            var told: [Progress] = []
            let result = try bench.run(progress: { told.append($0) })
            // Two pools, the baseline and the readers, each warmed up, and the baseline with readers.
            #expect(told == (1...14).map { .count("bench", $0, of: 14, unit: "pairs") })
            let readers = try #require(result.combinations.first?.measured?.readers.value)
            let sides = try #require(readers.besideBaseline.value)
            #expect(readers.wrongReads == 0 && result.verdict == true)
            #expect(result.goals.map(\.figure).prefix(2) == [.overBaseline, .overBaselineWithReaders])
            #expect(
                result.goals[1].measuredRatio == max(sides.optimize.ratio.median, sides.restore.ratio.median))
            let text = BenchReport.lines(result, Style(width: nil, isColored: false, isVerbose: false))
            #expect(text.contains { $0.hasPrefix("baseline with readers, restore") })
        }
    }

    @Test("A GiB of huge pages tells what the pool costs over the engine, and demoting over growing")
    func poolGoals() throws {
        let bench = BenchExperiment(pages: HugePageCount(512), schemes: [.sharedTail], pairs: 5)
        let result = try bench.run()
        let outcome = try #require(result.combinations.first?.measured)
        #expect(result.goals.map(\.figure) == [.growOverEngine, .shrinkOverEngine, .demoteOverGrow])
        let over = outcome.synchronous.overEngine
        #expect(
            result.goals.map(\.measuredRatio) == [
                over.grow.median, over.shrink.median, outcome.demoteOverGrow.value?.median,
            ])
        #expect(over.grow.median > 0 && result.goals.map(\.limitRatio) == [1.25, 1.25, 1.5])
        #expect(result.notJudged.value == nil && result.goals.allSatisfy { $0.isReached.value != nil })
        let lines = BenchReport.lines(result)
        let verdict = /optimizing makes allocation [0-9.]+x slower \(.* a huge page\), freeing .*x/
        #expect(lines.contains { $0.wholeMatch(of: verdict) != nil })
        #expect(
            lines.contains {
                $0.hasPrefix("published (v5 cover letter, kernel, 10 240 x 2 MiB): allocation 2.5x slower")
            })
    }

    @Test("1 GiB pages are measured as well")
    func gigantic() throws {
        let result = try BenchExperiment(pages: HugePageCount(2), pageSize: .oneGibibyte, pairs: 1).run()
        #expect(result.combinations.first?.measured?.plan.pages == HugePageCount(2))
    }

    @Test(
        "What does not fit has a row with the figure, the limit and the way out; the rest is measured",
        .enabled(
            if: (try? HostLimits.maxMapCount()) == MappingCount(65530), "vm.max_map_count is not the kernel's default"))
    func doesNotFit() throws {
        // 8 mappings a huge page, and 2.
        let bench = BenchExperiment(pages: HugePageCount(9000), schemes: [.firstTail, .sharedTail], pairs: 1)
        let result = try bench.run()
        let reason = try #require(result.combinations[0].refusal.value)
        #expect(reason.hasPrefix("9 000 huge pages of 2.00 MiB need 72 000 mappings, but vm.max_map_count is 65530, "))
        #expect(reason.firstMatch(of: #/use --pages \d+ or --tail-frames \d, or raise it \(as root: /#) != nil)
        #expect(result.combinations[1].measured != nil)
        #expect(BenchReport.lines(result).contains { $0.hasPrefix("first-tail, anonymous: not measured: 9 000 huge") })
        #expect(throws: ExperimentError.self) {
            try BenchExperiment(pages: HugePageCount(1_000_000_000), pairs: 1).run()
        }
    }

    @Test("Peers that may not be used say why", .enabled(if: geteuid() != 0, "only for an ordinary user"))
    func notPermitted() throws {
        let bench = BenchExperiment(pages: HugePageCount(16), pairs: 1, peers: [.ksm, .kernel])
        let changes = try bench.prepare(raisingMapLimit: false)
        let result = try bench.run(changes)
        #expect(changes.settings.isEmpty)
        #expect(result.combinations.first?.measured?.ksm.value == nil)
        #expect(result.kernel.value == nil && result.kernel.reason.value != nil)
        #expect(BenchReport.lines(result).contains { $0.hasPrefix("ksm: not permitted") })
    }

    @Test("A benchmark that is ended keeps a pair of what it had begun, and says what it had not")
    func ended() throws {
        let control = BenchControl()
        control.end(by: 15)
        let bench = BenchExperiment(
            pages: HugePageCount(16), schemes: [.head, .sharedTail], pairs: 7, peers: [.baseline], walkers: 1)
        let result = try bench.run(control: control)
        let outcome = try #require(result.combinations.first?.measured)
        #expect(outcome.synchronous.pairs.count == 1 && outcome.deferred.pairs.count == 1)
        #expect(outcome.baseline.reason.value == BenchControl.reason && outcome.readers.value == nil)
        #expect(result.combinations[1].refusal.value == BenchControl.reason)
        #expect(result.endedBySignal.value == 15 && result.notJudged.value?.contains("1 pair is too few") == true)
        #expect(result.notes.first?.hasPrefix("ended by signal 15") == true)
    }

    @Test("Who goes first changes with every pair")
    func order() {
        var order = ""
        let pairs = PairedRuns.alternate(
            3,
            { () -> Int in
                order += "a"
                return 1
            },
            { () -> Int in
                order += "b"
                return 2
            })
        #expect(order == "abbaab")
        #expect(pairs.allSatisfy { $0.first == 1 && $0.second == 2 })
    }

    @Test("The spread of runs is their middle, their smallest and their largest; ratios are taken pair by pair")
    func spread() {
        #expect(Spread([3, 1, 2]) == Spread([2, 3, 1]))
        #expect(Spread([4, 1, 2, 3]).median == 2.5)
        #expect(Spread([]).median.isNaN)
        let runs = PairedRuns([.init(200, 100), .init(300, 300), .init(100, 400)], pages: 10)
        #expect(runs.ratio.median == 1 && runs.ratio.min == 0.25 && runs.ratio.max == 2)
        #expect(runs.engineNanoseconds.median == 20 && runs.peerNanoseconds.median == 30)
    }

    @Test(
        "A pair that stands far out of the quartiles is named, and none of a few",
        arguments: [
            ([10, 11, 12, 13, 40], [4]), ([40, 11, 12, 13, 10], [0]), ([10, 11, 12, 13, 19], []),
            ([10, 11, 12, 13, 20], [4]), ([1, 1, 1, 1, 2], [4]), ([1, 1, 1, 100], []), ([], []),
            ([5, 10, 11, 12, 13, 14, -90], [6]),
        ])
    func outliers(_ values: [Double], _ outliers: [Int]) {
        #expect(Statistics.outliers(values) == outliers)
        #expect(Spread(values).outlierPairs == outliers.map { $0 + 1 })
    }

    @Test("How much must be timed: 4096 vmemmap pages, in 5 pairs")
    func sampleSize() {
        func shortfall(_ pages: Int, _ size: HugePageSize, _ pairs: Int) -> String? {
            SampleSize.shortfall(HugePageCount(pages), of: size.bytes, pairs: pairs)
        }
        #expect(shortfall(512, .twoMebibytes, 5) == nil && shortfall(1, .oneGibibyte, 5) == nil)
        #expect(shortfall(511, .twoMebibytes, 5) == "511 huge pages are too few (512 or more tell)")
        #expect(shortfall(1024, .twoMebibytes, 4) == "4 pairs are too few (5 or more tell)")
    }

    @Test("What growing and emptying a pool took is told apart, for one huge page, in what it was measured in")
    func comparison() {
        func cost(_ wall: Int) -> PoolTiming.Cost {
            .init(wallNanoseconds: wall, userNanoseconds: wall / 10, systemNanoseconds: wall / 5)
        }
        func run(_ scale: Int) -> PoolTiming.Run {
            .init(allocate: cost(1000 * scale), free: cost(200 * scale), untilRestored: cost(400 * scale))
        }
        let engine = PoolTiming.Engine(optimize: cost(2000), restore: cost(600))
        let timing = PoolTiming(
            .deferred,
            [.init(on: run(3), off: run(1), engine: engine), .init(on: run(8), off: run(2), engine: engine)],
            pages: HugePageCount(10))
        // 3000 over 1000 and 2000, 8000 over 2000 and 2000.
        #expect(timing.overEngine.grow == Spread([1, 2]))
        // 1200 over 400 and 600, 3200 over 800 and 600.
        #expect(timing.overEngine.shrink == Spread([1.2, 3200.0 / 1400]))
        #expect(timing.allocate.onNanoseconds == Spread([300, 800]))
        #expect(timing.allocate.onUserNanoseconds == Spread([30, 80]))
        #expect(timing.allocate.onSystemNanoseconds == Spread([60, 160]))
        #expect(timing.allocate.offNanoseconds == Spread([100, 200]))
        #expect(timing.free.onNanoseconds == Spread([60, 160]))
        #expect(timing.untilRestored.offNanoseconds == Spread([40, 80]))
        for comparison in [timing.allocate, timing.free, timing.untilRestored] {
            #expect(comparison.ratio == Spread([3, 4]))
        }
    }

    @Test(
        "Ratios are rounded and padded",
        arguments: [(0.98351, 3, "0.984"), (2, 2, "2.00"), (10.006, 2, "10.01"), (-1.5, 1, "-1.5"), (.nan, 2, "-")])
    func ratioText(_ value: Double, _ decimals: Int, _ text: String) {
        #expect(Format.decimal(value, decimals) == text)
    }

    @Test("The published figures are those of the letters")
    func published() {
        let ratios = PublishedFigures.all.map {
            Format.times($0.allocateRatio) + " " + Format.times($0.freeRatio)
        }
        #expect(ratios == ["2.5x 0.05x", "2.5x 2.6x"])
    }
}

extension BenchExperiment {
    /// Runs it within the limit of mappings that there is.
    func run(
        control: BenchControl = BenchControl(), progress: ProgressSink = { _ in }
    ) throws(ExperimentError) -> BenchResult {
        try run(prepare(raisingMapLimit: false), control: control, progress: progress)
    }
}
