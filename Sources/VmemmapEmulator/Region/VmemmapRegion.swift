public import HostMemory

/// A fake vmemmap on real memory: the struct pages of a number of huge pages, in a region of this process.
///
/// The region is what the kernel's `vmemmap` array is to it: `pfn` to struct page is arithmetic, and every struct
/// page is there at any time. ``optimize(writers:)`` replaces tail vmemmap pages in the host's page tables and
/// gives their frames back to the host; ``restore(writers:)`` gives each vmemmap page its own frame again. Readers
/// go on throughout and never see anything but the right `compound_head`.
///
/// All operations may be called from any thread. Two operations on the same huge page take turns.
public final class VmemmapRegion: Sendable {
    /// What optimizing does here.
    public var plan: MappingPlan { parts.plan }
    /// Where the struct pages are.
    package var layout: VmemmapLayout { parts.layout }
    /// The region itself.
    public var range: AddressRange { parts.memory.range }

    let parts: RegionParts
    let remapper: any Remapper

    var states: HugePageStates { parts.states }
    var budget: MappingBudget { parts.memory.budget }

    /// Maps the region and fills its struct pages as the kernel's prep of compound pages would.
    ///
    /// - Parameters:
    ///   - plan: the huge pages and their scheme. Its base page must be the host's, or larger.
    ///   - construction: with a frame for every vmemmap page, or optimized from the start.
    ///   - progress: told how far it is.
    /// - Throws: `VmemmapError` when the host refuses; nothing is left mapped then.
    package convenience init(
        _ plan: MappingPlan, _ construction: Construction = .populated, progress: BuildProgress = { _, _ in }
    ) throws(VmemmapError) {
        try self.init(plan, construction, budget: .process, progress: progress)
    }

    /// The same with a budget of its own, and memory files whose frames come from `store`.
    package convenience init(
        _ plan: MappingPlan, _ construction: Construction = .populated, budget: MappingBudget,
        store: FrameStore = .memory, progress: BuildProgress = { _, _ in }
    ) throws(VmemmapError) {
        let length = try Self.checkedLength(plan, construction)
        let memory: RegionMemory
        do throws(HostError) {
            memory = try RegionMemory(
                length: length, alignment: RegionMemory.alignment(plan),
                templates: plan.templates.bytes(pageSize: plan.geometry.basePageSize), plan.backing,
                plan.mapping, isPopulated: construction == .populated, fileName: RegionLabel(plan).memoryFileName,
                budget: budget, store: store, progress: progress)
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        try self.init(plan, over: memory, templatesAt: length, store)
        do throws(HostError) {
            try markGuardPages()
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        switch construction {
        case .populated:
            if plan.mapping == .pmd { try checkPMDMapped() }
            prepareStructPages()
        case .optimized:
            try buildOptimized(progress)
        }
    }

    /// A view of memory as huge pages of one size. Nothing is written to its struct pages.
    ///
    /// - Parameters:
    ///   - plan: the huge pages; they begin where the memory does.
    ///   - memory: as the plan's backing and mapping have it. Views of the same memory must not work on the same part
    ///     of it at the same time.
    ///   - templatesAt: where in the memory's file the templates of this view lie.
    ///   - store: where a memory file of its own takes its frames.
    init(
        _ plan: MappingPlan, over memory: RegionMemory, templatesAt: ByteCount, _ store: FrameStore
    ) throws(VmemmapError) {
        let layout = VmemmapLayout(geometry: plan.geometry, base: memory.range.start, hugePages: plan.hugePages)
        do throws(HostError) {
            if plan.isWorthwhile { try MappingReserve.process.fill() }
            let frames = try FrameFile(plan, memory.file, templatesAt: templatesAt, store)
            let tailImages = try TailImages(plan, layout)
            try tailImages?.fill(frames, plan)
            parts = RegionParts(
                plan: plan, layout: layout, memory: memory, frames: frames, tailImages: tailImages,
                states: HugePageStates(plan, layout, memory.blocks))
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        remapper =
            switch plan.backing {
            case .anonymous: AnonymousRemapper(parts: parts)
            case .memfd: MemfdRemapper(parts: parts)
            }
    }

    // Staged pages that a torn huge page needed are nobody's any more.
    deinit {
        for page in layout.allHugePages {
            if let staging = states.entry(page).state.tear?.staging { parts.memory.orphans.unmap(staging) }
        }
        parts.memory.giveBackOnceUnmapped(states.mappings(of: layout.allHugePages))
    }

    /// The memory file behind the region, for the C baseline that the engine is measured against.
    package var memoryFile: MemoryFile { parts.frames.file }

    /// Bytes of the memory file that holds shared frames (`st_blocks`).
    public func sharedFrameBytes() throws(HostError) -> ByteCount { try parts.frames.file.allocatedBytes() }

    /// The state of a huge page. An operation over many changes them one after the other.
    ///
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/outOfRange(_:hugePages:)``.
    public func state(of page: HugePageIndex) throws(VmemmapError) -> HugePageState {
        try checkPage(page, .look)
        return states.state(of: page)
    }

    /// The state of every huge page, in order.
    public var hugePageStates: [HugePageState] { layout.allHugePages.map { states.state(of: $0) } }

    /// Huge pages that have been optimized and restored since the region was built, those put back included.
    package var changes: (optimized: Int, restored: Int) {
        let changes = states.changes
        return (changes.optimized, changes.restored)
    }

    /// The mappings that the region consists of, worked out from the states of its huge pages and from what was moved
    /// in together. Where a huge page is torn, and for neighbours on the anonymous backing that two operations have
    /// restored at the same moment, the most there may be.
    package var expectedMappings: MappingCount { states.regionMappings() }

    /// Those of them that begin in the vmemmap of `page`.
    ///
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/outOfRange(_:hugePages:)``.
    package func expectedMappings(beginningIn page: HugePageIndex) throws(VmemmapError) -> MappingCount {
        try checkPage(page, .look)
        return states.mappingsBegun(in: page)
    }

    /// Throws unless `page` is of this region.
    func checkPage(_ page: HugePageIndex, _ operation: VmemmapError.Operation) throws(VmemmapError) {
        if layout.allHugePages.contains(page) { return }
        throw VmemmapError(
            operation, .outOfRange(page..<max(page, HugePageIndex(page.rawValue &+ 1)), hugePages: plan.hugePages))
    }

    /// Throws unless all of `pages` are of this region.
    func checkRange(_ pages: Range<HugePageIndex>, _ operation: VmemmapError.Operation) throws(VmemmapError) {
        let all = layout.allHugePages
        if pages.lowerBound >= all.lowerBound, pages.upperBound <= all.upperBound { return }
        throw VmemmapError(operation, .outOfRange(pages, hugePages: plan.hugePages))
    }
}
