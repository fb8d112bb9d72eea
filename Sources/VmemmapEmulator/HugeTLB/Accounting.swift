public import HostMemory
import Synchronization

/// The machine's HugeTLB lines of /proc/meminfo, for one size.
public struct HugePagesInfo: Hashable, Sendable {
    /// HugePages_Total.
    public let total: HugePageCount
    /// HugePages_Free.
    public let free: HugePageCount
    /// HugePages_Rsvd.
    public let reserved: HugePageCount
    /// HugePages_Surp.
    public let surplus: HugePageCount
    /// nr_overcommit_hugepages.
    public let overcommit: HugePageCount
    /// Hugepagesize.
    public let size: HugePageSize
    /// Those of them whose vmemmap is optimized.
    public let optimized: HugePageCount
}

/// The machine's memory-map counters of /proc/vmstat, and what splitting takes.
package struct MemmapInfo: Hashable, Sendable {
    /// nr_memmap_pages: frames of the vmemmap from the page allocator.
    package let allocatorPages: PageCount
    /// nr_memmap_boot_pages: frames of the vmemmap from boot memory.
    package let bootPages: PageCount
    /// Page tables that splitting PMDs of the vmemmap has taken.
    package let splitPageTables: Int
    /// Huge pages that could not be optimized and are used as they are.
    package let optimizeFailures: Int
    /// Those of them for which vm.max_map_count left no mappings.
    package let mappingLimitFailures: Int
    /// Those of them for which the host, or the frame budget, had no memory.
    package let memoryFailures: Int
    /// Restores that were refused.
    package let restoreFailures: Int
    /// Base pages of huge pages that two refusals in a row have left half-way. The next change of a pool mends them.
    package let setAsidePages: Int
    /// Frames that restores may still take; nil: as many as the host has.
    package let frameBudget: PageCount?
    /// Free base pages of the emulated memory.
    package let freePages: Int
}

/// A struct page, as page-types and the like would see it, and what the machine knows of its frame.
package struct StructPageView: Hashable, Sendable {
    /// The frame it describes.
    package let frame: PageFrameNumber
    /// Where it is.
    package let address: Address
    /// The frame of its compound head; its own unless it is a tail. Nil if it leads nowhere, which must never be.
    package let compoundHead: PageFrameNumber?
    /// The huge page that the frame is in.
    package let hugePage: HugePage?
    /// Whether that page's vmemmap is optimized.
    package let isOptimized: Bool
    /// Whether that page is in use.
    package let isActive: Bool
    /// PG_hwpoison.
    package let isPoisoned: Bool
    /// The base page of its huge page that has the memory error, counted from the head.
    package let rawErrorIndex: Int?
    /// Its zone: 0 is ZONE_NORMAL, 1 ZONE_MOVABLE.
    package let zone: Int
}

extension EmulatedMachine {
    /// What /proc/meminfo would say of a size.
    public func hugePages(_ size: HugePageSize) -> HugePagesInfo {
        let state = pool(size)
        return HugePagesInfo(
            total: state.total, free: state.free, reserved: state.reserved, surplus: state.surplus,
            overcommit: state.overcommit, size: size,
            optimized: HugePageCount(optimizedPages(state).count))
    }

    /// The huge pages of a pool whose vmemmap is optimized.
    private func optimizedPages(_ state: HState) -> [HugePageIndex] {
        (state.freePages + Array(state.active)).filter { isOptimized(PageID(page: $0, size: state.size)) }
    }

    /// What /proc/vmstat would say of the memory map.
    package func memmap() -> MemmapInfo {
        facts.withLock { facts in
            MemmapInfo(
                allocatorPages: facts.origins.allocatorPages, bootPages: facts.origins.bootPages,
                splitPageTables: facts.deposits.inUse, optimizeFailures: facts.optimizeFailures,
                mappingLimitFailures: facts.mappingLimitFailures, memoryFailures: facts.memoryFailures,
                restoreFailures: facts.restoreFailures,
                setAsidePages: facts.setAside.reduce(0) { $0 + configuration.sizes.pages(in: $1.size) },
                frameBudget: facts.budget?.left,
                freePages: facts.zones.reduce(0) { $0 + $1.freePages })
        }
    }

    /// This host's frames that there must be behind the region: those of each vmemmap page that has its own, and of the
    /// templates that show.
    public func expectedFrames() -> PageCount {
        let present = vmemmapPages - facts.withLock { $0.memoryBlocks.absentVmemmapPages }
        let pages = views.reduce(present) { sum, entry in
            let (size, view) = entry
            let optimized = optimizedPages(pool(size))
            let zones = Set(optimized.map { view.plan.zone(of: $0) }).count
            let freed = PageCount(view.plan.freedPages.count) * optimized.count
            return sum - freed
                + view.plan.templatesPerZone * zones
        }
        return smallView.plan.hostFrames(pages)
    }

    /// What a struct page says, and what stands behind it.
    package func structPage(of frame: PageFrameNumber) throws(HugeTLBError) -> StructPageView {
        try onPresent(frame) { view(of: frame) }
    }

    private func view(of frame: PageFrameNumber) -> StructPageView {
        let small = smallView
        let page = hugePage(of: frame)
        let view = page.flatMap { views[$0.size] } ?? small
        let address = small.layout.structPage(of: frame)
        let head = view.read(address).head
        let fields = HugePageFields(head: page?.head ?? frame, small.layout)
        return StructPageView(
            frame: frame, address: address, compoundHead: self.frame(describedAt: head), hugePage: page,
            isOptimized: page.map { isOptimized(PageID(page: $0.index, size: $0.size)) } ?? false,
            isActive: page != nil && fields.isActive, isPoisoned: hasPoisonMark(frame),
            rawErrorIndex: page != nil && fields.isPoisoned ? fields.rawErrorIndex : nil,
            zone: small.plan.zone(
                of: min(
                    small.layout.geometry.hugePage(of: frame), small.layout.allHugePages.upperBound.advanced(by: -1))))
    }

    /// The frame that a struct page describes; nil if there is none at the address.
    private func frame(describedAt address: Address) -> PageFrameNumber? {
        let size = smallView.layout.geometry.structPageSize.rawValue
        let (frame, rest) = (address - smallView.layout.base).rawValue.quotientAndRemainder(dividingBy: size)
        return rest == 0 && frames.contains(PageFrameNumber(frame)) ? PageFrameNumber(frame) : nil
    }

    /// The real region of the struct pages.
    public var range: AddressRange { memory.range }

    /// The view of the memory as huge pages of one size; nil where the machine has none.
    package func region(_ size: HugePageSize) -> VmemmapRegion? { views[size] }

    // MARK: States

    /// The pool of a size. Empty where the machine has none.
    package func pool(_ size: HugePageSize) -> HState { facts.withLock { $0.hstates[size] ?? HState(size) } }

    /// Whether the vmemmap of a huge page is optimized (`HPageVmemmapOptimized`).
    func isOptimized(_ freed: PageID) -> Bool { views[freed.size]?.states.state(of: freed.page) == .optimized }

    /// Whether readers and writers of a huge page notice nothing of what a failed operation may have torn.
    func isUsable(_ freed: PageID) -> Bool {
        views[freed.size]?.states.state(of: freed.page).tear?.isUsable ?? true
    }

    func view(_ size: HugePageSize) throws(HugeTLBError) -> VmemmapRegion {
        guard let view = views[size] else { throw HugeTLBError(.noSuchSize(size)) }
        return view
    }
}
