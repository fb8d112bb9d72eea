import HostMemory
import Synchronization

/// What became of a request for a pool of a certain size.
public struct PoolChange: Hashable, Sendable {
    /// The size asked for.
    public let asked: HugePageCount
    /// The size it has now (nr_hugepages).
    public let got: HugePageCount
    /// What stood in the way, if they differ.
    public let refusal: HugeTLBError?
}

// The pool's size: what happens when somebody writes to nr_hugepages (`set_max_huge_pages()`).
extension EmulatedMachine {
    /// Grows or shrinks the pool to `asked` huge pages, or as near as it gets. What it has works in any case.
    ///
    /// Growing first makes surplus pages the pool's own. Shrinking gives free pages back, those first that an earlier
    /// restore could not; pages in use that are too many become surplus, and go when they are freed.
    ///
    /// - Parameters:
    ///   - size: the size of huge page, which names the pool.
    ///   - asked: the number of huge pages that the pool is to have.
    ///   - progress: called with the pool's size after every huge page.
    @discardableResult
    public func setPool(
        _ size: HugePageSize, to asked: HugePageCount, progress: (HugePageCount) -> Void = { _ in }
    ) throws(HugeTLBError) -> PoolChange {
        _ = try view(size)
        guard asked >= .zero else { throw HugeTLBError(.unusableCount(asked)) }
        return resizing.withLock { _ in
            mendSetAside()
            let isGrowing = asked > pool(size).persistent
            let refusal = isGrowing ? grow(size, to: asked, progress) : shrink(size, to: asked, progress)
            return PoolChange(asked: asked, got: pool(size).persistent, refusal: refusal)
        }
    }

    private func grow(
        _ size: HugePageSize, to asked: HugePageCount, _ progress: (HugePageCount) -> Void
    ) -> HugeTLBError? {
        book.withLock { book in
            book.change(size) { state in
                let adopted = max(.zero, min(state.surplus, asked - state.persistent))
                state.surplus -= adopted
            }
        }
        // Each attempt at the mapping limit counts all mappings; and little is likely to come free while more pages are
        // taken.
        var isAtMappingLimit = false
        while true {
            let persistent = pool(size).persistent
            progress(persistent)
            if persistent >= asked { return nil }
            do throws(HugeTLBError) {
                let page = try takeFromMemory(size)
                if isAtMappingLimit { book.withLock { if $0.isOptimizing { $0.optimizeFailures += 1 } } }
                let notOptimized = try prepare(page, size, isOptimized: !isAtMappingLimit)
                if notOptimized?.isMappingLimit == true { isAtMappingLimit = true }
                enterPool(page, size) { $0.addFree(page) }
            } catch {
                return error
            }
        }
    }

    private func shrink(
        _ size: HugePageSize, to asked: HugePageCount, _ progress: (HugePageCount) -> Void
    ) -> HugeTLBError? {
        if configuration.keepsPages, asked < pool(size).persistent { return HugeTLBError(.keepsPages) }
        while true {
            let page = book.withLock { book -> HugePageIndex? in
                book.change(size) { state in
                    // What is promised stays. A page that is free and surplus is one that could not be restored.
                    guard state.total > asked, state.available > .zero else { return nil }
                    if state.surplus > .zero {
                        state.removeSurplus()
                    } else {
                        state.total -= HugePageCount(1)
                    }
                    return state.freeList.popLast()
                }
            }
            guard let page else { break }
            do throws(HugeTLBError) {
                try giveToMemory(PageID(page: page, size: size))
            } catch {
                // It has gone back to the pool as surplus, which is what was asked for but for its memory.
                return error
            }
            progress(pool(size).persistent)
        }
        book.withLock { book in
            book.change(size) { state in
                // Those in use that are too many.
                state.surplus += max(.zero, state.persistent - asked)
            }
        }
        return nil
    }

    // MARK: Between the pool and the page allocator

    /// Takes memory for a huge page (`alloc_fresh_huge_page()`).
    func takeFromMemory(_ size: HugePageSize) throws(HugeTLBError) -> HugePageIndex {
        let frame = book.withLock { book -> PageFrameNumber? in
            for zone in book.zones.indices {
                let frame = size == .oneGibibyte ? book.zones[zone].takeGigantic() : book.zones[zone].takeBlock()
                if let frame { return frame }
            }
            return nil
        }
        guard let frame else { throw HugeTLBError(.noContiguousMemory(size)) }
        return try view(size).layout.geometry.hugePage(of: frame)
    }

    /// Makes memory a huge page (`prep_new_huge_page()`), and optimizes its vmemmap if that is to be.
    ///
    /// - Parameter isOptimized: whether the policy wants it.
    /// - Returns: why it is not optimized, if the host refuses that; it is used as it is.
    /// - Throws: when the host has left it half-way, and it has been set aside; in the manner of v5, also when there is
    ///   no memory for the page tables that a split may take.
    @discardableResult
    func prepare(
        _ page: HugePageIndex, _ size: HugePageSize, isOptimized: Bool
    ) throws(HugeTLBError) -> HugeTLBError? {
        let view = try view(size)
        uses.rewrite(blocks(of: page, size), as: .huge(size)) { writeCompoundStructPages(of: page, view) }
        guard isOptimized, let error = optimize(page, size) else { return nil }
        if !isUsable(PageID(page: page, size: size)) {
            setAside(PageID(page: page, size: size))
            throw error
        }
        if case .pageTables = error.cause, configuration.restoreFailure == .wait {
            release(PageID(page: page, size: size))
            throw error
        }
        return error
    }

    /// Optimizes a huge page's vmemmap if new ones are (`hugetlb_vmemmap_optimize_folio()`).
    ///
    /// - Returns: why not, if the host refuses.
    @discardableResult
    func optimize(_ page: HugePageIndex, _ size: HugePageSize) -> HugeTLBError? {
        guard let view = views[size], view.states.state(of: page) != .optimized, view.plan.isWorthwhile,
            book.withLock({ $0.isOptimizing })
        else { return nil }
        // Before anything is split, the page tables for all of it (v5 patch 5); what others have split already goes
        // back.
        let deposit = PageCount(pmds(of: page, view).count)
        let isDeposited = book.withLock { book in
            guard let left = book.budget else { return true }
            if left < deposit { return false }
            book.budget = left - deposit
            return true
        }
        guard isDeposited else {
            book.withLock { $0.optimizeFailures += 1 }
            return HugeTLBError(.pageTables(needed: deposit))
        }
        do throws(VmemmapError) {
            try view.optimize(page.alone, writers: .excluded)
        } catch {
            // As in the kernel it is used as it is, with all its vmemmap pages.
            book.withLock { book in
                book.optimizeFailures += 1
                book.giveBack(deposit)
            }
            return HugeTLBError(.vmemmap(error))
        }
        account(page, view) { book, freed, pmds in
            book.origins.release(freed)
            let taken = book.deposits.withdraw(pmds)
            book.giveBack(deposit - PageCount(taken) + PageCount(freed.count))
        }
        return nil
    }

    /// Gives a huge page that has left the pool back to the page allocator (`update_and_free_page()`): now, or by the
    /// worker.
    ///
    /// - Throws: when its vmemmap cannot be restored; it is the pool's again then, free and surplus.
    func giveToMemory(_ freed: PageID) throws(HugeTLBError) {
        guard configuration.release == .deferred, isOptimized(freed) else { return try giveToMemoryNow(freed) }
        // The machine lives until what it has put off is done.
        worker.add(freed) { freed in try? self.giveToMemoryNow(freed) }
    }

    private func giveToMemoryNow(_ freed: PageID) throws(HugeTLBError) {
        do throws(HugeTLBError) {
            try restore(freed)
        } catch {
            putBack(freed, isSurplus: true)
            throw error
        }
        release(freed)
    }

    /// Makes a free huge page whose vmemmap could not be restored the pool's again, or sets it aside if it was left
    /// half-way.
    func putBack(_ freed: PageID, isSurplus: Bool, isRestoreRefused: Bool = true) {
        if isRestoreRefused { book.withLock { $0.restoreFailures += 1 } }
        if !isUsable(freed) { return setAside(freed) }
        enterPool(freed.page, freed.size) { state in
            state.addFree(freed.page)
            if isSurplus { state.surplus += HugePageCount(1) }
        }
    }

    func setAside(_ freed: PageID) { book.withLock { $0.setAside.append(freed) } }

    /// Mends what was set aside, if the host lets it now, and gives it to the page allocator.
    private func mendSetAside() {
        let aside = book.withLock { book in
            defer { book.setAside = [] }
            return book.setAside
        }
        for freed in aside {
            do throws(HugeTLBError) {
                try restore(freed)
                release(freed)
            } catch {
                setAside(freed)
            }
        }
    }

    /// Gives each vmemmap page of a huge page its frame again (`hugetlb_vmemmap_restore_folio()`), waiting for memory
    /// if that is how the machine is configured: for a while, since nobody might ever give any back.
    func restore(_ freed: PageID) throws(HugeTLBError) {
        guard let state = views[freed.size]?.states.state(of: freed.page), state == .optimized || state.isTorn else {
            return
        }
        let end = HostKernel.monotonicNanoseconds() + MachineConfiguration.longestWaitNanoseconds
        while true {
            do throws(HugeTLBError) {
                return try restoreOnce(freed)
            } catch {
                let isOver = HostKernel.monotonicNanoseconds() > end
                if configuration.restoreFailure == .surplus || isOver { throw error }
                HostKernel.sleep(nanoseconds: 1_000_000)
            }
        }
    }

    private func restoreOnce(_ freed: PageID) throws(HugeTLBError) {
        let view = try view(freed.size)
        // One that was torn before its frames were given back has them.
        let wasOptimized = view.states.state(of: freed.page).wasOptimized
        let needed = wasOptimized ? PageCount(view.plan.freedPages.count) : .zero
        try book.withLock { (book) throws(HugeTLBError) in
            guard let left = book.budget else { return }
            if left < needed { throw HugeTLBError(.frameBudget(needed: needed, left: left)) }
            book.budget = left - needed
        }
        do throws(VmemmapError) {
            try view.restore(freed.page.alone, writers: .excluded)
        } catch {
            book.withLock { $0.giveBack(needed) }
            throw HugeTLBError(.vmemmap(error))
        }
        guard wasOptimized else { return }
        account(freed.page, view) { book, restored, pmds in
            book.origins.restore(restored)
            if view.plan.mergesOnRestore { book.giveBack(PageCount(book.deposits.merge(pmds))) }
        }
    }

    /// Takes a restored huge page apart and frees its memory, all but the base pages with memory errors.
    func release(_ freed: PageID) {
        guard let view = views[freed.size] else { return }
        let first = view.layout.geometry.headFrame(of: freed.page)
        let frames = first..<first.advanced(by: view.layout.geometry.basePagesPerHugePage)
        let errors = takeErrors(of: freed, view)
        uses.rewrite(blocks(of: freed.page, freed.size), as: .plain) { writePlainStructPages(of: frames) }
        for error in errors { markPoisoned(error) }
        let late = book.withLock { book in
            for zone in book.zones.indices where book.zones[zone].frames.contains(first) {
                for error in errors { book.zones[zone].isolate(error) }
                book.zones[zone].giveBack(frames)
            }
            return book.takeErrorsInTransit(frames)
        }
        for error in late { markPoisoned(error) }
    }

    // MARK: Looking

    /// The pool of a size. Empty where the machine has none.
    package func pool(_ size: HugePageSize) -> HState { book.withLock { $0.hstates[size] ?? HState(size) } }

    /// Whether the vmemmap of a huge page is optimized (`HPageVmemmapOptimized`).
    func isOptimized(_ freed: PageID) -> Bool { views[freed.size]?.states.state(of: freed.page) == .optimized }

    /// Whether readers and writers of a huge page notice nothing of what a failed operation may have torn.
    func isUsable(_ freed: PageID) -> Bool {
        views[freed.size]?.states.state(of: freed.page).tear?.isUsable ?? true
    }

    func view(_ size: HugePageSize) throws(HugeTLBError) -> VmemmapRegion {
        guard let view = views[size] else { throw HugeTLBError(.noSuchSize(size)) }
        return view
    }

    /// Enters what became of a huge page's freed vmemmap pages, by their numbers in the region, and of the PMDs that
    /// map them.
    private func account(
        _ page: HugePageIndex, _ view: VmemmapRegion, _ enter: (inout Book, Range<Int>, Range<Int>) -> Void
    ) {
        let perPage = view.plan.geometry.vmemmapPagesPerHugePage.rawValue
        let first = page.rawValue * perPage
        let freed = (first + view.plan.freedPages.lowerBound.rawValue)..<(first + perPage)
        book.withLock { enter(&$0, freed, pmds(of: page, view)) }
    }

    /// The PMDs that map a huge page's vmemmap: a part of one, or eight.
    private func pmds(of page: HugePageIndex, _ view: VmemmapRegion) -> Range<Int> {
        let perPage = view.plan.geometry.vmemmapPagesPerHugePage.rawValue
        let first = page.rawValue * perPage
        let pagesPerPmd = view.plan.geometry.pagesPerPmd
        return (first / pagesPerPmd)..<((first + perPage - 1) / pagesPerPmd + 1)
    }
}

extension EmulatedMachine.Book {
    /// Changes the pool of a size, which is one of the machine's.
    mutating func change<Value>(_ size: HugePageSize, _ body: (inout HState) -> Value) -> Value {
        body(&hstates[size, default: HState(size)])
    }

    /// Gives frames back to the budget, if there is one.
    mutating func giveBack(_ frames: PageCount) {
        budget = budget.map { left in
            let (sum, overflow) = left.rawValue.addingReportingOverflow(frames.rawValue)
            return PageCount(overflow ? .max : sum)
        }
    }
}
