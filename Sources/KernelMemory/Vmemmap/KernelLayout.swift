/// Where things lie in the kernel's address space, and how that was found out.
package struct KernelLayout: Hashable, Sendable {
    /// The page tables.
    package let tables: KernelPageTables
    /// The struct page of frame 0, whether there is one or not: vmemmap_base.
    package let vmemmap: KernelAddress
    /// The size of struct page, in bytes.
    package let structPageBytes: Int
    /// Where a tail's word lies that leads to its head (compound_head, compound_info), in bytes.
    package let headOffset: Int
    /// How a HugeTLB page's head is told from others; nil before Linux 6.11, where the struct page alone does not tell.
    package let hugeTLBType: PageType?
    /// Where the kernel marks a huge page as optimized: HPG_vmemmap_optimized in the head's `private`. Nil where
    /// nothing tells.
    package let optimizedFlag: FlagBit?
    /// What each of it was found by.
    package let evidence: [Evidence]

    /// The top byte of page_type.
    package struct PageType: Hashable, Sendable {
        /// Where page_type lies, a multiple of 4.
        package let offset: Int
        /// Its top byte on a HugeTLB page.
        package let value: UInt8

        /// The top byte of a page that has no type.
        static let none: UInt8 = 0xff
    }

    /// A bit of a word in struct page.
    package struct FlagBit: Hashable, Sendable {
        /// Where the word lies.
        package let offset: Int
        /// Which bit, from 0.
        package let bit: Int
    }

    /// One thing that was found, and the independent ways that lead to it.
    package struct Evidence: Hashable, Sendable {
        /// What: "page table root".
        package let what: String
        /// Where: an address.
        package let value: String
        /// The ways, two at least.
        package let ways: [String]

        package init(what: String, value: String, ways: [String]) {
            self.what = what
            self.value = value
            self.ways = ways
        }
    }

    package init(
        tables: KernelPageTables, vmemmap: KernelAddress, structPageBytes: Int, headOffset: Int, hugeTLBType: PageType?,
        optimizedFlag: FlagBit?, evidence: [Evidence]
    ) {
        self.tables = tables
        self.vmemmap = vmemmap
        self.structPageBytes = structPageBytes
        self.headOffset = headOffset
        self.hugeTLBType = hugeTLBType
        self.optimizedFlag = optimizedFlag
        self.evidence = evidence
    }

    /// The struct page of a frame.
    package func structPage(of pfn: UInt64) -> KernelAddress { vmemmap + pfn &* UInt64(structPageBytes) }

    /// How many vmemmap pages a huge page of so many bytes has.
    func vmemmapPages(ofHugePageOf bytes: Int) -> Int { bytes / BasePage.bytes * structPageBytes / BasePage.bytes }
}
