import VmemmapEmulator

/// What growing the emulated HugeTLB pool to N huge pages and emptying it again takes, with optimizing on and off.
struct PoolTiming: Hashable, Sendable, Codable {
    /// What one operation on all huge pages took.
    struct Cost: Hashable, Sendable, Codable {
        /// By the monotonic clock.
        let wallNanoseconds: Int
        /// Of the process's threads in their own code (getrusage).
        let userNanoseconds: Int
        /// Of the process's threads in the kernel.
        let systemNanoseconds: Int
    }

    /// One run: grown and emptied.
    struct Run: Hashable, Sendable, Codable {
        /// nr_hugepages from 0 to N.
        let allocate: Cost
        /// nr_hugepages back to 0.
        let free: Cost
        /// The same until every huge page is restored and with the page allocator again; synchronous: as `free`.
        let untilRestored: Cost
    }

    /// A run with optimizing on and one with optimizing off, one right after the other.
    struct Pair: Hashable, Sendable, Codable {
        /// With optimizing on.
        let on: Run
        /// With optimizing off.
        let off: Run
        /// Between growing and emptying the pool with optimizing off.
        let engine: Engine
    }

    /// The engine alone, on the pool's huge pages, all of them at once.
    struct Engine: Hashable, Sendable, Codable {
        /// Optimizing them.
        let optimize: Cost
        /// Restoring them.
        let restore: Cost
    }

    /// The pool beside the engine and the plain pool: what its own bookkeeping costs.
    struct OverEngine: Hashable, Sendable, Codable {
        /// Growing with optimizing on, over growing with it off and the engine's optimize.
        let grow: Spread
        /// Emptying with optimizing on, until everything is restored, over emptying with it off and the engine's
        /// restore.
        let shrink: Spread

        init(_ pairs: [Pair]) {
            func ratio(_ pool: (Run) -> Cost, _ engine: (Engine) -> Cost) -> Spread {
                Spread(
                    pairs.map { pair in
                        let parts = pool(pair.off).wallNanoseconds + engine(pair.engine).wallNanoseconds
                        return Double(pool(pair.on).wallNanoseconds) / Double(parts)
                    })
            }
            grow = ratio(\.allocate, \.optimize)
            shrink = ratio(\.untilRestored, \.restore)
        }
    }

    /// An operation over all pairs: on beside off.
    struct Comparison: Hashable, Sendable, Codable {
        /// For one huge page, optimizing on: the wall clock.
        let onNanoseconds: Spread
        /// Of that, processor time in our own code.
        let onUserNanoseconds: Spread
        /// And in the kernel.
        let onSystemNanoseconds: Spread
        /// For one huge page, optimizing off.
        let offNanoseconds: Spread
        /// On over off, pair by pair.
        let ratio: Spread

        init(_ pairs: [Pair], pages: HugePageCount, _ cost: (Run) -> Cost) {
            func perPage(_ nanoseconds: (Pair) -> Int) -> Spread {
                Spread(pairs.map { Double(nanoseconds($0)) / Double(pages.rawValue) })
            }
            onNanoseconds = perPage { cost($0.on).wallNanoseconds }
            onUserNanoseconds = perPage { cost($0.on).userNanoseconds }
            onSystemNanoseconds = perPage { cost($0.on).systemNanoseconds }
            offNanoseconds = perPage { cost($0.off).wallNanoseconds }
            ratio = Spread(
                pairs.map { Double(cost($0.on).wallNanoseconds) / Double(cost($0.off).wallNanoseconds) })
        }
    }

    /// When freed huge pages are restored.
    let release: MachineConfiguration.Release
    /// Growing the pool.
    let allocate: Comparison
    /// Emptying it, until the call returns.
    let free: Comparison
    /// Emptying it, until the last huge page is restored.
    let untilRestored: Comparison
    /// What the pool costs over the engine.
    let overEngine: OverEngine
    /// Every pair, in the order of the run.
    let pairs: [Pair]

    init(_ release: MachineConfiguration.Release, _ pairs: [Pair], pages: HugePageCount) {
        self.release = release
        self.pairs = pairs
        allocate = Comparison(pairs, pages: pages, \.allocate)
        free = Comparison(pairs, pages: pages, \.free)
        untilRestored = Comparison(pairs, pages: pages, \.untilRestored)
        overEngine = OverEngine(pairs)
    }
}

/// How long each huge page took on its way into the pool and out of it: a pass of its own, since looking at the clock
/// between two of them costs time too.
struct PoolLatency: Hashable, Sendable, Codable {
    /// When freed huge pages are restored.
    let release: MachineConfiguration.Release
    /// Whether huge pages were optimized.
    let isOptimizing: Bool
    /// Into the pool.
    let allocate: LatencyHistogram
    /// Out of it, until the call returned.
    let free: LatencyHistogram
}
