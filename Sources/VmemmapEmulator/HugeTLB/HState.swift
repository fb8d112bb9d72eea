import HostMemory

/// The HugeTLB pool of one size of huge page: `struct hstate`. A pure value; the pages themselves are the machine's.
package struct HState: Hashable, Sendable {
    /// The size.
    package let size: HugePageSize
    /// All huge pages there are (HugePages_Total, `nr_huge_pages`).
    package internal(set) var total = HugePageCount(0)
    /// Those beyond the pool's size (HugePages_Surp, `surplus_huge_pages`): allocated for lack of a free one, left over
    /// by a pool that shrank under its users, or not given back because their vmemmap could not be restored.
    package internal(set) var surplus = HugePageCount(0)
    /// Those promised and not taken yet (HugePages_Rsvd, `resv_huge_pages`).
    package internal(set) var reserved = HugePageCount(0)
    /// How many surplus pages allocation may create (`nr_overcommit_huge_pages`).
    package internal(set) var overcommit = HugePageCount(0)
    /// Free huge pages, in the order in which they were freed; the last one is taken next (`hugepage_freelists`).
    var freeList: [HugePageIndex] = []
    /// Huge pages in use (`hugepage_activelist`).
    var active: Set<HugePageIndex> = []

    /// An empty pool.
    init(_ size: HugePageSize) { self.size = size }

    /// Free huge pages (HugePages_Free, `free_huge_pages`).
    package var free: HugePageCount { HugePageCount(freeList.count) }

    /// Adds a huge page, free.
    mutating func addFree(_ page: HugePageIndex) {
        total += HugePageCount(1)
        freeList.append(page)
    }

    /// Adds a huge page beyond the pool's size, wherever it is.
    mutating func addSurplus() {
        total += HugePageCount(1)
        surplus += HugePageCount(1)
    }

    /// Takes a huge page beyond the pool's size away, wherever it was.
    mutating func removeSurplus() {
        total -= HugePageCount(1)
        surplus -= HugePageCount(1)
    }

    /// The pool's size (nr_hugepages): all but the surplus (`persistent_huge_pages()`).
    package var persistent: HugePageCount { total - surplus }

    /// Free huge pages that nobody has been promised.
    package var available: HugePageCount { free - reserved }
}
