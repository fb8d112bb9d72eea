public import VmemmapEmulator

/// What the engine's operations take beside the bare C loop of the same system calls.
public struct FloorResult: Hashable, Sendable, Codable {
    /// One run of the engine and one of the floor, one right after the other.
    public struct Pair: Hashable, Sendable, Codable {
        /// The engine's time for all huge pages.
        public let engineNanoseconds: Int
        /// The floor's time for as many.
        public let floorNanoseconds: Int

        /// Engine over floor.
        public var ratio: Double { Double(engineNanoseconds) / Double(floorNanoseconds) }
    }

    /// One operation over all pairs.
    public struct Operation: Hashable, Sendable, Codable {
        /// The engine's time for one huge page, the median over runs.
        public let engineNanosecondsPerPageMedian: Double
        /// The floor's.
        public let floorNanosecondsPerPageMedian: Double
        /// Engine over floor: the median, the smallest and the largest of the pairs' ratios.
        public let ratioMedian: Double
        /// The smallest ratio.
        public let ratioMin: Double
        /// The largest ratio.
        public let ratioMax: Double
        /// Every pair, in the order of the run.
        public let pairs: [Pair]

        init(_ pairs: [Pair], pages: HugePageCount) {
            func perPage(_ time: (Pair) -> Int) -> Double {
                Statistics.median(pairs.map { Double(time($0)) }) / Double(pages.rawValue)
            }
            let ratios = pairs.map(\.ratio)
            engineNanosecondsPerPageMedian = perPage(\.engineNanoseconds)
            floorNanosecondsPerPageMedian = perPage(\.floorNanoseconds)
            ratioMedian = Statistics.median(ratios)
            ratioMin = ratios.min() ?? .nan
            ratioMax = ratios.max() ?? .nan
            self.pairs = pairs
        }
    }

    /// How the time for one huge page grows with their number: larger run over smaller run, medians.
    public struct Growth: Hashable, Sendable, Codable {
        /// Huge pages of the smaller run.
        public let fromPages: HugePageCount
        /// The engine's optimize.
        public let engineOptimize: Double
        /// The floor's.
        public let floorOptimize: Double
        /// The engine's restore.
        public let engineRestore: Double
        /// The floor's.
        public let floorRestore: Double

        init(
            _ pages: HugePageCount, _ small: (optimize: Operation, restore: Operation),
            _ large: (optimize: Operation, restore: Operation)
        ) {
            fromPages = pages
            engineOptimize =
                large.optimize.engineNanosecondsPerPageMedian / small.optimize.engineNanosecondsPerPageMedian
            floorOptimize = large.optimize.floorNanosecondsPerPageMedian / small.optimize.floorNanosecondsPerPageMedian
            engineRestore = large.restore.engineNanosecondsPerPageMedian / small.restore.engineNanosecondsPerPageMedian
            floorRestore = large.restore.floorNanosecondsPerPageMedian / small.restore.floorNanosecondsPerPageMedian
        }
    }

    /// Where it was run.
    public let host: HostBlock
    /// What was optimized and restored.
    public let plan: PlanBlock
    /// Counted pairs.
    public let runs: Int
    /// Optimizing every huge page.
    public let optimize: Operation
    /// Restoring every huge page.
    public let restore: Operation
    /// Against a smaller number of huge pages; null where none was asked for.
    public let growth: Measured<Growth>
}

/// What is said of several runs.
enum Statistics {
    /// The middle value, or the mean of the two in the middle; NaN of nothing.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        if sorted.isEmpty { return .nan }
        let upper = sorted[sorted.count / 2]
        return sorted.count.isMultiple(of: 2) ? (sorted[sorted.count / 2 - 1] + upper) / 2 : upper
    }
}
