import CSystemShims
import HostMemory

extension VmemmapRegion {
    /// What /proc/kpageflags would say of emulated frames: for each, in order, the bits of `KernelPageFlag` and no
    /// others, read off the real struct pages as a reader of the scheme sees them. `stable_page_flags()` in the kernel.
    ///
    /// A page is a tail if its compound_head leads elsewhere, a head if it leads to itself and has PG_head, and huge if
    /// its head's first tail says that HugeTLB frees it (`PageHuge()`). PG_hwpoison is asked of the head of a huge
    /// page, as the kernel does since 6.9, so that a fake head does not show it alone. A frame whose struct page is in
    /// a gap that a failed operation left has none.
    ///
    /// Readers' rules hold: may be called at any time, whoever optimizes or restores meanwhile.
    ///
    /// - Parameter frames: frames of this region; others are left out.
    public func kernelPageFlags(of frames: Range<PageFrameNumber>) -> [UInt64] {
        frames.clamped(to: layout.frames).map { frame in
            flags(ofStructPageAt: layout.structPage(of: frame)) ?? KernelPageFlag.noPage.mask
        }
    }

    /// The same of all frames of a huge page, for `HugePageFlagsRule`. None for one that is not of this region.
    public func kernelPageFlags(ofHugePage page: HugePageIndex) -> [UInt64] {
        guard layout.allHugePages.contains(page) else { return [] }
        let first = layout.geometry.headFrame(of: page)
        return kernelPageFlags(of: first..<first.advanced(by: layout.geometry.basePagesPerHugePage))
    }

    /// What /proc/kpagecount would say of all frames of a huge page: how often each is mapped, on its own and with the
    /// whole page (`page_mapcount()`), read off the real struct pages as a reader of the scheme sees them. 0 for one
    /// whose struct page is in a gap. None for a huge page that is not of this region.
    package func kernelPageCounts(ofHugePage page: HugePageIndex) -> [UInt64] {
        guard layout.allHugePages.contains(page) else { return [] }
        let first = layout.geometry.headFrame(of: page)
        return (first..<first.advanced(by: layout.geometry.basePagesPerHugePage)).map { frame in
            let address = layout.structPage(of: frame)
            guard let head = readSurvivingGaps(address)?.head,
                let own = load(address + StructPage.refcountOffset - ByteCount(4)),
                let whole = load(head + layout.geometry.structPageSize + StructPage.destructorOffset)
            else { return 0 }
            // Both counts start at -1: mapcount is the low half of its word, compound_mapcount the high half.
            let count = Int(Int32(truncatingIfNeeded: own)) + Int(Int32(truncatingIfNeeded: whole >> 32)) + 2
            return UInt64(max(0, count))
        }
    }

    /// Nil where one of the struct pages that tell is not mapped.
    private func flags(ofStructPageAt address: Address) -> UInt64? {
        guard let head = readSurvivingGaps(address)?.head, let headFlags = load(head + StructPage.flagsOffset) else {
            return nil
        }
        let isPoisoned = headFlags >> UInt64(VME_PG_HWPOISON) & 1 == 1
        let poison = isPoisoned ? KernelPageFlag.hwPoison.mask : 0
        guard headFlags & StructPage.headFlag != 0 else { return poison }
        let position = address == head ? KernelPageFlag.compoundHead.mask : KernelPageFlag.compoundTail.mask
        guard let destructor = load(head + layout.geometry.structPageSize + StructPage.destructorOffset) else {
            return nil
        }
        let isHuge = UInt8(truncatingIfNeeded: destructor) == UInt8(VME_HUGETLB_PAGE_DTOR)
        return position | (isHuge ? KernelPageFlag.huge.mask : 0) | poison
    }

    private func load(_ address: Address) -> UInt64? {
        guard range.contains(address) else { return nil }
        // SAFETY: the word is aligned and lies in the region, which this object holds; the load survives a gap in it.
        return unsafe MemoryAccess.tryLoad(address)
    }
}
