import HostMemory
import VmemmapEmulator

/// A figure that the engine is to reach, and whether it did in this run.
struct BenchGoal: Hashable, Sendable, Codable {
    /// Which figure.
    enum Figure: String, Hashable, Sendable, Codable, CaseIterable {
        /// Engine over C baseline, the worst of all schemes, backings and operations.
        case overBaseline = "engine_over_baseline"
        /// The same, with readers running for both.
        case overBaselineWithReaders = "over_baseline_with_readers"
        /// First-tail optimize over KSM's time to the same frames, on the faster backing.
        case firstTailOverKsm = "first_tail_over_ksm"
        /// The same, on the anonymous backing.
        case firstTailAnonymousOverKsm = "first_tail_anonymous_over_ksm"
        /// Shared-tail optimize over KSM's time to the same frames, on the faster backing.
        case sharedTailOverKsm = "shared_tail_over_ksm"
        /// Shared-tail optimize over what HVO adds to the kernel's allocation of a huge page.
        case sharedTailOverKernel = "shared_tail_over_kernel"
        /// Growing the pool over the plain pool and the engine's optimize, the worst of all schemes and backings.
        case growOverEngine = "grow_over_engine"
        /// Emptying it over the plain pool and the engine's restore, likewise.
        case shrinkOverEngine = "shrink_over_engine"
        /// Demoting a 1 GiB page over growing the pool by as many of 2 MiB, likewise.
        case demoteOverGrow = "demote_over_grow"

        /// What the figure may be at most.
        var limit: Double {
            switch self {
            case .overBaseline, .overBaselineWithReaders: 1.05
            case .firstTailOverKsm: 0.6
            case .firstTailAnonymousOverKsm: 0.75
            case .sharedTailOverKsm: 0.15
            case .sharedTailOverKernel: 1.5
            case .growOverEngine, .shrinkOverEngine: 1.25
            case .demoteOverGrow: 1.5
            }
        }
    }

    /// Which figure.
    let figure: Figure
    /// What it may be at most.
    let limitRatio: Double
    /// What it was, the median over runs.
    let measuredRatio: Double
    /// The scheme it is of.
    let scheme: Scheme
    /// The backing it is of.
    let backing: Backing
    /// Its smallest and largest value over runs; for the kernel's, the medians alone are known.
    let ratio: Measured<Spread>
    /// What the C baseline of the same calls makes of the same figure: nothing that the engine does can get below that.
    /// Null where the loop was not run, and for its own figure.
    let baselineRatio: Measured<Double>

    /// Whether it was reached. Null where too little was timed to judge.
    let isReached: Measured<Bool>

    /// The goals for which there are figures.
    ///
    /// - Parameter isJudged: whether enough was timed.
    static func all(_ combinations: [BenchCombination], _ kernel: KernelPeer?, isJudged: Bool) -> [BenchGoal] {
        let measured = combinations.compactMap { combination in
            combination.measured.map { Candidate(combination: combination, outcome: $0) }
        }
        let anonymous = measured.filter { $0.combination.backing == .anonymous }
        return [
            overBaseline(.overBaseline, measured) { outcome in
                outcome.baseline.value.map { [$0.optimize, $0.restore] }
            },
            overBaseline(.overBaselineWithReaders, measured) { outcome in
                outcome.readers.value?.besideBaseline.value.map { [$0.optimize, $0.restore] }
            },
            overKsm(.firstTailOverKsm, .firstTail, measured),
            overKsm(.firstTailAnonymousOverKsm, .firstTail, anonymous),
            overKsm(.sharedTailOverKsm, .sharedTail, measured),
            kernel.flatMap { overKernel($0, measured) },
            ofPool(.growOverEngine, measured) { $0.synchronous.overEngine.grow },
            ofPool(.shrinkOverEngine, measured) { $0.synchronous.overEngine.shrink },
            ofPool(.demoteOverGrow, measured) { $0.demoteOverGrow.value },
        ].compactMap { $0 }.map { isJudged ? $0 : BenchGoal(notJudged: $0) }
    }

    private struct Candidate {
        let combination: BenchCombination
        let outcome: BenchCombination.Outcome
    }

    private init(_ figure: Figure, _ of: Candidate, _ measured: Double, _ ratio: Spread?, baselineRatio: Double?) {
        self.figure = figure
        limitRatio = figure.limit
        measuredRatio = measured
        isReached = .value(measured <= figure.limit)
        scheme = of.combination.scheme
        backing = of.combination.backing
        self.ratio = Measured(ratio)
        self.baselineRatio = Measured(baselineRatio)
    }

    private init(notJudged goal: BenchGoal) {
        (figure, limitRatio, measuredRatio) = (goal.figure, goal.limitRatio, goal.measuredRatio)
        (scheme, backing, ratio, baselineRatio) = (goal.scheme, goal.backing, goal.ratio, goal.baselineRatio)
        isReached = .notMeasured
    }

    private static func ofPool(
        _ figure: Figure, _ candidates: [Candidate], _ ratio: (BenchCombination.Outcome) -> Spread?
    ) -> BenchGoal? {
        let ratios = candidates.compactMap { candidate in ratio(candidate.outcome).map { (candidate, $0) } }
        return ratios.max { $0.1.median < $1.1.median }.map { candidate, ratio in
            BenchGoal(figure, candidate, ratio.median, ratio, baselineRatio: nil)
        }
    }

    private static func overBaseline(
        _ figure: Figure, _ candidates: [Candidate], _ runs: (BenchCombination.Outcome) -> [PairedRuns]?
    ) -> BenchGoal? {
        let ratios = candidates.flatMap { candidate in
            (runs(candidate.outcome) ?? []).map { (candidate, $0.ratio) }
        }
        return ratios.max { $0.1.median < $1.1.median }.map { candidate, ratio in
            BenchGoal(figure, candidate, ratio.median, ratio, baselineRatio: nil)
        }
    }

    private static func overKsm(_ figure: Figure, _ scheme: Scheme, _ candidates: [Candidate]) -> BenchGoal? {
        let beside = candidates.filter { $0.combination.scheme == scheme }.compactMap { candidate in
            candidate.outcome.ksm.value.map { (candidate, $0.optimize) }
        }
        return beside.min { $0.1.engineNanoseconds.median < $1.1.engineNanoseconds.median }.map {
            candidate, runs in
            let baseline = candidate.outcome.baseline.value?.optimize.peerNanoseconds.median
            return BenchGoal(
                figure, candidate, runs.ratio.median, runs.ratio,
                baselineRatio: baseline.map { $0 / runs.peerNanoseconds.median })
        }
    }

    private static func overKernel(_ kernel: KernelPeer, _ candidates: [Candidate]) -> BenchGoal? {
        let engine = candidates.filter { $0.combination.scheme == .sharedTail }.compactMap { candidate in
            candidate.outcome.baseline.value.map { (candidate, $0.optimize) }
        }
        // Where optimizing adds nothing that can be told from noise, there is nothing to compare with.
        guard kernel.addedNanoseconds > 0 else { return nil }
        return engine.min { $0.1.engineNanoseconds.median < $1.1.engineNanoseconds.median }.map {
            candidate, runs in
            let ratio = runs.engineNanoseconds.median / kernel.addedNanoseconds
            let (least, most) = kernel.measurement.allocate.over(by: runs.engineNanoseconds)
            return BenchGoal(
                .sharedTailOverKernel, candidate, ratio, most.map { Spread([least, ratio, $0]) },
                baselineRatio: runs.peerNanoseconds.median / kernel.addedNanoseconds)
        }
    }
}
