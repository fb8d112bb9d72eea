package import HostMemory

/// An emulated machine with memory in two zones, each base page of it described by its struct page in a real region,
/// and huge pages of one size or two on it (``MachineSizes``): the HugeTLB layer (`mm/hugetlb.c`).
///
/// One region stands for the vmemmap; each size of huge page sees it through a ``VmemmapRegion`` of its own. Which part
/// of memory is a huge page, of which size, is decided here, so the two never meet.
///
/// All operations may be called from any thread.
public final class EmulatedMachine: Sendable {
    /// What it was booted with.
    public let configuration: MachineConfiguration

    let memory: RegionMemory
    /// Vmemmap pages of all its memory.
    let vmemmapPages: PageCount
    let views: [HugePageSize: VmemmapRegion]
    /// The view as huge pages of a block, which every machine has.
    let smallView: VmemmapRegion
    let facts: Guarded<Facts>
    /// One change of a pool's size at a time (`resize_lock`).
    let resizing = Guarded(())
    let worker: DeferredWorker<PageID>
    /// Every base page.
    package let frames: Range<PageFrameNumber>
    /// Base pages of a gigantic page.
    let pagesPerGigantic: Int
    /// What each block may be read as.
    package let uses: BlockUses
    /// Held by who touches struct pages by their frames' numbers, and by who takes struct pages away.
    let presence = Guarded(())
    /// The walkers that read what they have found.
    let readers = ReadSideSections()
    /// The struct pages of a free block, in each zone.
    let plainBlocks: [[UInt64]]

    /// What the machine knows of itself. Everything but the struct pages.
    struct Facts {
        var hstates: [HugePageSize: HState]
        var zones: [BlockAllocator]
        var memoryBlocks: MemoryBlocks
        /// vm.hugetlb_optimize_vmemmap: whether huge pages that come into being are optimized.
        var isOptimizing: Bool
        /// Whether each zone is a node.
        let hasNodes: Bool
        /// Frames that splits and restores may take; nil: as many as the host has.
        var budget: FrameBudget?
        var origins: FrameOrigins
        var deposits: PageTableDeposits
        /// Memory errors beyond the first of a huge page, whose index is in struct page 4 (`raw_hwp_list`).
        var furtherErrors: [PageFrameNumber: [Int]] = [:]
        /// Memory errors in huge pages that are in no pool: on their way in, or out.
        var errorsInTransit: Set<PageFrameNumber> = []
        /// Huge pages that two refusals in a row have left half-way (``VmemmapError/Residue``): in no pool until they
        /// are mended.
        var setAside: [PageID] = []
        /// Huge pages that could not be optimized, and are used as they are.
        var optimizeFailures = 0
        /// Those of them for which there were no mappings.
        var mappingLimitFailures = 0
        /// Those of them for which there was no memory.
        var memoryFailures = 0
        /// Restores that were refused.
        var restoreFailures = 0

        /// Changes the pool of a size, which is one of the machine's.
        mutating func change<Value, Failure: Error>(
            _ size: HugePageSize, _ body: (inout HState) throws(Failure) -> Value
        ) throws(Failure) -> Value {
            try body(&hstates[size, default: HState(size)])
        }
    }

    /// A huge page on its way back to the page allocator.
    struct PageID: Hashable, Sendable {
        let page: HugePageIndex
        let size: HugePageSize
    }

    /// The sizes of huge page that it has, the smaller first.
    public var sizes: [HugePageSize] { configuration.sizes.hugePages }

    /// Boots a machine: maps the struct pages of its memory, all of it free.
    ///
    /// - Throws: `VmemmapError` when the host refuses, the base page is smaller than its own, the memory holds not one
    ///   block or more than fit an address space, no PMD maps a part of its vmemmap although one is to, there is no
    ///   struct page of that size, or no such number of tail frames.
    public convenience init(_ configuration: MachineConfiguration) throws(VmemmapError) {
        try self.init(configuration, budget: .process)
    }

    /// The same with a budget of its own, memory files whose frames come from `store`, and `progress`, which is told
    /// how many of its vmemmap pages there are already.
    package init(
        _ configuration: MachineConfiguration, budget: MappingBudget, store: FrameStore = .memory,
        progress: BuildProgress = { _, _ in }
    ) throws(VmemmapError) {
        self.configuration = configuration
        let sizes = configuration.sizes
        guard sizes.basePage >= HostLimits.pageSize else {
            throw VmemmapError(.build, .basePageSize(wanted: sizes.basePage, host: HostLimits.pageSize))
        }
        var plans: [HugePageSize: MappingPlan] = [:]
        for size in sizes.hugePages { plans[size] = try configuration.checkedPlan(size) }
        guard let small = plans[sizes.block] else {
            throw VmemmapError(.build, .unusableCount(HugePageCount(configuration.blocks)))
        }
        frames = PageFrameNumber(0)..<PageFrameNumber(configuration.frames)
        let pageSize = small.geometry.basePageSize
        let structBytes = small.geometry.structPageSize * frames.count
        vmemmapPages = PageCount((structBytes.rawValue + pageSize.rawValue - 1) / pageSize.rawValue)
        let length = vmemmapPages.bytes(pageSize: pageSize)
        let templates = plans.values.reduce(ByteCount.zero) {
            $0 + $1.templates.bytes(pageSize: pageSize)
        }
        do throws(HostError) {
            memory = try RegionMemory(
                length: length, alignment: plans.values.map(RegionMemory.alignment).max() ?? .zero,
                templates: templates, configuration.backing, configuration.mapping, isPopulated: true,
                hasDirectWriters: true, budget: budget, store: store, progress: progress)
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        smallView = try VmemmapRegion(small, over: memory, templatesAt: length, store)
        if configuration.mapping == .pmd { try smallView.checkPMDMapped() }
        var views = [sizes.block: smallView]
        if let size = sizes.gigantic, let gigantic = plans[size] {
            let templatesAt = length + small.templates.bytes(pageSize: pageSize)
            views[size] = try VmemmapRegion(gigantic, over: memory, templatesAt: templatesAt, store)
        }
        self.views = views
        let pagesPerBlock = small.geometry.basePagesPerHugePage
        pagesPerGigantic = sizes.blocksPerGigantic * pagesPerBlock
        let memoryBlocks = configuration.memoryBlocks(small.geometry)
        var origins = FrameOrigins(pages: vmemmapPages, absent: memoryBlocks.absentVmemmapPages)
        for plan in plans.values { origins.addTemplates(plan.templates) }
        facts = Guarded(
            Facts(
                hstates: plans.mapValues { HState($0.geometry.hugePageSize, border: configuration.border($0)) },
                zones: Self.zones(configuration, pagesPerBlock: pagesPerBlock), memoryBlocks: memoryBlocks,
                isOptimizing: configuration.optimizesAtBoot, hasNodes: configuration.nodes > 1, origins: origins,
                deposits: PageTableDeposits(
                    pmds: sizes.mapsVmemmapByPMDs ? vmemmapPages.rawValue / small.geometry.pagesPerPmd : 0)))
        worker = DeferredWorker()
        uses = BlockUses(configuration.blocks)
        plainBlocks = (0..<small.zones).map { StructPage.plain(pagesPerBlock, zone: $0, small.geometry) }
        writePlainStructPages(of: frames)
        try removePluggable()
    }

    private static func zones(_ configuration: MachineConfiguration, pagesPerBlock: Int) -> [BlockAllocator] {
        let border = min(configuration.frames, configuration.blocksInFirstZone * pagesPerBlock)
        let isOneZone = configuration.blocksInFirstZone == configuration.blocks
        let zones = isOneZone ? [0..<configuration.frames] : [0..<border, border..<configuration.frames]
        return zones.map { zone in
            var zone = BlockAllocator(
                PageFrameNumber(zone.lowerBound)..<PageFrameNumber(zone.upperBound), blockPages: pagesPerBlock,
                giganticPages: configuration.sizes.blocksPerGigantic * pagesPerBlock)
            for reserved in configuration.reserved { zone.withhold(configuration.frames(in: reserved)) }
            zone.withhold(PageFrameNumber(configuration.bootFrames)..<PageFrameNumber(configuration.frames))
            return zone
        }
    }
}
