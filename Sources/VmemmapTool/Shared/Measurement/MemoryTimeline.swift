import HostMemory

/// Memory of the process over time, sampled by a thread of its own, with the steps that were taken meanwhile.
struct MemoryTimeline: Hashable, Sendable, Codable {
    /// A look at the process.
    struct Sample: Hashable, Sendable, Codable {
        /// When, since the timeline's start.
        let nanoseconds: Int
        /// Rss by /proc/self/statm: page table entries of the process, up to a few pages a processor behind.
        let rssBytes: ByteCount
        /// Pss by smaps_rollup. Null where it was not this sample's turn: that costs too much to be read every time.
        let pssBytes: Measured<ByteCount>
    }

    /// When a step was taken, and the frames after it.
    struct StepSpan: Hashable, Sendable, Codable {
        /// The step.
        let step: Step
        /// Its start, since the timeline's.
        let startNanoseconds: Int
        /// Its end.
        let endNanoseconds: Int
        /// Different frames behind the region after it (pagemap): counted then only, since that reads every page.
        let distinctFrameBytes: Measured<ByteCount>
        /// Pss of smaps_rollup after it.
        let pssBytes: Measured<ByteCount>
    }

    /// What sampling itself took.
    struct Cost: Hashable, Sendable, Codable {
        /// Readings taken, those included that were thinned out later.
        var reads = 0
        /// What they took in all.
        var nanoseconds = 0

        /// What one took in the mean; nil of none.
        var meanNanoseconds: Int? { reads == 0 ? nil : nanoseconds / reads }

        /// Nothing yet.
        init() {}
    }

    /// The samples, in order.
    let samples: [Sample]
    /// The steps, in order.
    let steps: [StepSpan]
    /// The time between two samples, at the end: it doubles, and every second sample goes, whenever their storage is
    /// full.
    let intervalNanoseconds: Int
    /// How long it was sampled.
    let durationNanoseconds: Int
    /// What reading statm took.
    let statmCost: Cost
    /// What reading smaps_rollup took.
    let rollupCost: Cost
}
