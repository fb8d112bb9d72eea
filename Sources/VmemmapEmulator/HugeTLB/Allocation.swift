public import HostMemory
import Synchronization

/// A huge page in use.
public struct HugePage: Hashable, Sendable {
    /// Which one, among those of its size.
    public let index: HugePageIndex
    /// Its size.
    public let size: HugePageSize
    /// Its first base page.
    public let head: PageFrameNumber
}

// Huge pages as their users see them: allocated and freed. They are reserved in Reservation.swift.
extension EmulatedMachine {
    /// Takes a huge page: a free one without a memory error, or a surplus page made for this (`alloc_huge_page()`,
    /// `dequeue_huge_page_node_exact()`, `alloc_surplus_huge_page()`).
    ///
    /// - Parameters:
    ///   - size: the size of huge page.
    ///   - isReserved: whether the caller has reserved it.
    public func allocate(_ size: HugePageSize, isReserved: Bool = false) throws(HugeTLBError) -> HugePage {
        let view = try view(size)
        let free = book.withLock { book in
            book.change(size) { state -> HugePageIndex? in
                guard isReserved ? state.reserved > .zero : state.available > .zero else { return nil }
                let place = state.freeList.lastIndex { !HugePageFields(of: $0, view.layout).isPoisoned }
                guard let place else { return nil }
                if isReserved { state.reserved -= HugePageCount(1) }
                let page = state.freeList.remove(at: place)
                state.active.insert(page)
                return page
            }
        }
        let page = if let free { free } else { try makeSurplus(size) }
        HugePageFields(of: page, view.layout).isActive = true
        if free == nil {
            enterPool(page, size) { state in
                state.active.insert(page)
                // Every free page has a memory error: the promise is kept by a page beyond the pool.
                if isReserved { state.reserved = max(.zero, state.reserved - HugePageCount(1)) }
            }
        }
        return HugePage(index: page, size: size, head: view.layout.geometry.headFrame(of: page))
    }

    /// Makes a huge page beyond the pool's size, counted, and on no list yet (`alloc_surplus_huge_page()`).
    func makeSurplus(_ size: HugePageSize) throws(HugeTLBError) -> HugePageIndex {
        guard pool(size).surplus < pool(size).overcommit else { throw HugeTLBError(.poolEmpty(size)) }
        let page = try takeFromMemory(size)
        try prepare(page, size, isOptimized: configuration.policy == .all)
        // Counted only now that it is there: what is counted, others may make the pool's own, or free in its place.
        let isAllowed = book.withLock { book in
            book.change(size) { state in
                guard state.surplus < state.overcommit else { return false }
                state.addSurplus()
                return true
            }
        }
        if isAllowed { return page }
        // Somebody was faster. What cannot be given back is the pool's, and counted.
        try? giveToMemory(PageID(page: page, size: size))
        throw HugeTLBError(.poolEmpty(size))
    }

    /// Gives a huge page back: to the pool, or, while there are surplus pages, to the page allocator
    /// (`free_huge_page()`).
    public func free(_ page: HugePage) throws(HugeTLBError) {
        let view = try view(page.size)
        let wasActive = book.withLock { book in
            book.change(page.size) { $0.active.remove(page.index) != nil }
        }
        guard wasActive else { throw HugeTLBError(.alreadyFree(page.index, page.size)) }
        HugePageFields(of: page.index, view.layout).isActive = false
        letGo(page.index, page.size)
    }

    /// Gives up a huge page that is counted and on no list. Gone it is in any case: what cannot be restored is the
    /// pool's again, and counted.
    func letGo(_ page: HugePageIndex, _ size: HugePageSize) {
        // A surplus page that was left untouched becomes the pool's only with what that takes.
        if configuration.policy == .poolOnly, pool(size).surplus == .zero || configuration.keepsPages {
            optimize(page, size)
        }
        // Nobody may be given one that a refusal has torn.
        let freed = PageID(page: page, size: size)
        guard isUsable(freed) else {
            book.withLock { book in
                book.change(size) { state in
                    if state.surplus > .zero { state.removeSurplus() } else { state.total -= HugePageCount(1) }
                }
            }
            return setAside(freed)
        }
        var isSurplus = false
        enterPool(page, size) { state in
            isSurplus = state.surplus > .zero && !configuration.keepsPages
            if isSurplus { state.removeSurplus() } else { state.freeList.append(page) }
        }
        if isSurplus { try? giveToMemory(freed) }
    }

    /// How many surplus pages allocations and reservations may make (nr_overcommit_hugepages).
    public func setOvercommit(_ size: HugePageSize, _ count: HugePageCount) throws(HugeTLBError) {
        _ = try view(size)
        guard count >= .zero else { throw HugeTLBError(.unusableCount(count)) }
        book.withLock { book in book.change(size) { $0.overcommit = count } }
    }

    /// vm.hugetlb_optimize_vmemmap: from now on, for huge pages that come into being. Those that are there stay as they
    /// are.
    public func setOptimizing(_ isOptimizing: Bool) { book.withLock { $0.isOptimizing = isOptimizing } }

    /// Frames that restores may take for the vmemmap, none if it is below 0; nil: as many as the host has.
    public func setFrameBudget(_ frames: PageCount?) {
        book.withLock { $0.budget = frames.map { max(.zero, $0) } }
    }

    /// Waits until every huge page freed before is back with the page allocator, or the pool's again (`flush_work()`).
    public func flush() {
        worker.flush()
    }
}
