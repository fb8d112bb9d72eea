public import HostMemory
internal import Synchronization

/// A huge page in use.
public struct HugePage: Hashable, Sendable {
    /// Which one, among those of its size.
    public let index: HugePageIndex
    /// Its size.
    public let size: HugePageSize
    /// Its first base page.
    public let head: PageFrameNumber
}

// Huge pages as their users see them: allocated, freed, reserved.
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
        if free == nil, isReserved {
            // Every free page has a memory error: the promise is kept by a page beyond the pool.
            book.withLock { book in book.change(size) { $0.reserved = max(.zero, $0.reserved - HugePageCount(1)) } }
        }
        HugePageFields(of: page, view.layout).isActive = true
        return HugePage(index: page, size: size, head: view.layout.geometry.headFrame(of: page))
    }

    private func makeSurplus(_ size: HugePageSize) throws(HugeTLBError) -> HugePageIndex {
        // Counted before it is there, so that two at once do not pass the limit.
        let isAllowed = book.withLock { book in
            book.change(size) { state in
                guard state.surplus < state.overcommit else { return false }
                state.addSurplus()
                return true
            }
        }
        guard isAllowed else { throw HugeTLBError(.poolEmpty(size)) }
        do throws(HugeTLBError) {
            let page = try takeFromMemory(size)
            try prepare(page, size, isOptimized: configuration.policy == .all)
            enterPool(page, size) { $0.active.insert(page) }
            return page
        } catch {
            book.withLock { book in book.change(size) { $0.removeSurplus() } }
            throw error
        }
    }

    /// Gives a huge page back: to the pool, or, while there are surplus pages, to the page allocator (`free_huge_page()`).
    public func free(_ page: HugePage) throws(HugeTLBError) {
        let view = try view(page.size)
        let (wasActive, isSurplus) = book.withLock { book in
            book.change(page.size) { state -> (Bool, Bool) in
                guard state.active.contains(page.index) else { return (false, false) }
                state.active.remove(page.index)
                let isSurplus = state.surplus > .zero && !configuration.keepsPages
                if isSurplus { state.removeSurplus() }
                return (true, isSurplus)
            }
        }
        guard wasActive else { throw HugeTLBError(.alreadyFree(page.index, page.size)) }
        HugePageFields(of: page.index, view.layout).isActive = false
        if isSurplus {
            // Freed it is in any case; what could not be restored is the pool's again, and counted.
            try? giveToMemory(Freed(page: page.index, size: page.size))
        } else {
            // A surplus page that was left untouched is the pool's now.
            if configuration.policy == .poolOnly { optimize(page.index, page.size) }
            enterPool(page.index, page.size) { $0.freeList.append(page.index) }
        }
    }

    /// Promises free huge pages to somebody (`hugetlb_acct_memory()`).
    public func reserve(_ size: HugePageSize, _ count: HugePageCount) throws(HugeTLBError) {
        _ = try view(size)
        let isReserved = book.withLock { book in
            book.change(size) { state in
                guard count <= state.available else { return false }
                state.reserved += count
                return true
            }
        }
        if !isReserved { throw HugeTLBError(.poolEmpty(size)) }
    }

    /// Takes a promise back, and gives surplus pages that nobody needs any more for it to the page allocator
    /// (`return_unused_surplus_pages()`).
    public func unreserve(_ size: HugePageSize, _ count: HugePageCount) {
        book.withLock { book in book.change(size) { $0.reserved = max(.zero, $0.reserved - count) } }
        for _ in 0..<count.rawValue {
            let unused = book.withLock { book in
                book.change(size) { state -> HugePageIndex? in
                    guard state.surplus > .zero, state.available > .zero, !configuration.keepsPages else { return nil }
                    state.removeSurplus()
                    return state.freeList.popLast()
                }
            }
            guard let unused else { return }
            do throws(HugeTLBError) {
                try giveToMemory(Freed(page: unused, size: size))
            } catch {
                // It is the pool's again, and counted; the next one would fare no better.
                return
            }
        }
    }

    /// How many surplus pages allocation may create (nr_overcommit_hugepages).
    public func setOvercommit(_ size: HugePageSize, _ count: HugePageCount) throws(HugeTLBError) {
        _ = try view(size)
        book.withLock { book in book.change(size) { $0.overcommit = count } }
    }

    /// vm.hugetlb_optimize_vmemmap: from now on, for huge pages that come into being. Those that are there stay as they are.
    public func setOptimizing(_ isOptimizing: Bool) { book.withLock { $0.isOptimizing = isOptimizing } }

    /// Frames that restores may take for the vmemmap; nil: as many as the host has.
    public func setFrameBudget(_ frames: PageCount?) { book.withLock { $0.budget = frames } }

    /// Waits until every huge page freed before is back with the page allocator, or the pool's again (`flush_work()`).
    public func flush() {
        #if VMEMMAP_MUTATIONS
            if Mutation.current == .forgottenFlush { return }
        #endif
        worker.flush()
    }
}
