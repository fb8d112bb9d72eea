public import HostMemory

/// A fake vmemmap on real memory: the struct pages of a number of huge pages, in a region of this process.
///
/// The region is what the kernel's `vmemmap` array is to it: `pfn` to struct page is arithmetic, and every struct
/// page is there at any time. ``optimize(_:writers:)`` replaces tail vmemmap pages in the host's page tables and
/// gives their frames back to the host; ``restore(_:writers:)`` gives each vmemmap page its own frame again. Readers
/// go on throughout and never see anything but the right `compound_head`.
///
/// All operations may be called from any thread. Two operations on the same huge page take turns.
public final class VmemmapRegion: Sendable {
    /// What optimizing does here.
    public let plan: MappingPlan
    /// Where the struct pages are.
    public let layout: VmemmapLayout
    /// The region itself.
    public var range: AddressRange { memory.range }

    let memory: RegionMemory
    let frames: FrameFile
    let tailImages: TailImages?
    let ledger: HugePageLedger
    let budget: MappingBudget

    var hugeBase: HugeBase? { memory.hugeBase }

    /// Maps the region and fills its struct pages as the kernel's prep of compound pages would.
    ///
    /// - Parameters:
    ///   - plan: the huge pages and their scheme. Its base page must be the host's.
    ///   - construction: with a frame for every vmemmap page, or optimized from the start.
    ///   - budget: what may be mapped.
    ///   - store: where memory files take their frames.
    ///   - progress: told how far it is.
    /// - Throws: `VmemmapError` when the host refuses; nothing is left mapped then.
    public convenience init(
        _ plan: MappingPlan, _ construction: Construction = .populated, budget: MappingBudget = .process,
        store: FrameStore = .memory, progress: BuildProgress = { _, _ in }
    ) throws(VmemmapError) {
        let length = try Self.checkedLength(plan, construction)
        let memory: RegionMemory
        do throws(HostError) {
            memory = try RegionMemory(
                length: length, alignment: RegionMemory.alignment(plan),
                templates: plan.templates.bytes(pageSize: plan.geometry.basePageSize), plan.backing,
                plan.base, isPopulated: construction == .populated, fileName: RegionLabel(plan).memoryFileName,
                store: store, progress: progress)
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        try self.init(plan, over: memory, templatesAt: length, budget, store)
        do throws(HostError) {
            try markGuardPages()
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        switch construction {
        case .populated:
            if plan.base == .pmd { try checkHugeBase() }
            prepareStructPages()
        case .optimized:
            try buildOptimized(progress)
        }
    }

    /// A view of memory as huge pages of one size. Nothing is written to its struct pages.
    ///
    /// - Parameters:
    ///   - plan: the huge pages; they begin where the memory does.
    ///   - memory: as the plan's backing and base have it. Views of the same memory must not work on the same part of it at the
    ///     same time.
    ///   - templatesAt: where in the memory's file the templates of this view lie.
    ///   - budget: what may be mapped.
    ///   - store: where a memory file of its own takes its frames.
    init(
        _ plan: MappingPlan, over memory: RegionMemory, templatesAt: ByteCount, _ budget: MappingBudget,
        _ store: FrameStore
    ) throws(VmemmapError) {
        self.plan = plan
        self.memory = memory
        self.budget = budget
        layout = VmemmapLayout(geometry: plan.geometry, base: memory.range.start, hugePages: plan.hugePages)
        do throws(HostError) {
            if plan.isWorthwhile { try MappingReserve.process.fill() }
            frames = try FrameFile(plan, memory.file, templatesAt: templatesAt, store)
            tailImages = try TailImages(plan, layout)
            try tailImages?.fill(frames, plan)
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        // Frames that might be stale are shown, and so are not: the own frames of an optimized huge page; on memfd the
        // pages of one that is not.
        let isMemfd = plan.backing == .memfd
        self.ledger = HugePageLedger(plan.hugePages) { ($0 == .optimized) != isMemfd }
    }

    deinit {
        // Nobody is left to tell of a refusal.
        while let orphan = ledger.takeOrphan() { try? HostKernel.unmap(orphan) }
        budget.settle(reserved: .zero, made: .zero - mappings(of: layout.allHugePages))
    }

    /// The memory file behind the region, for the bare loop that the engine is measured against.
    package var memoryFile: MemoryFile { frames.file }

    /// Bytes of the memory file that holds shared frames (`st_blocks`).
    public func sharedFrameBytes() throws(HostError) -> ByteCount { try frames.file.allocatedBytes() }

    /// The state of a huge page. An operation over many changes them one after the other.
    public func state(of page: HugePageIndex) -> HugePageState { ledger.entry(page).state }

    /// Whether a failed operation has left a huge page half-way, and put-back was refused too. The next operation on it mends it.
    public func isIncomplete(_ page: HugePageIndex) -> Bool { ledger.entry(page).isIncomplete }

    /// Huge pages that have been optimized and restored since the region was built, those put back included.
    public var turns: (optimized: Int, restored: Int) {
        let turns = ledger.turns
        return (turns.optimized, turns.restored)
    }

    /// The mappings that the region consists of, worked out from the states of its huge pages. For the head scheme on
    /// the anonymous backing the most there may be: neighbours that were restored together may have merged.
    public var expectedMappings: MappingCount { ledger.regionMappings(plan) }

    /// Those of them that begin in the vmemmap of `page`.
    public func expectedMappings(beginningIn page: HugePageIndex) -> MappingCount {
        ledger.mappingsBegun(in: page, plan)
    }
}
