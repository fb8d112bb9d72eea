import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory, executed and measured step by step.
struct SavingsExperiment: Sendable {
    /// The huge pages.
    var memory: EmulatedMemory
    /// Whether a thread samples memory meanwhile, for ``SavingsResult/timeline``.
    var samplesMemory = false
    /// Told before each phase: a step, ``measuring`` or ``ending``. A node waits there for the others.
    var awaitTurn: @Sendable (_ phase: String) -> Void = { _ in }

    /// The phase in which memory is measured, and nobody changes any.
    static let measuring = "measuring"
    /// The phase in which the region goes.
    static let ending = "ending"

    /// The saving for `memory`.
    init(_ memory: EmulatedMemory) { self.memory = memory }

    /// What is planned, without doing it: where there is no room for it, that is an error, as for ``run(progress:)``.
    ///
    /// - Parameter raisingMapLimit: plans as if vm.max_map_count had been raised as far as it takes.
    func plan(raisingMapLimit: Bool = false) throws(ExperimentError) -> SavingsResult {
        let host = try HostBlock.current()
        let plan = raisingMapLimit ? try memory.planIgnoringTheMappingLimit() : try memory.planOnThisHost()
        return SavingsResult(
            host: host, memory: memory, plan: PlanBlock(plan, cost: host.mappingCost))
    }

    /// Does it. Each step is reported as it advances.
    func run(progress: ProgressSink) throws(ExperimentError) -> SavingsResult {
        let host = try HostBlock.current()
        let plan = try memory.planOnThisHost()
        return try ExperimentError.wrapping { try run(plan, host, progress) }
    }

    private func run(
        _ plan: MappingPlan, _ host: HostBlock, _ progress: ProgressSink
    ) throws -> SavingsResult {
        let cost = host.mappingCost
        let total = plan.hugePages.rawValue
        var timeline = try TimelineRecorder(isWanted: samplesMemory)
        let isPopulated = memory.construction == .populated
        let built = isPopulated ? Step.populated : .optimized
        awaitTurn(Step.baseline.rawValue)
        // The first measurement faults in its own code and buffers; only the second is a baseline.
        _ = try MemoryFigures.measure(nil, cost: cost)
        let baseline = try MemoryFigures.measure(nil, cost: cost)
        awaitTurn(built.rawValue)
        let (region, duration) = try timed {
            try VmemmapRegion(plan, memory.construction) {
                progress(.count(built.rawValue, $0.rawValue, of: $1.rawValue, unit: "vmemmap pages"))
            }
        }
        let isBuilt = HostKernel.monotonicNanoseconds()
        awaitTurn(Self.measuring)
        let peak = isPopulated ? nil : try Self.peak(since: baseline, region)
        let figures = try MemoryFigures.measure(region, cost: cost, after: baseline)
        timeline.note(built, from: isBuilt - duration, to: isBuilt, figures)
        let reference = SavingsResult.Reference(plan, isPopulated ? figures : nil, baseline)
        var rows = [SavingsResult.Row(built, duration, figures, reference, plan, cost)]
        func add(_ step: Step, _ work: (Range<HugePageIndex>) throws -> Void) throws {
            var nanoseconds = 0
            awaitTurn(step.rawValue)
            let begin = HostKernel.monotonicNanoseconds()
            // Whole batches, where there are several.
            let batch = region.plan.hugePagesAtOnce
            let slice = max(batch, min(longestSlice, total / 20) / batch * batch)
            try inSlices(region.layout.allHugePages, of: slice, step, progress) { pages in
                nanoseconds += try timed { try work(pages) }.nanoseconds
            }
            progress(.count(step.rawValue, total, of: total, unit: "huge pages"))
            let end = HostKernel.monotonicNanoseconds()
            awaitTurn(Self.measuring)
            let figures = try MemoryFigures.measure(region, cost: cost, after: rows.last?.figures)
            timeline.note(step, from: begin, to: end, figures)
            rows.append(SavingsResult.Row(step, nanoseconds, figures, reference, plan, cost))
        }
        if isPopulated { try add(.optimized) { try region.optimize($0, writers: .excluded) } }
        var reads = Walkers.Tally()
        try add(.touched) {
            let seen = region.visitStructPages(of: $0)
            (reads.reads, reads.wrong) = (reads.reads + seen.reads, reads.wrong + seen.wrong)
        }
        // For what was built optimized there may be no more memory than that.
        if isPopulated { try add(.restored) { try region.restore($0, writers: .excluded) } }
        // Whoever measures still has the program's pages in common with this process.
        awaitTurn(Self.ending)
        let store = plan.scheme.isRemapped ? nil : try TailStore(in: region)
        return SavingsResult(
            host: host, memory: memory, plan: PlanBlock(plan, cost: cost),
            countingMethod: host.countingMethod, baseline: baseline, rows: rows, peak: peak,
            reads: reads, store: store, timeline: timeline.finish())
    }

    /// The most memory there can have been while the region was built.
    private static func peak(since baseline: MemoryFigures, _ region: VmemmapRegion) throws(HostError) -> ByteCount? {
        guard let before = baseline.rssBytes.value else { return nil }
        return try ProcessStatus.current().peakRSS - before + region.sharedFrameBytes()
    }
}
