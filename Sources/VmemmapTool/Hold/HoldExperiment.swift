import HostMemory
import VmemmapEmulator

/// Builds an optimized vmemmap and holds it, so that other tools can look at this process.
struct HoldExperiment: Sendable {
    /// The huge pages.
    var memory: EmulatedMemory
    /// Threads that read all the while.
    var walkers: Int
    /// Whether a walker visits every struct page first, so that every tail has its page table entry.
    var touch: Bool
    /// Whether the huge pages are restored again before they are held.
    var restored: Bool

    /// A hold over `memory`.
    init(_ memory: EmulatedMemory, walkers: Int = 0, touch: Bool = false, restored: Bool = false) {
        self.memory = memory
        self.walkers = walkers
        self.touch = touch
        self.restored = restored
    }

    /// Builds and optimizes. What it returns holds the memory until it is ended.
    ///
    /// - Parameter progress: is told how far building is.
    func begin(progress: ProgressSink = { _ in }) throws(ExperimentError) -> HeldMemory {
        let plan = try memory.planOnThisHost()
        return try ExperimentError.wrapping {
            let region = try VmemmapRegion(plan, memory.construction) {
                progress(.count("populated", $0.rawValue, of: $1.rawValue, unit: "vmemmap pages"))
            }
            if plan.scheme.isRemapped { try region.optimize(region.layout.allHugePages, writers: .excluded) }
            if restored { try region.restore(region.layout.allHugePages, writers: .excluded) }
            if touch { _ = region.visitEveryStructPage() }
            return HeldMemory(region, walkers: walkers > 0 ? try Walkers(walkers, over: region, seed: 1) : nil)
        }
    }
}

/// A vmemmap held for others to look at.
final class HeldMemory: Sendable {
    /// Where it is, as exported.
    let description: HoldResult

    private let region: VmemmapRegion
    private let walkers: Walkers?

    init(_ region: VmemmapRegion, walkers: Walkers?) {
        self.region = region
        self.walkers = walkers
        let plan = region.plan
        description = HoldResult(
            pid: HostKernel.processID, regionStart: "\(region.range.start)", regionLengthBytes: region.range.length,
            pages: plan.hugePages, hugePageBytes: plan.geometry.hugePageSize.bytes, scheme: plan.scheme)
    }

    /// Writes the flags of the emulated frames, for page-types.
    func writePageFlags(to sink: PageFlagsSink) throws(ExperimentError) -> PageFlagsTally {
        try ExperimentError.wrapping { try PageFlagsTally.write(region, to: sink) }
    }

    /// Writes what /proc tells of frames, for the emulated ones.
    func write(_ export: ProcExport) throws(ExperimentError) -> PageFlagsTally {
        try ExperimentError.wrapping { try export.write(region) }
    }

    /// Stops the walkers. Returns what they have read; nil if there were none.
    func end() -> HoldReads? {
        walkers.map { walkers in
            let tally = walkers.stop()
            return HoldReads(reads: tally.reads, wrong: tally.wrong)
        }
    }
}
