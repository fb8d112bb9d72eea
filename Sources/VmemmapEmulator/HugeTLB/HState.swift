import HostMemory

/// The HugeTLB pool of one size of huge page: `struct hstate`. A pure value; the pages themselves are the machine's.
package struct HState: Hashable, Sendable {
    /// The size.
    package let size: HugePageSize
    /// Those promised and not taken yet (HugePages_Rsvd, `resv_huge_pages`).
    package internal(set) var reserved = HugePageCount(0)
    /// How many surplus pages allocation may create (`nr_overcommit_huge_pages`).
    package internal(set) var overcommit = HugePageCount(0)
    /// What its users may have.
    var cgroup = HugeTLBCgroup()
    /// Huge pages in use (`hugepage_activelist`).
    var active: Set<HugePageIndex> = []
    /// Those on their way back whose reservations are to be restored: to the cgroup they are reserved throughout.
    var returning = HugePageCount(0)
    /// The part of each node.
    package private(set) var nodes: [Node]

    /// Where the next node's huge pages begin; nil: all memory is one node.
    private let border: HugePageIndex?
    /// The nodes that are next to give and to get back a huge page (`next_nid_to_alloc`, `next_nid_to_free`).
    private var nextToAllocate = 0
    private var nextToFree = 0

    /// What a node has of the pool (`nr_huge_pages_node` and its like).
    package struct Node: Hashable, Sendable {
        /// All huge pages there are on it.
        package fileprivate(set) var total = HugePageCount(0)
        /// Those of them beyond the pool's size.
        package fileprivate(set) var surplus = HugePageCount(0)
        /// Free huge pages, in the order in which they were freed; the last one is taken next (`hugepage_freelists`).
        fileprivate(set) var freeList: [HugePageIndex] = []

        /// Free huge pages on it.
        package var free: HugePageCount { HugePageCount(freeList.count) }
        /// All of its huge pages but the surplus.
        package var persistent: HugePageCount { total - surplus }
    }

    /// An empty pool.
    ///
    /// - Parameter border: where the second node begins; nil: there is one.
    init(_ size: HugePageSize, border: HugePageIndex? = nil) {
        self.size = size
        self.border = border
        nodes = Array(repeating: Node(), count: border == nil ? 1 : 2)
    }

    // MARK: Counts

    /// All huge pages there are (HugePages_Total, `nr_huge_pages`).
    package var total: HugePageCount { nodes.reduce(.zero) { $0 + $1.total } }
    /// Those beyond the pool's size (HugePages_Surp, `surplus_huge_pages`): allocated for lack of a free one, left over
    /// by a pool that shrank under its users, or not given back because their vmemmap could not be restored.
    package var surplus: HugePageCount { nodes.reduce(.zero) { $0 + $1.surplus } }
    /// Free huge pages (HugePages_Free, `free_huge_pages`).
    package var free: HugePageCount { nodes.reduce(.zero) { $0 + $1.free } }
    /// The pool's size (nr_hugepages): all but the surplus (`persistent_huge_pages()`).
    package var persistent: HugePageCount { total - surplus }
    /// Free huge pages that nobody has been promised.
    package var available: HugePageCount { free - reserved }
    /// Free huge pages of all nodes.
    var freePages: [HugePageIndex] { nodes.count == 1 ? nodes[0].freeList : nodes.flatMap(\.freeList) }

    /// The node that a huge page lies on.
    func node(of page: HugePageIndex) -> Int { border.map { page < $0 ? 0 : 1 } ?? 0 }

    /// The size that the pool can be brought down to: what is promised stays, and of free pages as many as there are
    /// surplus ones where those may be among them (`set_max_huge_pages()` in Linux 6.15 and later).
    var least: HugePageCount {
        let persistentFree = free > persistent ? max(.zero, free - surplus) : free
        return reserved + persistent - persistentFree
    }

    // MARK: One huge page

    /// Adds a huge page, free.
    mutating func addFree(_ page: HugePageIndex, isSurplus: Bool = false) {
        add(page, isSurplus: isSurplus)
        enqueue(page)
    }

    /// Adds a huge page, wherever it is.
    mutating func add(_ page: HugePageIndex, isSurplus: Bool) {
        let node = node(of: page)
        nodes[node].total += HugePageCount(1)
        if isSurplus { nodes[node].surplus += HugePageCount(1) }
    }

    /// Puts a huge page that is counted on the list of free ones (`enqueue_hugetlb_folio()`).
    mutating func enqueue(_ page: HugePageIndex) { nodes[node(of: page)].freeList.append(page) }

    /// Takes a huge page away that is on no list.
    mutating func remove(_ page: HugePageIndex, isSurplus: Bool) {
        let node = node(of: page)
        nodes[node].total -= HugePageCount(1)
        if isSurplus { nodes[node].surplus -= HugePageCount(1) }
    }

    /// Takes one off the list of free ones (`remove_hugetlb_folio()`).
    mutating func removeFree(_ page: HugePageIndex, isSurplus: Bool) {
        let node = node(of: page)
        if let place = nodes[node].freeList.lastIndex(of: page) { nodes[node].freeList.remove(at: place) }
        remove(page, isSurplus: isSurplus)
    }

    /// Takes free huge pages for which `isWanted` holds off the nodes' lists, the one that would be taken next first
    /// (`demote_pool_huge_page()`). The pool's own count falls, as long as it is not 0.
    mutating func removeFree(
        atMost count: HugePageCount, _ allowed: Range<Int>, where isWanted: (HugePageIndex) -> Bool
    ) -> [(HugePageIndex, isSurplus: Bool)] {
        var removed: [(HugePageIndex, isSurplus: Bool)] = []
        for _ in allowed where removed.isEmpty {
            let node = Self.turn(&nextToFree, allowed)
            for page in nodes[node].freeList.reversed().filter(isWanted).prefix(count.rawValue) {
                let isSurplus = persistent == .zero
                removeFree(page, isSurplus: isSurplus)
                removed.append((page, isSurplus))
            }
        }
        return removed
    }

    /// Whether a huge page is free.
    func isFree(_ page: HugePageIndex) -> Bool { nodes[node(of: page)].freeList.contains(page) }

    /// Whether there are surplus pages on the node of a huge page.
    func hasSurplus(beside page: HugePageIndex) -> Bool { nodes[node(of: page)].surplus > .zero }

    /// Takes the free huge page for its next user, from the first node that has one that will do
    /// (`dequeue_hugetlb_folio_nodemask()`).
    mutating func dequeue(where isSound: (HugePageIndex) -> Bool) -> HugePageIndex? {
        for node in nodes.indices {
            guard let place = nodes[node].freeList.lastIndex(where: isSound) else { continue }
            return nodes[node].freeList.remove(at: place)
        }
        return nil
    }

    // MARK: In turn

    /// The node that is to give the next huge page, of those `allowed` (`hstate_next_node_to_alloc()`).
    mutating func nextNodeToAllocate(_ allowed: Range<Int>) -> Int { Self.turn(&nextToAllocate, allowed) }

    private static func turn(_ next: inout Int, _ allowed: Range<Int>) -> Int {
        let node = allowed.contains(next) ? next : allowed.lowerBound
        next = node + 1 < allowed.upperBound ? node + 1 : allowed.lowerBound
        return node
    }

    /// Takes a free huge page out of the pool, from the allowed nodes in turn (`remove_pool_hugetlb_folio()`).
    mutating func removeNext(_ allowed: Range<Int>, isSurplus: Bool) -> HugePageIndex? {
        for _ in allowed {
            let node = Self.turn(&nextToFree, allowed)
            guard !isSurplus || nodes[node].surplus > .zero, let page = nodes[node].freeList.popLast() else { continue }
            remove(page, isSurplus: isSurplus)
            return page
        }
        return nil
    }

    /// Makes surplus pages the pool's own until it has `wish` (`adjust_pool_surplus()`, by -1).
    mutating func adopt(upTo wish: HugePageCount, _ allowed: Range<Int>) {
        while persistent < wish {
            let node = allowed.map { _ in Self.turn(&nextToAllocate, allowed) }.first { nodes[$0].surplus > .zero }
            guard let node else { return }
            nodes[node].surplus -= HugePageCount(1)
        }
    }

    /// Makes the pool's own pages surplus until it has `wish` (`adjust_pool_surplus()`, by 1).
    mutating func disown(downTo wish: HugePageCount, _ allowed: Range<Int>) {
        while persistent > wish {
            let node = allowed.map { _ in Self.turn(&nextToFree, allowed) }.first { nodes[$0].persistent > .zero }
            guard let node else { return }
            nodes[node].surplus += HugePageCount(1)
        }
    }
}
