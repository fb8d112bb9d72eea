public import HostMemory

/// Memory of the process over time, sampled by a thread of its own, with the steps that were taken meanwhile.
public struct MemoryTimeline: Hashable, Sendable, Codable {
    /// A look at the process.
    public struct Sample: Hashable, Sendable, Codable {
        /// When, since the timeline's start.
        public let nanoseconds: Int
        /// Rss by /proc/self/statm: page table entries of the process, up to a few pages a processor behind.
        public let rssBytes: ByteCount
        /// Pss by smaps_rollup. Null where it was not this sample's turn: that costs too much to be read every time.
        public let pssBytes: Measured<ByteCount>

        /// A look at the process.
        public init(nanoseconds: Int, rssBytes: ByteCount, pssBytes: Measured<ByteCount>) {
            self.nanoseconds = nanoseconds
            self.rssBytes = rssBytes
            self.pssBytes = pssBytes
        }
    }

    /// When a step was taken, and the frames after it.
    public struct StepSpan: Hashable, Sendable, Codable {
        /// The step.
        public let step: Step
        /// Its start, since the timeline's.
        public let startNanoseconds: Int
        /// Its end.
        public let endNanoseconds: Int
        /// Different frames behind the region after it (pagemap): counted then only, since that reads every page.
        public let distinctFrameBytes: Measured<ByteCount>
        /// Pss of smaps_rollup after it.
        public let pssBytes: Measured<ByteCount>

        /// When a step was taken, and the frames after it.
        public init(
            step: Step, startNanoseconds: Int, endNanoseconds: Int, distinctFrameBytes: Measured<ByteCount>,
            pssBytes: Measured<ByteCount>
        ) {
            self.step = step
            self.startNanoseconds = startNanoseconds
            self.endNanoseconds = endNanoseconds
            self.distinctFrameBytes = distinctFrameBytes
            self.pssBytes = pssBytes
        }
    }

    /// What sampling itself took.
    public struct Cost: Hashable, Sendable, Codable {
        /// Readings taken, those included that were thinned out later.
        public var reads = 0
        /// What they took in all.
        public var nanoseconds = 0

        /// What one took in the mean; nil of none.
        public var meanNanoseconds: Int? { reads == 0 ? nil : nanoseconds / reads }

        /// Nothing yet.
        public init() {}
    }

    /// The samples, in order.
    public let samples: [Sample]
    /// The steps, in order.
    public let steps: [StepSpan]
    /// The time between two samples, at the end: it doubles, and every second sample goes, whenever their storage is full.
    public let intervalNanoseconds: Int
    /// How long it was sampled.
    public let durationNanoseconds: Int
    /// What reading statm took.
    public let statmCost: Cost
    /// What reading smaps_rollup took.
    public let rollupCost: Cost

    /// A timeline.
    public init(
        samples: [Sample], steps: [StepSpan], intervalNanoseconds: Int, durationNanoseconds: Int, statmCost: Cost,
        rollupCost: Cost
    ) {
        self.samples = samples
        self.steps = steps
        self.intervalNanoseconds = intervalNanoseconds
        self.durationNanoseconds = durationNanoseconds
        self.statmCost = statmCost
        self.rollupCost = rollupCost
    }
}
