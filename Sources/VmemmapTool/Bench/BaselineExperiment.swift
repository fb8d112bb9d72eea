import HostMemory
import VmemmapEmulator

/// The engine against the C baseline of the same system calls, by alternating pairs in one run, on the same region in
/// turn.
struct BaselineExperiment: Sendable {
    /// What the engine does with the huge pages.
    var plan: MappingPlan
    /// Counted pairs. One more, first, warms up and is looked at.
    var pairs: Int
    /// A smaller number of huge pages to measure first, for how the time of one grows with their number.
    var growthFrom: HugePageCount?

    /// Runs it. Nobody else reads or writes the region.
    ///
    /// - Parameter isThrough: called after every pair, the warm-ups too; false ends it with those there are.
    /// - Throws: ``ExperimentError``; also when the two did not do the same work.
    func run(isThrough: () -> Bool = { true }) throws(ExperimentError) -> BaselineResult {
        let small = try growthFrom.map { (pages) throws(ExperimentError) in
            try EmulatedMemory(
                pages: pages, pageSize: plan.geometry.hugePageSize, basePageSize: plan.geometry.basePageSize,
                scheme: plan.scheme, backing: plan.backing, tailFrames: .frames(plan.tailFrames)
            ).planOnThisHost()
        }
        return try ExperimentError.wrapping {
            let before = try small.map { try measure($0, isThrough) }
            let (optimize, restore) = try measure(plan, isThrough)
            let growth = before.map { BaselineResult.Growth(growthFrom ?? .zero, $0, (optimize, restore)) }
            return BaselineResult(optimize: optimize, restore: restore, growth: Measured(growth))
        }
    }

    private func measure(
        _ plan: MappingPlan, _ isThrough: () -> Bool
    ) throws -> (optimize: PairedRuns, restore: PairedRuns) {
        let region = try VmemmapRegion(plan)
        let engine = Side(
            name: "engine", region: region,
            optimize: { try region.optimize(region.layout.allHugePages, writers: .excluded) },
            restore: { try region.restore(region.layout.allHugePages, writers: .excluded) })
        try engine.check()
        let baseline = try BaselineLoop(region)
        let bare = Side(
            name: "baseline", region: region, optimize: { try baseline.optimize() }, restore: { try baseline.restore() }
        )
        try bare.check()
        _ = isThrough()
        let cycles = try PairedRuns.alternate(pairs, engine.cycle, bare.cycle, isThrough: isThrough)
        return (
            PairedRuns(cycles.map { .init($0.first.optimize, $0.second.optimize) }, pages: plan.hugePages.rawValue),
            PairedRuns(cycles.map { .init($0.first.restore, $0.second.restore) }, pages: plan.hugePages.rawValue)
        )
    }
}

/// One of the two that are compared.
private struct Side {
    let name: String
    let region: VmemmapRegion
    let optimize: () throws -> Void
    let restore: () throws -> Void

    /// One optimize and one restore, timed in nanoseconds.
    func cycle() throws -> (optimize: Int, restore: Int) {
        (try timed(optimize).nanoseconds, try timed(restore).nanoseconds)
    }

    /// Optimizes and restores once, and throws unless what comes of it is what the plan says.
    func check() throws {
        let plan = region.plan
        try optimize()
        try expect(plan, framesInRegion: plan.framesOptimized, optimized: plan.hugePages)
        try restore()
        try expect(plan, framesInRegion: plan.framesPopulated, optimized: .zero)
        if let difference = region.differencesFromPrepared().first {
            throw ExperimentError.unexpected("\(name): after the restore \(difference) is not as it was built")
        }
    }

    private func expect(_ plan: MappingPlan, framesInRegion: PageCount, optimized: HugePageCount) throws {
        let frames = try FrameCount.count(in: region.range).distinct
        let file = try region.sharedFrameBytes()
        let fileInPlan = plan.fileFrames(optimized: optimized).bytes(pageSize: HostLimits.pageSize)
        guard frames != framesInRegion || file != fileInPlan else { return }
        throw ExperimentError.unexpected(
            "\(name), \(optimized.rawValue) optimized: \(frames.rawValue) frames and a file of \(file.rawValue) bytes, "
                + "not \(framesInRegion.rawValue) and \(fileInPlan.rawValue)")
    }
}
