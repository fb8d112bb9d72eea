import HostMemory
import VmemmapEmulator

/// The demo: builds a vmemmap, optimizes it, has it read, restores it, and checks each step on real memory.
struct DemoExperiment {
    /// The huge pages.
    var memory: EmulatedMemory
    /// Threads that read while huge pages are optimized and restored.
    var walkers: Int
    /// For how long they are.
    var raceNanoseconds: Int
    /// What the walkers' frames follow from.
    var seed: UInt64
    /// Where the flags of the emulated frames go, as they are while all huge pages are optimized; nil: nowhere.
    var flagsSink: PageFlagsSink?
    /// Whether a thread samples memory until the region is restored, for ``DemoResult/timeline``.
    var samplesMemory = false
    /// Told of the plan before anything is mapped; nil: nobody.
    var planSink: ((HostBlock, PlanBlock) -> Void)?
    /// Told of each step; nil: nobody.
    var momentSink: DemoMomentSink?

    /// A demo over `memory`.
    init(_ memory: EmulatedMemory, walkers: Int, raceNanoseconds: Int = 1_000_000_000, seed: UInt64 = 1) {
        self.memory = memory
        self.walkers = walkers
        self.raceNanoseconds = raceNanoseconds
        self.seed = seed
    }

    /// Runs it. Takes about ``raceNanoseconds`` and a second.
    ///
    /// - Parameter progress: is told how far it is.
    /// - Throws: ``ExperimentError`` when the host lacks something or refuses. A check that fails is a
    ///   result, not an error.
    func run(
        progress: ProgressSink = { _ in }
    ) throws(ExperimentError) -> DemoResult {
        let host = try HostBlock.current()
        let plan = try memory.planOnThisHost()
        planSink?(host, PlanBlock(plan, cost: host.mappingCost))
        return try ExperimentError.wrapping { try run(plan, host, progress) }
    }

    private func run(_ plan: MappingPlan, _ host: HostBlock, _ progress: ProgressSink) throws -> DemoResult {
        let cost = host.mappingCost
        let recorder = try TimelineRecorder(isWanted: samplesMemory)
        // The first measurement faults in its own code and buffers; only the second is a baseline.
        _ = try MemoryFigures.measure(nil, cost: cost)
        var stages = Stages(baseline: try .measure(nil, cost: cost), cost: cost, recorder)

        let (region, duration) = try timed {
            try VmemmapRegion(plan) {
                progress(.count("populated", $0.rawValue, of: $1.rawValue, unit: "vmemmap pages"))
            }
        }
        try stages.add(.populated, region, duration)
        let all = region.layout.allHugePages
        let sample = HugePageIndex(all.count / 2)
        let before = try FramePicture.take(sample, in: region.layout)
        try tell(before, plan, stages)

        try stages.add(
            .optimized, region,
            timed {
                try inSlices(all, of: longestSlice, .optimized, progress) {
                    try region.optimize($0, writers: .excluded)
                }
            }
            .nanoseconds)
        let (tour, after) = try touch(region, sample, &stages)
        let flags = try flagsSink.map { try PageFlagsTally.write(region, to: $0) }

        var checks = try DemoChecks.optimized(region)
        try stages.add(
            .restored, region,
            timed {
                try inSlices(all, of: longestSlice, .restored, progress) { try region.restore($0, writers: .excluded) }
            }.nanoseconds)
        // What follows under walkers is not sampled: it goes on for seconds, and is timed.
        let timeline = stages.timeline.finish()
        try tell(FramePicture.take(sample, in: region.layout), plan, stages)
        let walked = try cycleUnderWalkers(region, progress)
        checks += try DemoChecks.restored(region, walked: walked, tour: tour)
        if plan.mapping == .pmd { checks.append(DemoChecks.pmdMapped(plan, stages.results)) }
        return DemoResult(
            host: host,
            configuration: DemoResult.Configuration(
                memory: MemoryBlock(memory), walkers: walkers, raceNanoseconds: raceNanoseconds, seed: seed),
            plan: PlanBlock(plan, cost: cost), countingMethod: host.countingMethod,
            before: before, after: after, steps: stages.results, timeline: timeline, race: walked,
            checks: checks, pageFlags: Measured(flags))
    }

    /// Visits every struct page. Returns what walking it found, and a huge page's frames then.
    private func touch(
        _ region: VmemmapRegion, _ sample: HugePageIndex, _ stages: inout Stages
    ) throws -> (Walkers.Tally, FramePicture) {
        if momentSink != nil {
            // Only what has been read has a frame to be drawn.
            _ = region.visitStructPages(of: sample.alone)
            try tell(FramePicture.take(sample, in: region.layout), region.plan, stages)
        }
        let (tour, touching) = timed { region.visitEveryStructPage() }
        try stages.add(.touched, region, touching)
        let after = try FramePicture.take(sample, in: region.layout)
        try tell(after, region.plan, stages)
        return (tour, after)
    }

    /// Tells of the last step.
    private func tell(_ picture: FramePicture, _ plan: MappingPlan, _ stages: Stages) throws {
        guard let momentSink, let now = stages.results.last, let then = stages.results.dropLast().last else { return }
        try momentSink(
            DemoMoment(
                step: now.step, plan: PlanBlock(plan, cost: stages.cost), before: then.figures, after: now.figures,
                picture: picture))
    }

    /// Optimizes and restores everything, again and again, under walkers.
    private func cycleUnderWalkers(
        _ region: VmemmapRegion, _ progress: ProgressSink
    ) throws -> DemoResult.UnderWalkers {
        let all = region.layout.allHugePages
        let walking = try Walkers(walkers, over: region, seed: seed)
        defer { _ = walking.stop() }
        let plan = region.plan
        let bound = plan.regionMappings(.restored)
        let unoptimized = plan.fileFrames(optimized: .zero).bytes(pageSize: plan.geometry.basePageSize)
        var cycles = 0
        var notBack = 0
        let start = HostKernel.monotonicNanoseconds()
        repeat {
            try region.optimize(all, writers: .excluded)
            try region.restore(all, writers: .excluded)
            cycles += 1
            let mappings = try ProcMaps.count(overlapping: region.range)
            if try region.sharedFrameBytes() != unoptimized || mappings > bound { notBack += 1 }
            let elapsed = HostKernel.monotonicNanoseconds() - start
            progress(.time("under walkers", nanoseconds: elapsed, of: raceNanoseconds))
        } while HostKernel.monotonicNanoseconds() - start < raceNanoseconds
        let tally = walking.stop()
        return DemoResult.UnderWalkers(
            cycles: cycles, cyclesNotBack: notBack, reads: tally.reads, wrongReads: tally.wrong,
            durationNanoseconds: HostKernel.monotonicNanoseconds() - start)
    }
}

/// The steps taken so far.
private struct Stages {
    var results: [StepResult]
    var timeline: TimelineRecorder
    let cost: MappingCost

    init(baseline: MemoryFigures, cost: MappingCost, _ timeline: TimelineRecorder) {
        results = [StepResult(step: .baseline, durationNanoseconds: .notMeasured, figures: baseline)]
        self.cost = cost
        self.timeline = timeline
    }

    /// Measures after a step that took `nanoseconds`.
    mutating func add(_ step: Step, _ region: VmemmapRegion, _ nanoseconds: Int) throws(HostError) {
        let end = HostKernel.monotonicNanoseconds()
        let figures = try MemoryFigures.measure(region, cost: cost, after: results.last?.figures)
        timeline.note(step, from: end - nanoseconds, to: end, figures)
        results.append(StepResult(step: step, durationNanoseconds: .value(nanoseconds), figures: figures))
    }
}
