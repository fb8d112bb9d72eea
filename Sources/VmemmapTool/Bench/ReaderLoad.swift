import HostMemory
import VmemmapEmulator

/// What walkers that read all the time make of the engine's time.
struct ReaderLoad: Hashable, Sendable, Codable {
    /// Threads that walked.
    let walkers: Int
    /// Optimizing every huge page; the other: the same with nobody reading.
    let optimize: PairedRuns
    /// Restoring every huge page; the other: the same with nobody reading.
    let restore: PairedRuns
    /// Checked reads.
    let reads: Int
    /// Reads that gave any other head than the right one: none, or the engine is wrong.
    let wrongReads: Int

    /// Optimizes and restores with walkers and without, by alternating pairs.
    ///
    /// - Parameter isThrough: called after every pair, the warm-up too.
    static func measure(
        _ plan: MappingPlan, walkers: Int, pairs: Int, isThrough: () -> Void
    ) throws -> ReaderLoad {
        let region = try VmemmapRegion(plan)
        var seen = Walkers.Tally()
        func cycle(_ readers: Int) throws -> (optimize: Int, restore: Int) {
            let group = readers > 0 ? try Walkers(readers, over: region, seed: 1) : nil
            let optimize = try timed { try region.optimize(region.layout.allHugePages, writers: .excluded) }.nanoseconds
            let restore = try timed { try region.restore(region.layout.allHugePages, writers: .excluded) }.nanoseconds
            if let tally = group?.stop() {
                seen.reads += tally.reads
                seen.wrong += tally.wrong
            }
            return (optimize, restore)
        }
        _ = try cycle(0)
        isThrough()
        let cycles = try PairedRuns.alternate(
            pairs, { try cycle(walkers) }, { try cycle(0) }, isThrough: isThrough)
        let pages = plan.hugePages.rawValue
        return ReaderLoad(
            walkers: walkers,
            optimize: PairedRuns(cycles.map { .init($0.first.optimize, $0.second.optimize) }, pages: pages),
            restore: PairedRuns(cycles.map { .init($0.first.restore, $0.second.restore) }, pages: pages),
            reads: seen.reads, wrongReads: seen.wrong)
    }
}
