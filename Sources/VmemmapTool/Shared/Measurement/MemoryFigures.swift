import HostMemory
import VmemmapEmulator

/// The memory figures at one step of an experiment. Each comes from the source its comment names.
struct MemoryFigures: Hashable, Sendable, Codable {
    /// Rss of /proc/self/smaps_rollup: page table entries of the process, not frames. Null before Linux 4.14.
    let rssBytes: Measured<ByteCount>
    /// Pss of /proc/self/smaps_rollup. Null before Linux 4.14.
    let pssBytes: Measured<ByteCount>
    /// Different frames behind the region (/proc/self/pagemap with maps), swapped-out pages included. Null while there
    /// is no region.
    let distinctFrames: Measured<PageCount>
    /// Those of them that are swapped out. Null while there is no region.
    let swappedPages: Measured<PageCount>
    /// Page table entries present in the region: its own part of Rss, to the page. Null while there is no region.
    let regionPresentPages: Measured<PageCount>
    /// What the file of shared frames occupies (st_blocks). Null while there is none.
    let memfdBytes: Measured<ByteCount>
    /// VmPTE of /proc/self/status.
    let pageTableBytes: ByteCount
    /// Mappings of the process (lines of /proc/self/maps).
    let mappings: MappingCount
    /// Those of the region. Null while there is no region.
    let regionMappings: Measured<MappingCount>
    /// What the mappings of the process cost the kernel: their number times the cost of one.
    let mappingCostBytes: ByteCount
    /// What PMDs map of the region (PAGEMAP_SCAN). Null unless PMDs map the region.
    let pmdMappedBytes: Measured<ByteCount>
    /// Present pages of the region whose frame is part of a larger folio (KPF_THP of /proc/kpageflags). Null unless
    /// PMDs map the region, for an ordinary user, and where the kernel knows nothing of a frame (``KernelPages``).
    let pagesInHugeFolios: Measured<PageCount>
    /// 2 MiB blocks that optimizing has split and no restore has merged. Null unless PMDs map the region.
    let splitBlocks: Measured<Int>
    /// What the host has done with transparent huge pages since it started, all processes together (/proc/vmstat). Null
    /// on a kernel without them.
    let hugePageEvents: Measured<HugePageEvents>
    /// How many of those came since the figures before, of the step before. Null where there are none before.
    let hugePageEventGrowth: Measured<HugePageEvents>

    /// Measures now.
    ///
    /// - Parameters:
    ///   - region: the region, or nil before there is one.
    ///   - cost: what a mapping costs.
    ///   - before: the figures of the step before.
    static func measure(
        _ region: VmemmapRegion?, cost: MappingCost, after before: MemoryFigures? = nil
    ) throws(HostError) -> MemoryFigures {
        // RSS first: counting frames takes memory itself.
        let rollup = try? SmapsRollup.current()
        let pageTables = try ProcessStatus.current().pageTables
        let mappings = try ProcMaps.count()
        let events = try HugePageEvents.current()
        let pmdMapped = region.flatMap { $0.plan.mapping == .pmd ? $0 : nil }
        var frames: FrameCount?
        var memfd: ByteCount?
        var regionMappings: MappingCount?
        if let region {
            frames = try FrameCount.count(in: region.range)
            memfd = try region.sharedFrameBytes()
            regionMappings = try ProcMaps.count(overlapping: region.range)
        }
        return MemoryFigures(
            rssBytes: Measured(rollup?.rss), pssBytes: Measured(rollup?.pss),
            distinctFrames: Measured(frames?.distinct), swappedPages: Measured(frames?.swapped),
            regionPresentPages: Measured(frames?.present),
            memfdBytes: Measured(memfd), pageTableBytes: pageTables, mappings: mappings,
            regionMappings: Measured(regionMappings), mappingCostBytes: cost.total(mappings),
            pmdMappedBytes: Measured(try pmdMapped.map { (region) throws(HostError) in try region.pmdMappedBytes() }),
            pagesInHugeFolios: Measured(
                try pmdMapped.flatMap { (region) throws(HostError) in try KernelPages.partsOfHugePages(in: region.range)
                }),
            splitBlocks: Measured(pmdMapped?.splitBlocks.count), hugePageEvents: Measured(events),
            hugePageEventGrowth: Measured(
                events.flatMap { now in before?.hugePageEvents.value.map { now - $0 } }))
    }
}

extension MemoryFigures: Addable {
    /// The figures of two processes together. What the host counts for both is not added up.
    ///
    /// Distinct frames of the regions may be added: each is private memory, or a memory file, of its own process.
    static func + (left: Self, right: Self) -> Self {
        MemoryFigures(
            rssBytes: left.rssBytes + right.rssBytes, pssBytes: left.pssBytes + right.pssBytes,
            distinctFrames: left.distinctFrames + right.distinctFrames,
            swappedPages: left.swappedPages + right.swappedPages,
            regionPresentPages: left.regionPresentPages + right.regionPresentPages,
            memfdBytes: left.memfdBytes + right.memfdBytes,
            pageTableBytes: left.pageTableBytes + right.pageTableBytes, mappings: left.mappings + right.mappings,
            regionMappings: left.regionMappings + right.regionMappings,
            mappingCostBytes: left.mappingCostBytes + right.mappingCostBytes,
            pmdMappedBytes: left.pmdMappedBytes + right.pmdMappedBytes,
            pagesInHugeFolios: left.pagesInHugeFolios + right.pagesInHugeFolios,
            splitBlocks: left.splitBlocks + right.splitBlocks, hugePageEvents: right.hugePageEvents,
            hugePageEventGrowth: right.hugePageEventGrowth)
    }
}

/// A step of an experiment.
enum Step: String, Hashable, Sendable, Codable, CaseIterable {
    /// Before there is a region.
    case baseline
    /// The region built: every vmemmap page has its frame.
    case populated
    /// Tails replaced; nobody has read them since.
    case optimized
    /// A walker has visited every struct page.
    case touched
    /// Every vmemmap page has its own frame again.
    case restored
}

/// The figures of a step and the time the step took.
struct StepResult: Hashable, Sendable, Codable {
    /// The step.
    let step: Step
    /// What it took, measuring not included. Null for the baseline, which is no work.
    let durationNanoseconds: Measured<Int>
    /// The figures after it.
    let figures: MemoryFigures
}
