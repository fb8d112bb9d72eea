import HostMemory
import Synchronization

/// Huge pages made of memory, and what stood in the way of others.
struct PreparedPages {
    /// Those that can be used, in no pool yet, in the order in which they were taken.
    var ready: [HugePageIndex] = []
    /// Why there are not as many as were asked for.
    var refusal: HugeTLBError?
    /// Those of the ready ones that are used as they are.
    var notOptimized = OptimizeRefusals()
}

// Between the pool and the page allocator.
extension EmulatedMachine {
    /// Takes memory for huge pages (`alloc_fresh_hugetlb_folio()`): from the allowed nodes in turn, or from whichever
    /// has some.
    ///
    /// - Returns: as many as there is memory for.
    func takeFromMemory(_ size: HugePageSize, atMost count: Int, _ allowed: Range<Int>) -> [HugePageIndex] {
        guard let geometry = views[size]?.layout.geometry else { return [] }
        return facts.withLock { facts in
            var taken: [HugePageIndex] = []
            while taken.count < count, let frame = facts.takeInTurn(size, configuration.sizes, allowed) {
                taken.append(geometry.hugePage(of: frame))
            }
            return taken
        }
    }

    /// Makes memory huge pages (`prep_new_huge_page()`), and optimizes their vmemmap if that is to be.
    ///
    /// One that the host has left half-way is set aside. In the manner of v5, one without page tables for its split
    /// goes back to the page allocator.
    func prepare(
        _ pages: [HugePageIndex], _ size: HugePageSize, isOptimized: Bool = true, _ prepared: inout PreparedPages
    ) {
        guard let view = views[size] else { return }
        for page in pages {
            uses.rewrite(blocks(of: page, size), as: use(size)) { writeCompoundStructPages(of: page, view) }
        }
        guard isOptimized else { return prepared.ready += pages }
        let refusals = optimize(pages, size, &prepared.notOptimized)
        for page in pages {
            guard let refusal = refusals[page] else {
                prepared.ready.append(page)
                continue
            }
            if !isUsable(PageID(page: page, size: size)) {
                setAside(PageID(page: page, size: size))
            } else if case .pageTables = refusal.cause, configuration.restoreFailure == .wait {
                release(PageID(page: page, size: size))
            } else {
                prepared.ready.append(page)
                continue
            }
            prepared.refusal = prepared.refusal ?? refusal
        }
    }

    /// Gives huge pages that have left the pool back to the page allocator (`update_and_free_pages_bulk()`): now, or by
    /// the worker.
    ///
    /// One whose vmemmap cannot be restored is the pool's again, free and surplus.
    ///
    /// - Returns: why one could not be restored.
    @discardableResult
    func giveToMemory(
        _ pages: [HugePageIndex], _ size: HugePageSize, progress: (Int) -> Void = { _ in }
    ) -> HugeTLBError? {
        guard configuration.release == .deferred else { return giveToMemoryNow(pages, size, progress) }
        // What is not optimized needs no worker. Which those are is asked before the worker is at any of the others.
        let later = pages.filter { isOptimized(PageID(page: $0, size: size)) }
        let now = Set(pages).subtracting(later)
        // The machine lives until what it has put off is done.
        for page in later {
            worker.add(PageID(page: page, size: size)) { self.giveToMemoryNow([$0.page], $0.size) { _ in } }
        }
        return giveToMemoryNow(pages.filter(now.contains), size, progress)
    }

    /// The memory of those that could be restored goes first, and feeds the restore of the others.
    @discardableResult
    private func giveToMemoryNow(
        _ pages: [HugePageIndex], _ size: HugePageSize, _ progress: (Int) -> Void
    ) -> HugeTLBError? {
        var rest = pages[...]
        var freed = PageCount.zero
        var refusal: HugeTLBError?
        let end = endOfWaiting()
        while !rest.isEmpty {
            let (count, stoppedBy) = restore(Array(rest), size, &freed, until: end)
            for page in rest.prefix(count) { freed += release(PageID(page: page, size: size)) }
            rest = rest.dropFirst(count)
            if count == 0, let page = rest.popFirst() {
                refusal = stoppedBy
                putBack(PageID(page: page, size: size), isSurplus: true)
            }
            progress(pages.count - rest.count)
        }
        return refusal
    }

    /// Makes a free huge page whose vmemmap could not be restored the pool's again, or sets it aside if it was left
    /// half-way.
    func putBack(_ freed: PageID, isSurplus: Bool, isRestoreRefused: Bool = true) {
        if isRestoreRefused { facts.withLock { $0.restoreFailures += 1 } }
        if !isUsable(freed) { return setAside(freed) }
        enterPool([freed.page], freed.size) { $0.addFree($1, isSurplus: isSurplus) }
    }

    func setAside(_ freed: PageID) { facts.withLock { $0.setAside.append(freed) } }

    /// Mends what was set aside, if the host lets it now, and gives it to the page allocator.
    func mendSetAside() {
        let aside = facts.withLock { facts in
            defer { facts.setAside = [] }
            return facts.setAside
        }
        for freed in aside {
            var none = PageCount.zero
            if restore([freed.page], freed.size, &none, until: endOfWaiting()).count == 1 {
                release(freed)
            } else {
                setAside(freed)
            }
        }
    }

    /// Takes a restored huge page apart and frees its memory, all but the base pages with memory errors.
    ///
    /// - Returns: how many frames others can have now. What a shared budget has got is nobody's beside it.
    @discardableResult
    func release(_ freed: PageID) -> PageCount {
        guard let view = views[freed.size] else { return .zero }
        let first = view.layout.geometry.headFrame(of: freed.page)
        let frames = first..<first.advanced(by: view.layout.geometry.basePagesPerHugePage)
        let errors = takeErrors(of: freed, view)
        uses.rewrite(blocks(of: freed.page, freed.size), as: .plain) { writePlainStructPages(of: frames) }
        for error in errors { markPoisoned(error) }
        let (late, memory) = facts.withLock { facts in
            let late = facts.takeErrorsInTransit(frames)
            for error in errors { facts.isolate(error) }
            facts.giveBack(frames)
            return (late, facts.addMemory(PageCount(frames.count - errors.count - late.count)))
        }
        for error in late { markPoisoned(error) }
        return memory
    }
}

extension EmulatedMachine.Facts {
    /// Takes memory for a huge page from the node whose turn it is, or from the next that has some.
    fileprivate mutating func takeInTurn(
        _ size: HugePageSize, _ sizes: MachineSizes, _ allowed: Range<Int>
    ) -> PageFrameNumber? {
        let pages = PageCount(sizes.pages(in: size))
        if let budget, budget.isShared, budget.left < pages { return nil }
        for _ in allowed {
            let node = change(size) { $0.nextNodeToAllocate(allowed) }
            guard let frame = take(isGigantic: size == sizes.gigantic, onNode: node) else { continue }
            if budget?.isShared == true { _ = budget?.take(pages) }
            return frame
        }
        return nil
    }

    private mutating func take(isGigantic: Bool, onNode node: Int) -> PageFrameNumber? {
        for zone in zonesOfNode(node) {
            let frame = isGigantic ? zones[zone].takeGigantic() : zones[zone].takeBlock()
            if let frame { return frame }
        }
        return nil
    }

    /// Two nodes have a zone each.
    private func zonesOfNode(_ node: Int) -> Range<Int> {
        hasNodes ? node..<(node + 1) : zones.indices
    }

    /// Takes a frame out of use for good.
    ///
    /// - Returns: false for one that was taken out before.
    @discardableResult
    mutating func isolate(_ frame: PageFrameNumber) -> Bool {
        zones.indices.contains { zones[$0].isolate(frame) }
    }

    mutating func giveBack(_ frames: Range<PageFrameNumber>) {
        for zone in zones.indices where zones[zone].frames.contains(frames.lowerBound) { zones[zone].giveBack(frames) }
    }

    /// Whether nobody has any of some frames: they are free, or have memory errors.
    func isUnused(_ frames: Range<PageFrameNumber>) -> Bool {
        let errors = Set(errors(in: frames))
        return frames.allSatisfy { frame in errors.contains(frame) || zones.contains { $0.isFree(frame) } }
    }

    /// Takes frames that are free and not to be handed out.
    mutating func withhold(_ frames: Range<PageFrameNumber>) {
        for zone in zones.indices { zones[zone].withhold(frames) }
    }

    /// Frames that were taken out of use.
    func errors(in frames: Range<PageFrameNumber>) -> [PageFrameNumber] { zones.flatMap { $0.errors(in: frames) } }

    /// Notes that memory is gone, which a shared budget has had.
    mutating func loseMemory(_ frames: PageCount) {
        if let left = budget?.left, budget?.isShared == true { _ = budget?.take(min(left, frames)) }
    }

    /// Forgets the memory errors of memory that is gone.
    mutating func forgetErrors(in frames: Range<PageFrameNumber>) {
        _ = takeErrorsInTransit(frames)
        for zone in zones.indices { zones[zone].forgetErrors(in: frames) }
    }

    /// What has come free is a shared budget's, or, as long as an operation lasts, that operation's.
    mutating func addMemory(_ frames: PageCount) -> PageCount {
        guard budget?.isShared == true else { return frames }
        budget?.give(frames)
        return .zero
    }
}
