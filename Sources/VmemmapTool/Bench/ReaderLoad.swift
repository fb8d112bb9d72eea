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
    /// The engine beside the C baseline, readers running for both; null where the loop was not asked for.
    let besideBaseline: Measured<Sides>
    /// Checked reads.
    let reads: Int
    /// Reads that gave any other head than the right one: none, or the engine is wrong.
    let wrongReads: Int

    /// Engine and C baseline.
    struct Sides: Hashable, Sendable, Codable {
        /// Optimizing every huge page.
        let optimize: PairedRuns
        /// Restoring every huge page.
        let restore: PairedRuns
    }

    /// Optimizes and restores with walkers and without, then the engine and the C baseline with walkers, by alternating
    /// pairs.
    ///
    /// - Parameters:
    ///   - isBesideBaseline: whether the C baseline is to be measured.
    ///   - isThrough: called after every pair, the warm-up too; false ends it with those there are.
    static func measure(
        _ plan: MappingPlan, walkers: Int, pairs: Int, isBesideBaseline: Bool, isThrough: () -> Bool
    ) throws -> ReaderLoad {
        let region = try VmemmapRegion(plan)
        let all = region.layout.allHugePages
        var seen = Walkers.Tally()
        func cycle(
            _ readers: Int, _ optimize: () throws -> Void, _ restore: () throws -> Void
        ) throws -> (optimize: Int, restore: Int) {
            let group = readers > 0 ? try Walkers(readers, over: region, seed: 1) : nil
            let times = (try timed(optimize).nanoseconds, try timed(restore).nanoseconds)
            if let tally = group?.stop() { seen += tally }
            return times
        }
        func engine(_ readers: Int) throws -> (optimize: Int, restore: Int) {
            try cycle(
                readers, { try region.optimize(all, writers: .excluded) },
                { try region.restore(all, writers: .excluded) })
        }
        _ = try engine(0)
        _ = isThrough()
        let cycles = try PairedRuns.alternate(pairs, { try engine(walkers) }, { try engine(0) }, isThrough: isThrough)
        var sides: Sides?
        if isBesideBaseline {
            // Restored: what the loop leaves is what the engine knows.
            let loop = try BaselineLoop(region)
            sides = Sides(
                try PairedRuns.alternate(
                    pairs, { try engine(walkers) },
                    { try cycle(walkers, { try loop.optimize() }, { try loop.restore() }) }, isThrough: isThrough),
                pages: all.count)
        }
        let load = Sides(cycles, pages: all.count)
        return ReaderLoad(
            walkers: walkers, optimize: load.optimize, restore: load.restore, besideBaseline: Measured(sides),
            reads: seen.reads, wrongReads: seen.wrong)
    }
}

extension ReaderLoad.Sides {
    fileprivate init(
        _ cycles: [(first: (optimize: Int, restore: Int), second: (optimize: Int, restore: Int))], pages: Int
    ) {
        optimize = PairedRuns(cycles.map { .init($0.first.optimize, $0.second.optimize) }, pages: pages)
        restore = PairedRuns(cycles.map { .init($0.first.restore, $0.second.restore) }, pages: pages)
    }
}
