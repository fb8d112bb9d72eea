public import HostMemory

/// The pages of an emulated machine: its base page, and the sizes of huge page that it has.
public struct MachineSizes: Hashable, Sendable {
    /// The base page: this host's, or a larger one of ``Geometry/basePageSizes``.
    public let basePage: ByteCount
    /// The smaller huge page, the one that a PMD maps: memory for huge pages is handed out in blocks of it.
    public let block: HugePageSize
    /// The larger one, of blocks in a row, which the kernel calls gigantic; nil where there is none.
    public let gigantic: HugePageSize?

    /// Those of x86-64 on base pages of this host's size: 2 MiB and 1 GiB.
    public static let x86 = MachineSizes(unchecked: HostLimits.pageSize, .twoMebibytes, .oneGibibyte)

    /// Sizes; nil unless the base page is one that Linux has, a block is at least eight of them (the first struct pages
    /// carry something, v5 patch 19), and a gigantic page is more than a block.
    public init?(basePage: ByteCount, block: HugePageSize, gigantic: HugePageSize? = nil) {
        guard Geometry.basePageSizes.contains(basePage), block.bytes >= basePage * 8,
            gigantic.map({ $0.bytes > block.bytes }) ?? true
        else { return nil }
        self.init(unchecked: basePage, block, gigantic)
    }

    private init(unchecked basePage: ByteCount, _ block: HugePageSize, _ gigantic: HugePageSize?) {
        self.basePage = basePage
        self.block = block
        self.gigantic = gigantic
    }

    /// The sizes of huge page, the smaller first.
    public var hugePages: [HugePageSize] { [block] + (gigantic.map { [$0] } ?? []) }

    /// Base pages in a huge page.
    package func pages(in size: HugePageSize) -> Int { size.bytes.rawValue / basePage.rawValue }

    /// Blocks in a huge page.
    func blocks(in size: HugePageSize) -> Int { size.bytes.rawValue / block.bytes.rawValue }

    /// Blocks in a gigantic page; 1 where there is none.
    var blocksPerGigantic: Int { gigantic.map(blocks) ?? 1 }

    /// What comes and goes of memory at once: a section of x86-64 and arm64 (`SECTION_SIZE_BITS`), 128 MiB, or with 64
    /// KiB base pages 512 MiB; no less than a block. Its vmemmap is whole vmemmap pages, whatever a struct page has.
    package var memoryBlock: ByteCount { max(.mebibytes(128), basePage * 8192, block.bytes) }

    /// Whether PMDs map the vmemmap, so that optimizing splits them. With larger base pages it is mapped page by page,
    /// as on arm64 (`vmemmap_populate()`): nothing is split. A forecast has it of the architecture: on loongarch and
    /// powerpc PMDs map it, which a machine leaves out, as it knows no page tables of powerpc's 32 entries.
    var mapsVmemmapByPMDs: Bool { basePage == .kibibytes(4) }
}
