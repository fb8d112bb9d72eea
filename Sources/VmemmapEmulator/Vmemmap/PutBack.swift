internal import HostMemory

// What happens to the one huge page at which the host refused. It is looked at, not guessed about: a refused mmap or
// mremap normally changes nothing, but one that is refused late, after the old page table entries are gone, can leave
// a gap (host limits, 11); and before that, like a refused mprotect, a mapping that is cut in pieces.
extension VmemmapRegion {
    /// After a refusal in ``optimizeBatch(_:_:)``: makes `page` what it was.
    ///
    /// - Parameters:
    ///   - refusal: of which call.
    ///   - replaced: replacements made before the refused one.
    ///   - isProtected: whether page 1 was write-protected first.
    ///   - isFirst: whether no other of the batch is optimized yet.
    func putBackRefused(
        _ page: HugePageIndex, _ refusal: HostError, replaced: Int, isProtected: Bool, isFirst: Bool
    ) {
        let isUnreplaced = replaced == 0 && isIntact(plan.replacedPages.lowerBound, of: page)
        if isUnreplaced {
            do throws(HostError) {
                if isProtected { try protectRewritablePage(of: page, .readWrite) }
            } catch {
                return noteIncomplete(page, replaced: 0, uncertain: 0, isProtected: true)
            }
            if !isCut(page, by: refusal, isFirst: isFirst) { return }
        }
        do throws(HostError) {
            try putBack(page, isUnreplaced: isUnreplaced)
            // While a restore is undone, this page carries its result still: it stays marked as changed.
            ledger.mark(page..<page.advanced(by: 1), .restored, isChanged: ledger.entry(page).isChanged)
        } catch {
            if isUnreplaced { return noteCut(page, isProtected: true) }
            noteIncomplete(page, replaced: replaced, uncertain: 1, isProtected: true)
        }
    }

    /// Notes that `page`, of which nothing is replaced, may be cut, and, where the host refused late again, that its tails are in doubt.
    func noteCut(_ page: HugePageIndex, isProtected: Bool) {
        let isWhole = isReadable(page)
        noteIncomplete(
            page, replaced: 0, uncertain: isWhole ? 0 : plan.replacements.count, isProtected: isProtected,
            isCut: isWhole)
    }

    /// After a refusal in ``restoreBatch(_:_:)``: makes sure that `page` is still optimized.
    func keepOptimized(_ page: HugePageIndex, isProtected: Bool) {
        let count = plan.replacements.count
        do throws(HostError) {
            if isReadable(page) {
                if isProtected { try protect(plan.copiedWritablePages, of: page, .readWrite) }
            } else {
                var replaced = 0
                try replace(page, &replaced)
            }
        } catch {
            noteIncomplete(
                page, replaced: isReadable(page) ? count : 0, uncertain: isReadable(page) ? 0 : count,
                isProtected: isProtected)
        }
    }

    /// Mends the incomplete huge pages among `pages`: each is restored then.
    func mendIncomplete(_ pages: Range<HugePageIndex>) throws(HostError) {
        while let run = ledger.nextRun(in: pages, atMost: 1, where: \.isIncomplete) {
            switch plan.backing {
            case .anonymous: try mendAnonymous(run.lowerBound)
            case .memfd: try mendMemfd(run.lowerBound)
            }
        }
    }

    private func mendAnonymous(_ page: HugePageIndex) throws(HostError) {
        let state = ledger.incompleteState(of: page)
        if let state, state.replaced.isEmpty, state.uncertain.isEmpty, !state.isCut {
            // Only a protection was not put back.
            try protect(plan.copiedWritablePages, of: page, .readWrite)
            return ledger.markMended(page, ledger.entry(page).state)
        }
        do throws(HostError) {
            try putBack(page, isUnreplaced: state?.isCut == true)
        } catch {
            // It may have write-protected a page on its way.
            if state?.isCut == true {
                noteCut(page, isProtected: true)
            } else if let state {
                ledger.markIncomplete(state.writeProtected)
            }
            throw error
        }
        ledger.markMended(page, .restored)
        if !plan.ownPages.isEmpty { ledger.setStaleFrames(page..<page.advanced(by: 1), true) }
    }

    private func mendMemfd(_ page: HugePageIndex) throws(HostError) {
        try closeHeadGap(page)
        // Optimized, it has holes. Otherwise nothing was punched, and every page's own frame holds what it held.
        let isOptimized = ledger.entry(page).state == .optimized
        if isOptimized {
            try withScratchPage { (scratch) throws(HostError) in try writeHoles(of: page, scratch) }
        }
        try relink(page..<page.advanced(by: 1))
        ledger.markMended(page, .restored)
        ledger.setStaleFrames(page..<page.advanced(by: 1), false)
    }

    /// Gives every replaced page of a huge page a frame of its own, whatever is mapped there now, with the contents it had.
    ///
    /// The own pages are in their shared frames, complete since before the first replacement. The other tails were alike,
    /// and the last of them is replaced last: if it still is what it was, they are copied from it, otherwise from what the
    /// scheme says they show.
    ///
    /// - Parameter isUnreplaced: whether nothing is replaced. The refusal may have come before the shared frames were complete then.
    private func putBack(_ page: HugePageIndex, isUnreplaced: Bool) throws(HostError) {
        let last = VmemmapPageIndex(plan.geometry.vmemmapPagesPerHugePage.rawValue - 1)
        for writable in plan.copiedWritablePages where isIntact(writable, of: page) {
            try protect(writable..<writable.advanced(by: 1), of: page, .readOnly)
        }
        if isUnreplaced, !plan.ownPages.isEmpty {
            let pages = page..<page.advanced(by: 1)
            ledger.setStaleFrames(pages, true)
            try frames.file.gather(ownPages(of: pages), at: frames.ownFrames(of: page))
        }
        let staging = try stage(page..<page.advanced(by: 1), isIntact(last, of: page) ? .lastTail : .shown)
        do throws(HostError) {
            try HostKernel.move(staging, to: layout.vmemmap(of: page, plan.movedPages).start)
        } catch {
            discard(staging, after: 0)
            throw error
        }
        mergeHugeBase(page)
    }

    /// Whether a refusal has left the mapping of a huge page in more pieces than its state has: out of memory or of mappings, the kernel
    /// does not join again what it has cut so as to change a part (`vma_modify()`, `vms_gather_munmap_vmas()`). Where nobody
    /// can tell, it may have.
    ///
    /// - Parameter isFirst: whether the huge page before this one is in the state that the ledger says.
    func isCut(_ page: HugePageIndex, by refusal: HostError, isFirst: Bool) -> Bool {
        guard refusal.code == .outOfMemory else { return false }
        let range = layout.vmemmap(of: page)
        let state = ledger.entry(page).state
        var (inside, atStart, atEnd) = (0, false, false)
        do throws(HostError) {
            try ProcMaps.forEach(overlapping: HostKernel.withGuardPages(range)) { (mapping) throws(HostError) in
                let start = mapping.range.start
                if start > range.start, start < range.end { inside += 1 }
                if start == range.start { atStart = true }
                if start == range.end { atEnd = true }
            }
        } catch {
            return true
        }
        // Others change their huge pages meanwhile; a boundary of theirs is taken for a cut at worst.
        if atStart, isFirst, page > layout.allHugePages.lowerBound {
            let before = ledger.entry(page.advanced(by: -1)).state
            if !plan.isBoundary(between: before, and: state) { return true }
        }
        if atEnd, page.advanced(by: 1) < layout.allHugePages.upperBound {
            let after = ledger.entry(page.advanced(by: 1)).state
            if !plan.isBoundary(between: state, and: after) { return true }
        }
        return inside > plan.boundariesInside(state)
    }

    /// Whether a vmemmap page is mapped and shows tails of this huge page: asked of its second struct page, which is one in
    /// every vmemmap page of every scheme.
    func isIntact(_ vmemmapPage: VmemmapPageIndex, of page: HugePageIndex) -> Bool {
        let start = layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start
        // SAFETY: the address is inside the region, which stays this object's; the load survives a gap in it.
        let word = unsafe MemoryAccess.tryLoad(start + plan.geometry.structPageSize + StructPage.compoundHeadOffset)
        return word
            == CompoundHead.tailWord(
                plan.encoding, head: layout.vmemmap(of: page).start, order: plan.geometry.order,
                structPageSize: plan.geometry.structPageSize)
    }

    func isReadable(_ page: HugePageIndex) -> Bool {
        plan.replacedPages.allSatisfy { isIntact($0, of: page) }
    }

    /// Notes that `page` has `replaced` replacements, and that the next `uncertain` ones are in doubt.
    func noteIncomplete(
        _ page: HugePageIndex, replaced: Int, uncertain: Int, isProtected: Bool, isCut: Bool = false
    ) {
        func pages(_ numbers: Range<Int>) -> Range<VmemmapPageIndex> {
            let all = plan.replacements[numbers]
            guard let first = all.first, let last = all.last else {
                let start = plan.replacedPages.lowerBound
                return start..<start
            }
            return first.first..<last.first.advanced(by: last.count.rawValue)
        }
        ledger.markIncomplete(
            IncompleteHugePage(
                page: page, replaced: pages(0..<replaced), uncertain: pages(replaced..<(replaced + uncertain)),
                isWriteProtected: isProtected, isCut: isCut))
        // Its frames are shown, or hold the only copy; unless nothing but a protection was not put back.
        if replaced > 0 || uncertain > 0 { ledger.setStaleFrames(page..<page.advanced(by: 1), false) }
    }
    /// Notes that the host refused at `page` as a whole, its page 0 included.
    func noteUncertain(_ page: HugePageIndex) {
        let start = VmemmapPageIndex(0)
        ledger.markIncomplete(
            IncompleteHugePage(
                page: page, replaced: start..<start, uncertain: start..<plan.replacedPages.upperBound,
                isWriteProtected: false, isCut: false))
        ledger.setStaleFrames(page..<page.advanced(by: 1), false)
    }
}
