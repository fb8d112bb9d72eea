package import HostMemory

/// A geometry put at an address: pfn to struct page and back (`pfn_to_page`, `page_to_pfn`). Pure arithmetic.
package struct VmemmapLayout: Hashable, Sendable {
    /// What is laid out.
    package let geometry: Geometry
    /// The struct page of pfn 0.
    package let base: Address
    /// How many huge pages.
    package let hugePages: HugePageCount

    /// `hugePages` huge pages of a geometry, as many as a plan may have, their struct pages from `base` on.
    package init(geometry: Geometry, base: Address, hugePages: HugePageCount) {
        self.geometry = geometry
        self.base = base
        self.hugePages = hugePages
    }

    /// Every frame of the emulated memory.
    package var frames: Range<PageFrameNumber> {
        PageFrameNumber(0)..<PageFrameNumber(hugePages.rawValue * geometry.basePagesPerHugePage)
    }

    /// Every huge page.
    package var allHugePages: Range<HugePageIndex> { HugePageIndex(0)..<HugePageIndex(hugePages.rawValue) }

    /// The struct page of a frame. `pfn_to_page()` in the kernel. Of a frame that is not of this memory, an address
    /// beyond it.
    package func structPage(of pfn: PageFrameNumber) -> Address {
        base + ByteCount(geometry.structPageSize.rawValue &* pfn.rawValue)
    }

    /// The frame that a struct page describes; nil if no struct page of the region is there. `page_to_pfn()` in the
    /// kernel.
    package func frame(describedAt address: Address) -> PageFrameNumber? {
        let offset = (address - base).rawValue
        guard address >= base, offset.isMultiple(of: geometry.structPageSize.rawValue) else { return nil }
        let pfn = PageFrameNumber(offset / geometry.structPageSize.rawValue)
        return frames.contains(pfn) ? pfn : nil
    }

    /// The struct page of a huge page's head, found from any of its frames by arithmetic alone: what `compound_head`
    /// must answer.
    package func head(of pfn: PageFrameNumber) -> Address {
        vmemmap(of: geometry.hugePage(of: pfn)).start
    }

    /// All vmemmap pages of a huge page. Of one that is not of this memory, addresses beyond it.
    package func vmemmap(of page: HugePageIndex) -> AddressRange {
        let bytes = geometry.vmemmapBytesPerHugePage
        return AddressRange(start: base + ByteCount(bytes.rawValue &* page.rawValue), length: bytes)
    }

    /// All vmemmap pages of neighbouring huge pages.
    package func vmemmap(of pages: Range<HugePageIndex>) -> AddressRange {
        let (first, end) = (vmemmap(of: pages.lowerBound).start, vmemmap(of: pages.upperBound).start)
        return AddressRange(start: first, length: end - first)
    }

    /// `count` vmemmap pages of a huge page, from `first` on.
    package func vmemmap(of page: HugePageIndex, from first: VmemmapPageIndex, count: PageCount) -> AddressRange {
        let pageSize = geometry.basePageSize.rawValue
        return AddressRange(
            start: vmemmap(of: page).start + ByteCount(pageSize &* first.rawValue),
            length: ByteCount(pageSize &* count.rawValue))
    }

    /// Some vmemmap pages of a huge page.
    package func vmemmap(of page: HugePageIndex, _ pages: Range<VmemmapPageIndex>) -> AddressRange {
        vmemmap(
            of: page, from: pages.lowerBound,
            count: PageCount(pages.upperBound.rawValue &- pages.lowerBound.rawValue))
    }

    /// The vmemmap pages of a huge page that `range` has a byte of.
    func vmemmapPages(of page: HugePageIndex, in range: AddressRange) -> Range<VmemmapPageIndex> {
        let own = vmemmap(of: page)
        let size = geometry.basePageSize.rawValue
        guard own.overlaps(range) else { return VmemmapPageIndex(0)..<VmemmapPageIndex(0) }
        let first = (max(own.start, range.start) - own.start).rawValue / size
        let end = ((min(own.end, range.end) - own.start).rawValue + size - 1) / size
        return VmemmapPageIndex(first)..<VmemmapPageIndex(end)
    }

    /// The tail vmemmap pages of a huge page: all but the first.
    package func tails(of page: HugePageIndex) -> AddressRange {
        vmemmap(of: page, from: VmemmapPageIndex(1), count: geometry.vmemmapPagesPerHugePage - PageCount(1))
    }
}
