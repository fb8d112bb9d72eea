import HostMemory
import VmemmapEmulator

/// The emulated HugeTLB pool of one machine, grown and emptied against the clock.
struct PoolBench {
    private let machine: EmulatedMachine
    private let size: HugePageSize
    private let pages: HugePageCount
    private let release: MachineConfiguration.Release

    /// Boots a machine whose memory is `plan`'s huge pages and no more.
    init(_ plan: MappingPlan, _ release: MachineConfiguration.Release) throws {
        size = plan.geometry.hugePageSize
        pages = plan.hugePages
        self.release = release
        machine = try EmulatedMachine(
            MachineConfiguration(
                memory: size.bytes * pages.rawValue, scheme: plan.scheme, backing: plan.backing,
                tailFrames: .frames(plan.tailFrames), release: release))
    }

    /// Warms up and looks whether the machine does what it is timed for; then times `runs` pairs.
    ///
    /// - Parameter isThrough: called after every pair, the warm-up too; false ends it with those there are.
    func time(pairs: Int, isThrough: () -> Bool) throws -> PoolTiming {
        try warmUp()
        _ = isThrough()
        let pairs = try PairedRuns.alternate(
            pairs, { try run(isOptimizing: true) }, { try run(isOptimizing: false) }, isThrough: isThrough)
        return PoolTiming(
            release,
            try pairs.map { on, off in
                guard let engine = off.engine else { throw ExperimentError.unexpected("the engine was not timed") }
                return PoolTiming.Pair(on: on.pool, off: off.pool, engine: engine)
            }, pages: pages)
    }

    /// Times each huge page alone, on its way in and out, optimizing on and off.
    func latencies() throws -> [PoolLatency] {
        try [false, true].map { isOptimizing in
            machine.setOptimizing(isOptimizing)
            let allocate = try eachTimed { try setPool($0 + 1) }
            let free = try eachTimed { try setPool(pages.rawValue - 1 - $0) }
            machine.flush()
            try expectEmpty()
            guard let allocate = LatencyHistogram(nanoseconds: allocate),
                let free = LatencyHistogram(nanoseconds: free)
            else { throw ExperimentError.unexpected("no huge pages to time") }
            return PoolLatency(release: release, isOptimizing: isOptimizing, allocate: allocate, free: free)
        }
    }

    // MARK: Timed

    /// - Returns: what the pool took, and with optimizing off the engine alone.
    private func run(isOptimizing: Bool) throws -> (pool: PoolTiming.Run, engine: PoolTiming.Engine?) {
        machine.setOptimizing(isOptimizing)
        let atFirst = try Instant.now()
        try setPool(pages.rawValue)
        let full = try Instant.now()
        try expectFull(isOptimizing)
        let engine = isOptimizing ? nil : try timeEngine()
        let before = try Instant.now()
        try setPool(0)
        let empty = try Instant.now()
        if release == .deferred { machine.flush() }
        let restored = try release == .deferred ? Instant.now() : empty
        try expectEmpty()
        let pool = PoolTiming.Run(
            allocate: full.since(atFirst), free: empty.since(before), untilRestored: restored.since(before))
        return (pool, engine)
    }

    /// Optimizes and restores the pool's huge pages past the pool, which knows nothing of it.
    private func timeEngine() throws -> PoolTiming.Engine {
        guard let region = machine.region(size) else { throw ExperimentError.unexpected("no view of that size") }
        let before = try Instant.now()
        try region.optimize(writers: .excluded)
        let optimized = try Instant.now()
        try region.restore(writers: .excluded)
        let restored = try Instant.now()
        return PoolTiming.Engine(optimize: optimized.since(before), restore: restored.since(optimized))
    }

    private func setPool(_ pages: Int) throws {
        let change = try machine.setPool(size, to: HugePageCount(pages))
        if let refusal = change.refusal { throw refusal }
    }

    /// The array is there before the first look at the clock.
    private func eachTimed(_ body: (Int) throws -> Void) rethrows -> [Int] {
        var durations = [Int](repeating: 0, count: pages.rawValue)
        for page in durations.indices {
            let start = HostKernel.monotonicNanoseconds()
            try body(page)
            durations[page] = HostKernel.monotonicNanoseconds() - start
        }
        return durations
    }

    // MARK: Looking

    /// One uncounted run each way, and a count of the frames behind a full, optimized pool.
    private func warmUp() throws {
        _ = try run(isOptimizing: false)
        machine.setOptimizing(true)
        try setPool(pages.rawValue)
        try expectFull(true)
        let frames = try FrameCount.count(in: machine.range).distinct
        guard frames == machine.expectedFrames() else {
            throw ExperimentError.unexpected(
                "\(frames.rawValue) frames behind the optimized pool, not \(machine.expectedFrames().rawValue)")
        }
        try setPool(0)
        machine.flush()
        try expectEmpty()
    }

    /// A huge page that the host lets nobody optimize is used as it is, and nothing would be measured of it.
    private func expectFull(_ isOptimizing: Bool) throws {
        let pool = machine.hugePages(size)
        let optimized = isOptimizing ? pages : .zero
        if pool.total == pages, pool.optimized == optimized { return }
        if machine.memmap().optimizeFailures > 0 { try throwRefusal(optimized: pool.optimized) }
        throw ExperimentError.unexpected(
            "\(pool.total.rawValue) huge pages, \(pool.optimized.rawValue) of them optimized, not \(pages.rawValue) "
                + "and \(optimized.rawValue)"
        )
    }

    /// Throws what stands in the way of optimizing: the machine counts refusals and goes on, so one huge page is tried
    /// again.
    private func throwRefusal(optimized: HugePageCount) throws {
        guard let region = machine.region(size) else { return }
        if let index = region.hugePageStates.firstIndex(where: { $0 != .optimized }) {
            let page = HugePageIndex(index)
            try region.optimize(page.alone, writers: .excluded)
        }
        throw ExperimentError.refused(
            "\(optimized.rawValue) of \(pages.rawValue) huge pages could be optimized, and a moment later it would "
                + "have let more be; run "
                + "it again, "
                + "or with fewer --pages")
    }

    private func expectEmpty() throws {
        let left = machine.hugePages(size).total
        guard left == .zero else {
            throw ExperimentError.unexpected("\(left.rawValue) huge pages are left in the pool")
        }
    }
}
