public import HostMemory

/// How many struct pages describe a huge page, and where they lie. Pure arithmetic, for any host.
///
/// With 4 KiB base pages a 2 MiB huge page has 512 struct pages of 64 bytes in 8 vmemmap pages, one of 1 GiB has
/// 262144 in 4096. What is said of sizes here is for those.
public struct Geometry: Hashable, Sendable {
    /// The base page: 4, 16 or 64 KiB. A region's may be larger than its host's: then one is a run of the host's pages,
    /// remapped together.
    public let basePageSize: ByteCount
    /// The huge page.
    public let hugePageSize: HugePageSize
    /// sizeof(struct page): one of ``structPageSizes``.
    public private(set) var structPageSize: ByteCount

    /// The base page sizes that Linux has.
    public static let basePageSizes: [ByteCount] = [.kibibytes(4), .kibibytes(16), .kibibytes(64)]

    /// The sizes that a struct page may have: whole words. The kernel's has 56 bytes without memcg_data and 96 with all
    /// that debugging adds (`__mm_zero_struct_page()`); 128 is the next power of two. What is more than 64 bytes is
    /// padding here.
    public static let structPageSizes: [ByteCount] = stride(from: 56, through: 128, by: 8).map { ByteCount($0) }

    /// A geometry; nil unless the base page is one Linux has, the huge page is at least twice as large, and the struct
    /// page is one of ``structPageSizes``.
    package init?(basePageSize: ByteCount, hugePageSize: HugePageSize, structPageSize: ByteCount = StructPage.size) {
        guard Self.basePageSizes.contains(basePageSize), hugePageSize.bytes > basePageSize,
            Self.structPageSizes.contains(structPageSize)
        else { return nil }
        self.basePageSize = basePageSize
        self.hugePageSize = hugePageSize
        self.structPageSize = structPageSize
    }

    /// Sizes that the kernel's struct page is to shrink to, when what it says of allocated memory moves to descriptors
    /// of their own (memdesc). What a region holds does not fit them: they are for forecasts.
    package static let plannedStructPageSizes = [ByteCount(8), ByteCount(16), ByteCount(32)]

    /// A geometry for arithmetic alone, which may have one of ``plannedStructPageSizes``, too.
    package init?(forecastOf size: HugePageSize, basePageSize: ByteCount, structPageSize: ByteCount) {
        guard Self.plannedStructPageSizes.contains(structPageSize) else {
            self.init(basePageSize: basePageSize, hugePageSize: size, structPageSize: structPageSize)
            return
        }
        self.init(basePageSize: basePageSize, hugePageSize: size)
        self.structPageSize = structPageSize
    }

    /// Whether no struct page straddles vmemmap pages (`is_power_of_2(sizeof(struct page))`): only then can anything be
    /// optimized (v5 patch 21).
    public var hasPowerOfTwoStructPage: Bool { structPageSize.isPowerOfTwo }

    /// Base pages in a huge page: 512 or 262144 of 4 KiB. `pages_per_huge_page()` in the kernel.
    public var basePagesPerHugePage: Int { hugePageSize.bytes.rawValue / basePageSize.rawValue }

    /// log2 of ``basePagesPerHugePage``: 9 or 18. `huge_page_order()` in the kernel.
    public var order: Int { basePagesPerHugePage.trailingZeroBitCount }

    /// Whole struct pages in a vmemmap page: 64 of 64 bytes in 4 KiB.
    public var structPagesPerVmemmapPage: Int { basePageSize.rawValue / structPageSize.rawValue }

    /// What the struct pages of a huge page occupy: 32 KiB or 16 MiB, of 64 bytes.
    public var vmemmapBytesPerHugePage: ByteCount { structPageSize * basePagesPerHugePage }

    /// Whole vmemmap pages of a huge page: 8 or 4096. 0 where its struct pages do not fill even one.
    public var vmemmapPagesPerHugePage: PageCount {
        PageCount(vmemmapBytesPerHugePage.rawValue / basePageSize.rawValue)
    }

    /// Base pages that a page table, and so a PMD, maps (PTRS_PER_PTE): 512 of 4 KiB.
    public var pagesPerPmd: Int { basePageSize.rawValue / 8 }

    /// Whether the vmemmap of a huge page fills whole page tables (`vmemmap pages % PTRS_PER_PTE == 0`, 512 of 4 KiB):
    /// only then can it be mapped by a PMD again (v5 patch 18). Larger base pages have larger tables, of 2048 or 8192
    /// entries, so that these are whole blocks of a host with 4 KiB pages, too.
    public var isGigantic: Bool {
        vmemmapPagesPerHugePage > .zero && vmemmapPagesPerHugePage.rawValue.isMultiple(of: pagesPerPmd)
    }

    /// The vmemmap of `count` huge pages in bytes; nil where that does not fit an address, or the count is below 0.
    public func regionLength(_ count: HugePageCount) -> ByteCount? {
        count >= .zero ? vmemmapBytesPerHugePage.multiplied(by: count.rawValue) : nil
    }

    /// The most huge pages whose vmemmap fits a region: an address space with room to spare.
    public var mostPages: HugePageCount { HugePageCount((Int.max >> 16) / vmemmapBytesPerHugePage.rawValue - 1) }

    /// The huge page that `pfn` lies in; of a frame below 0, one below 0.
    public func hugePage(of pfn: PageFrameNumber) -> HugePageIndex { HugePageIndex(pfn.rawValue >> order) }

    /// The first frame of a huge page: the one whose struct page is the head. Wraps around where that fits no number.
    public func headFrame(of page: HugePageIndex) -> PageFrameNumber {
        PageFrameNumber(page.rawValue &* basePagesPerHugePage)
    }

    /// The vmemmap page, of its huge page, in which the struct page of `pfn` begins.
    package func vmemmapPage(of pfn: PageFrameNumber) -> VmemmapPageIndex {
        VmemmapPageIndex((pfn.rawValue & (basePagesPerHugePage - 1)) * structPageSize.rawValue / basePageSize.rawValue)
    }
}
