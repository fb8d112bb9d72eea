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
        let free = try facts.withLock { (facts) throws(HugeTLBError) in
            try facts.change(size) { (state) throws(HugeTLBError) -> HugePageIndex? in
                guard state.cgroup.allowsUse(state, isReserved: isReserved) else {
                    throw HugeTLBError(.cgroupLimit(size))
                }
                guard isReserved ? state.reserved > .zero : state.available > .zero else { return nil }
                let page = state.dequeue { !HugePageFields(of: $0, view.layout).isPoisoned }
                guard let page else { return nil }
                if isReserved { state.reserved -= HugePageCount(1) }
                state.active.insert(page)
                return page
            }
        }
        let page = if let free { free } else { try makeSurplus(size) }
        HugePageFields(of: page, view.layout).isActive = true
        var isAllowed = true
        if free == nil {
            enterPool([page], size) { state, page in
                // Others may have had theirs while this one was made.
                isAllowed = state.cgroup.allowsUse(state, isReserved: isReserved)
                if !isAllowed { return }
                state.active.insert(page)
                // Every free page has a memory error: the promise is kept by a page beyond the pool.
                if isReserved { state.reserved = max(.zero, state.reserved - HugePageCount(1)) }
            }
        }
        if !isAllowed {
            HugePageFields(of: page, view.layout).isActive = false
            letGo(page, size)
            throw HugeTLBError(.cgroupLimit(size))
        }
        return HugePage(index: page, size: size, head: view.layout.geometry.headFrame(of: page))
    }

    /// Makes a huge page beyond the pool's size, counted, and on no list yet (`alloc_surplus_huge_page()`).
    func makeSurplus(_ size: HugePageSize) throws(HugeTLBError) -> HugePageIndex {
        guard pool(size).surplus < pool(size).overcommit else { throw HugeTLBError(.poolEmpty(size)) }
        var prepared = PreparedPages()
        let pages = takeFromMemory(size, atMost: 1, 0..<configuration.nodes)
        prepare(pages, size, isOptimized: configuration.policy == .all, &prepared)
        guard let page = prepared.ready.first else {
            throw prepared.refusal ?? HugeTLBError(.noContiguousMemory(size))
        }
        // Counted only now that it is there: what is counted, others may make the pool's own, or free in its place.
        let isAllowed = facts.withLock { facts in
            facts.change(size) { state in
                guard state.surplus < state.overcommit else { return false }
                state.add(page, isSurplus: true)
                return true
            }
        }
        if isAllowed { return page }
        // Somebody was faster. What cannot be given back is the pool's, and counted.
        giveToMemory([page], size)
        throw HugeTLBError(.poolEmpty(size))
    }

    /// Gives a huge page back: to the pool, or, while there are surplus pages, to the page allocator
    /// (`free_huge_folio()`).
    ///
    /// - Parameters:
    ///   - page: as it was allocated.
    ///   - restoresReservation: whether it is reserved again for the one who frees it: what is freed of a private
    ///     mapping is, unless there are surplus pages (`__unmap_hugepage_range()`).
    /// - Returns: whether it is.
    @discardableResult
    public func free(_ page: HugePage, restoresReservation: Bool = false) throws(HugeTLBError) -> Bool {
        let view = try view(page.size)
        let wasActive = facts.withLock { facts in
            facts.change(page.size) { state in
                let wasActive = state.active.remove(page.index) != nil
                if wasActive, restoresReservation { state.returning += HugePageCount(1) }
                return wasActive
            }
        }
        guard wasActive else { throw HugeTLBError(.alreadyFree(page.index, page.size)) }
        HugePageFields(of: page.index, view.layout).isActive = false
        return letGo(page.index, page.size, restoresReservation: restoresReservation)
    }

    /// Gives up a huge page that is counted and on no list. Gone it is in any case: what cannot be restored is the
    /// pool's again, and counted.
    ///
    /// - Returns: whether it is reserved again.
    @discardableResult
    func letGo(_ page: HugePageIndex, _ size: HugePageSize, restoresReservation: Bool = false) -> Bool {
        // A surplus page that was left untouched becomes the pool's only with what that takes.
        if configuration.policy == .poolOnly, !isOptimized(PageID(page: page, size: size)),
            configuration.keepsPages || !facts.withLock({ $0.change(size) { $0.hasSurplus(beside: page) } })
        {
            var refusals = OptimizeRefusals()
            _ = optimize([page], size, &refusals)
        }
        // Nobody may be given one that a refusal has torn.
        let freed = PageID(page: page, size: size)
        guard isUsable(freed) else {
            facts.withLock { facts in
                facts.change(size) { state in
                    if restoresReservation { state.returning -= HugePageCount(1) }
                    state.remove(page, isSurplus: state.hasSurplus(beside: page))
                }
            }
            setAside(freed)
            return false
        }
        var (isSurplus, isRestored) = (false, false)
        enterPool([page], size) { state, page in
            isSurplus = state.hasSurplus(beside: page) && !configuration.keepsPages
            if isSurplus { state.remove(page, isSurplus: true) } else { state.enqueue(page) }
            // In one step: until it is free, there is nothing that could be promised.
            if restoresReservation { state.returning -= HugePageCount(1) }
            isRestored = restoresReservation && !isSurplus && state.surplus == .zero
            if isRestored { state.reserved += HugePageCount(1) }
        }
        if isSurplus { giveToMemory([page], size) }
        return isRestored
    }

    /// How many surplus pages allocations and reservations may make (nr_overcommit_hugepages).
    public func setOvercommit(_ size: HugePageSize, _ count: HugePageCount) throws(HugeTLBError) {
        _ = try view(size)
        guard count >= .zero else { throw HugeTLBError(.unusableCount(count)) }
        facts.withLock { facts in facts.change(size) { $0.overcommit = count } }
    }

    /// vm.hugetlb_optimize_vmemmap: from now on, for huge pages that come into being. Those that are there stay as they
    /// are.
    public func setOptimizing(_ isOptimizing: Bool) { facts.withLock { $0.isOptimizing = isOptimizing } }

    /// Frames that splits and restores may take for page tables and the vmemmap, none if it is below 0; nil: as many as
    /// the host has.
    ///
    /// - Parameters:
    ///   - frames: how many; nil: any number.
    ///   - isShared: whether they are all the memory there is left: huge pages come from it too, and what they leave
    ///     goes there. If not, what an operation frees can serve that operation alone.
    public func setFrameBudget(_ frames: PageCount?, isShared: Bool = false) {
        facts.withLock { $0.budget = frames.map { FrameBudget($0, isShared: isShared) } }
    }

    /// Waits until every huge page freed before is back with the page allocator, or the pool's again (`flush_work()`).
    public func flush() {
        worker.flush()
    }
}
