import VmemmapEmulator

/// What the engine's operations take beside the C baseline of the same system calls.
struct BaselineResult: Hashable, Sendable, Codable {
    /// How the time for one huge page grows with their number: larger run over smaller run, medians.
    struct Growth: Hashable, Sendable, Codable {
        /// Huge pages of the smaller run.
        let fromPages: HugePageCount
        /// The engine's optimize.
        let engineOptimize: Double
        /// The C baseline's.
        let baselineOptimize: Double
        /// The engine's restore.
        let engineRestore: Double
        /// The C baseline's.
        let baselineRestore: Double

        init(
            _ pages: HugePageCount, _ small: (optimize: PairedRuns, restore: PairedRuns),
            _ large: (optimize: PairedRuns, restore: PairedRuns)
        ) {
            fromPages = pages
            func growth(_ time: KeyPath<PairedRuns, Spread>, _ small: PairedRuns, _ large: PairedRuns) -> Double {
                large[keyPath: time].median / small[keyPath: time].median
            }
            engineOptimize = growth(\.engineNanoseconds, small.optimize, large.optimize)
            baselineOptimize = growth(\.peerNanoseconds, small.optimize, large.optimize)
            engineRestore = growth(\.engineNanoseconds, small.restore, large.restore)
            baselineRestore = growth(\.peerNanoseconds, small.restore, large.restore)
        }
    }

    /// Optimizing every huge page.
    let optimize: PairedRuns
    /// Restoring every huge page.
    let restore: PairedRuns
    /// Against a smaller number of huge pages; null where none was asked for.
    let growth: Measured<Growth>
}
