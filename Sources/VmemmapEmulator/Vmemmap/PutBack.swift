internal import HostMemory

// What happens to the one huge page at which the host refused. It is looked at, not guessed about: a refused mmap or
// mremap normally changes nothing, but one that is refused late, after the old page table entries are gone, can leave
// a gap (host limits, 11).
extension VmemmapRegion {
    /// After a refusal in ``optimizeBatch(_:_:)``: makes `page` what it was.
    ///
    /// - Parameters:
    ///   - replaced: replacements made before the refused one.
    ///   - isProtected: whether page 1 was write-protected first.
    func putBackRefused(_ page: HugePageIndex, replaced: Int, isProtected: Bool) {
        if replaced == 0, isIntact(plan.replacedPages.lowerBound, of: page) {
            guard isProtected else { return }
            do throws(HostError) {
                try protectRewritablePage(of: page, .readWrite)
            } catch {
                noteIncomplete(page, replaced: 0, uncertain: 0, isProtected: true)
            }
            return
        }
        do throws(HostError) {
            try putBack(page)
            // While a restore is undone, this page carries its result still: it stays marked as changed.
            ledger.mark(page..<page.advanced(by: 1), .restored, isChanged: ledger.entry(page).isChanged)
        } catch {
            noteIncomplete(page, replaced: replaced, uncertain: 1, isProtected: true)
        }
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
        if let state = ledger.incompleteState(of: page), state.replaced.isEmpty, state.uncertain.isEmpty {
            // Only a protection was not put back.
            try protect(plan.copiedWritablePages, of: page, .readWrite)
            return ledger.markMended(page, ledger.entry(page).state)
        }
        do throws(HostError) {
            try putBack(page)
        } catch {
            // It may have write-protected a page on its way.
            if let state = ledger.incompleteState(of: page) { ledger.markIncomplete(state.writeProtected) }
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
    private func putBack(_ page: HugePageIndex) throws(HostError) {
        let last = VmemmapPageIndex(plan.geometry.vmemmapPagesPerHugePage.rawValue - 1)
        for writable in plan.copiedWritablePages where isIntact(writable, of: page) {
            try protect(writable..<writable.advanced(by: 1), of: page, .readOnly)
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
    func noteIncomplete(_ page: HugePageIndex, replaced: Int, uncertain: Int, isProtected: Bool) {
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
                isWriteProtected: isProtected))
        // Its frames are shown, or hold the only copy; unless nothing but a protection was not put back.
        if replaced > 0 || uncertain > 0 { ledger.setStaleFrames(page..<page.advanced(by: 1), false) }
    }
    /// Notes that the host refused at `page` as a whole, its page 0 included.
    func noteUncertain(_ page: HugePageIndex) {
        let start = VmemmapPageIndex(0)
        ledger.markIncomplete(
            IncompleteHugePage(
                page: page, replaced: start..<start, uncertain: start..<plan.replacedPages.upperBound,
                isWriteProtected: false))
        ledger.setStaleFrames(page..<page.advanced(by: 1), false)
    }
}
