public import VmemmapEmulator

/// What the engine's operations take beside the bare C loop of the same system calls.
public struct FloorResult: Hashable, Sendable, Codable {
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
            _ pages: HugePageCount, _ small: (optimize: PairedRuns, restore: PairedRuns),
            _ large: (optimize: PairedRuns, restore: PairedRuns)
        ) {
            fromPages = pages
            func growth(_ time: KeyPath<PairedRuns, Spread>, _ small: PairedRuns, _ large: PairedRuns) -> Double {
                large[keyPath: time].median / small[keyPath: time].median
            }
            engineOptimize = growth(\.engineNanosecondsPerPage, small.optimize, large.optimize)
            floorOptimize = growth(\.otherNanosecondsPerPage, small.optimize, large.optimize)
            engineRestore = growth(\.engineNanosecondsPerPage, small.restore, large.restore)
            floorRestore = growth(\.otherNanosecondsPerPage, small.restore, large.restore)
        }
    }

    /// Optimizing every huge page.
    public let optimize: PairedRuns
    /// Restoring every huge page.
    public let restore: PairedRuns
    /// Against a smaller number of huge pages; null where none was asked for.
    public let growth: Measured<Growth>
}
