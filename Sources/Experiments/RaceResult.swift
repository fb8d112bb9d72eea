/// What readers saw of two ways to restore.
public struct RaceResult: Hashable, Sendable, Codable {
    /// A way to restore.
    public enum Way: String, Hashable, Sendable, Codable, CaseIterable {
        /// Map fresh memory in place, then copy into it.
        case naive
        /// The engine's: fill pages off to the side, then put them in place in one step.
        case atomic
    }

    /// What it was asked to do.
    public struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        public let memory: MemoryBlock
        /// Threads that read.
        public let walkers: Int
        /// How long each way has its turn, in all and at least.
        public let nanosecondsEach: Int
        /// What the walkers' frames follow from.
        public let seed: UInt64
    }

    /// One way, over all of its turns.
    public struct Side: Hashable, Sendable, Codable {
        /// The way.
        public let way: Way
        /// Turns it had.
        public internal(set) var turns = 0
        /// Turns with a wrong read.
        public internal(set) var turnsWithWrongReads = 0
        /// Rounds of optimizing and restoring every huge page.
        public internal(set) var cycles = 0
        /// Reads of the walkers, each checked.
        public internal(set) var reads = 0
        /// Reads that gave any other head than the right one.
        public internal(set) var wrongReads = 0
        /// How long its turns took.
        public internal(set) var durationNanoseconds = 0
        /// One of the wrong reads; null where there was none.
        public internal(set) var wrongRead: Measured<WrongRead> = .notMeasured
    }

    /// A read that gave the wrong head.
    public struct WrongRead: Hashable, Sendable, Codable {
        /// The frame whose struct page was read.
        public let frame: Int
        /// The word in its compound_head.
        public let word: UInt64
    }

    /// Where it was run.
    public let host: HostBlock
    /// What was asked for.
    public let configuration: Configuration
    /// What was optimized and restored.
    public let plan: PlanBlock
    /// Both ways, the naive one first.
    public let sides: [Side]

    /// One way's figures.
    public func side(_ way: Way) -> Side { sides.first { $0.way == way } ?? Side(way: way) }

    /// Whether the engine keeps its promise: it was read, and never wrong. The naive way has none to keep.
    public var holds: Bool { side(.atomic).reads > 0 && side(.atomic).cycles > 0 && side(.atomic).wrongReads == 0 }

    /// Wrong reads of the atomic way if it were wrong as often as the naive one; null where that was never wrong.
    public var wrongReadsAtTheNaiveRate: Double? {
        let naive = side(.naive)
        guard naive.wrongReads > 0 else { return nil }
        return Double(naive.wrongReads) / Double(naive.reads) * Double(side(.atomic).reads)
    }
}
