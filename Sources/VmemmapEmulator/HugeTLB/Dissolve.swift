import HostMemory
import Synchronization

// Free huge pages given back because of one of their frames: memory failure, offlining.
extension EmulatedMachine {
    /// The huge page that a frame is in, free or in use; nil if it is in none, or on its way out.
    public func hugePage(of frame: PageFrameNumber) -> HugePage? {
        facts.withLock { find(frame, &$0) }
    }

    func find(_ frame: PageFrameNumber, _ facts: inout Facts) -> HugePage? {
        for (size, view) in views where view.layout.frames.contains(frame) {
            let page = view.layout.geometry.hugePage(of: frame)
            guard let state = facts.hstates[size], state.active.contains(page) || state.isFree(page) else { continue }
            return HugePage(index: page, size: size, head: view.layout.geometry.headFrame(of: page))
        }
        return nil
    }

    /// Takes the free huge page around a frame out of the pool and gives it back to the page allocator, all but the
    /// base pages with memory errors (`dissolve_free_hugetlb_folio()`). Waits for the deferred work first (v5 patch
    /// 16). A frame that is in no huge page has nothing to be dissolved.
    ///
    /// - Throws: when it is in use or promised, or its vmemmap cannot be restored: the pool is as before then.
    public func dissolve(_ frame: PageFrameNumber) throws(HugeTLBError) {
        try checkFrame(frame)
        flush()
        // While there are surplus pages, it is one of them that goes (Linux 6.15 and later).
        guard let taken = try takeFree(frame, isSurplus: { $0.hasSurplus(beside: $1) }) else { return }
        let freed = PageID(page: taken.page.index, size: taken.page.size)
        var none = PageCount.zero
        if let refusal = restore([freed.page], freed.size, &none, until: endOfWaiting()).refusal {
            putBack(freed, isSurplus: taken.isSurplus)
            throw refusal
        }
        release(freed)
    }

    /// Takes a free huge page that nobody has been promised out of the pool, unless `check` throws; nil if the frame is
    /// in none.
    func takeFree(
        _ frame: PageFrameNumber, isSurplus: (HState, HugePageIndex) -> Bool,
        _ check: (HugePage) throws(HugeTLBError) -> Void = { (_) throws(HugeTLBError) in }
    ) throws(HugeTLBError) -> (page: HugePage, isSurplus: Bool)? {
        try facts.withLock { (facts) throws(HugeTLBError) -> (page: HugePage, isSurplus: Bool)? in
            guard let page = find(frame, &facts), let state = facts.hstates[page.size] else { return nil }
            if state.active.contains(page.index) { throw HugeTLBError(.inUse(page.index, page.size)) }
            if configuration.keepsPages { throw HugeTLBError(.keepsPages) }
            if state.available <= .zero { throw HugeTLBError(.reserved(page.size)) }
            try check(page)
            let isSurplus = isSurplus(state, page.index)
            facts.change(page.size) { $0.removeFree(page.index, isSurplus: isSurplus) }
            return (page, isSurplus)
        }
    }

    /// Throws unless a frame is one of the machine's, and there.
    func checkFrame(_ frame: PageFrameNumber) throws(HugeTLBError) {
        guard frames.contains(frame), facts.withLock({ $0.memoryBlocks.isPresent(frame) }) else {
            throw HugeTLBError(.noSuchFrame(frame))
        }
    }
}
