import HostMemory
import Synchronization

// Free huge pages taken apart one by one: dissolved (memory failure, offlining) and demoted.
extension EmulatedMachine {
    /// The huge page that a frame is in, free or in use; nil if it is in none, or on its way out.
    public func hugePage(of frame: PageFrameNumber) -> HugePage? {
        book.withLock { find(frame, &$0) }
    }

    func find(_ frame: PageFrameNumber, _ book: inout Book) -> HugePage? {
        for (size, view) in views where view.layout.frames.contains(frame) {
            let page = view.layout.geometry.hugePage(of: frame)
            guard let state = book.hstates[size], state.active.contains(page) || state.freeList.contains(page) else {
                continue
            }
            return HugePage(index: page, size: size, head: view.layout.geometry.headFrame(of: page))
        }
        return nil
    }

    /// Takes the free huge page around a frame out of the pool and gives it back to the page allocator, all but the
    /// base pages with memory errors (`dissolve_free_huge_page()`). Waits for the deferred work first (v5 patch 16).
    ///
    /// - Throws: when it is in use or promised, or its vmemmap cannot be restored: the pool is as before then.
    public func dissolve(_ frame: PageFrameNumber) throws(HugeTLBError) {
        flush()
        let (page, isSurplus) = try takeFree(frame)
        do throws(HugeTLBError) {
            try restore(PageID(page: page.index, size: page.size))
        } catch {
            putBack(PageID(page: page.index, size: page.size), isSurplus: isSurplus)
            throw error
        }
        release(PageID(page: page.index, size: page.size))
    }

    /// Makes a free 1 GiB page 512 of 2 MiB (`demote_free_hugetlb_folios()`). Restores that page's vmemmap and no
    /// other's; the new pages are optimized if new ones are.
    ///
    /// - Throws: as ``dissolve(_:)``, and for a page with a memory error.
    public func demote(_ frame: PageFrameNumber) throws(HugeTLBError) {
        flush()
        try resizing.withLock { (_) throws(HugeTLBError) in try demoteNow(frame) }
    }

    private func demoteNow(_ frame: PageFrameNumber) throws(HugeTLBError) {
        let small = try view(.twoMebibytes)
        let (page, isSurplus) = try takeFree(frame)
        do throws(HugeTLBError) {
            guard page.size == .oneGibibyte else { throw HugeTLBError(.notAHugePage(frame)) }
            let view = try view(page.size)
            if HugePageFields(of: page.index, view.layout).isPoisoned {
                throw HugeTLBError(.poisoned(page.index, page.size))
            }
            try restore(PageID(page: page.index, size: page.size))
        } catch {
            // One that is none to be demoted was not asked to be restored.
            let isRestoreRefused =
                switch error.cause {
                case .notAHugePage, .poisoned: false
                default: true
                }
            putBack(
                PageID(page: page.index, size: page.size), isSurplus: isSurplus, isRestoreRefused: isRestoreRefused)
            throw error
        }
        let first = small.layout.geometry.hugePage(of: page.head)
        for index in first..<first.advanced(by: page.size.blocks) {
            do throws(HugeTLBError) {
                try prepare(index, .twoMebibytes, isOptimized: true)
                enterPool(index, .twoMebibytes) { $0.addFree(index) }
            } catch {
                // It is set aside, or the page allocator's again.
            }
        }
    }

    /// Takes a free huge page that nobody has been promised out of the pool: as a surplus page while there are any,
    /// which is what it returns beside it.
    private func takeFree(_ frame: PageFrameNumber) throws(HugeTLBError) -> (HugePage, isSurplus: Bool) {
        try book.withLock { (book) throws(HugeTLBError) in
            guard let page = find(frame, &book), let state = book.hstates[page.size] else {
                throw HugeTLBError(.notAHugePage(frame))
            }
            if state.active.contains(page.index) { throw HugeTLBError(.inUse(page.index, page.size)) }
            if state.available == .zero { throw HugeTLBError(.reserved(page.size)) }
            let isSurplus = book.change(page.size) { state in
                state.freeList.removeAll { $0 == page.index }
                let isSurplus = state.surplus > .zero
                if isSurplus { state.removeSurplus() } else { state.total -= HugePageCount(1) }
                return isSurplus
            }
            return (page, isSurplus)
        }
    }
}
