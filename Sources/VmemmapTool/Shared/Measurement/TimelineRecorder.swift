import HostMemory

/// Samples memory while an experiment runs, and notes when its steps were taken. Does nothing unless a timeline is
/// wanted: what is measured then has no company.
struct TimelineRecorder {
    private let sampler: MemorySampler?
    private var steps: [MemoryTimeline.StepSpan] = []

    init(isWanted: Bool) throws(HostError) { sampler = isWanted ? try MemorySampler() : nil }

    /// Notes a step that went from `start` to `end` on the monotonic clock.
    mutating func note(_ step: Step, from start: Int, to end: Int, _ figures: MemoryFigures) {
        guard let sampler else { return }
        steps.append(
            MemoryTimeline.StepSpan(
                step: step, startNanoseconds: start - sampler.start, endNanoseconds: end - sampler.start,
                distinctFrameBytes: Measured(
                    figures.distinctFrames.value?.bytes(pageSize: HostLimits.pageSize)),
                pssBytes: figures.pssBytes))
    }

    /// Stops sampling, and returns what was seen.
    func finish() -> Measured<MemoryTimeline> {
        guard let sampler else { return .notMeasured }
        let log = sampler.stop()
        return .value(
            MemoryTimeline(
                samples: log.samples, steps: steps, intervalNanoseconds: log.interval,
                durationNanoseconds: HostKernel.monotonicNanoseconds() - sampler.start, statmCost: log.statmCost,
                rollupCost: log.rollupCost))
    }
}
