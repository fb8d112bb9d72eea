import HostMemory
import Synchronization

// Gigantic pages made smaller ones: what happens when somebody writes to demote (`demote_store()`).
extension EmulatedMachine {
    /// Makes a free gigantic page as many smaller ones (`demote_free_hugetlb_folios()`): on x86-64 one of 1 GiB becomes
    /// 512 of 2 MiB. Restores that page's vmemmap and no other's; the new pages are optimized if new ones are.
    ///
    /// - Throws: when it is in use or promised, is not gigantic, has a memory error, or its vmemmap cannot be
    ///   restored: the pool is as before then.
    public func demote(_ frame: PageFrameNumber) throws(HugeTLBError) {
        try checkFrame(frame)
        flush()
        try resizing.withLock { (_) throws(HugeTLBError) in
            // The pool's own count falls, whatever is surplus.
            let taken = try takeFree(frame, isSurplus: { state, _ in state.persistent == .zero }) {
                (page) throws(HugeTLBError) in
                guard page.size == configuration.sizes.gigantic else { throw HugeTLBError(.notAHugePage(frame)) }
                if HugePageFields(head: page.head, smallView.layout).isPoisoned {
                    throw HugeTLBError(.poisoned(page.index, page.size))
                }
            }
            guard let taken else { throw HugeTLBError(.notAHugePage(frame)) }
            if let refusal = demoteTaken([(taken.page.index, taken.isSurplus)], taken.page.size) { throw refusal }
        }
    }

    /// Demotes free gigantic pages: as many as asked for, or as there are.
    ///
    /// As in the kernel, one free page that nobody has been promised is looked for, and then as many are taken as are
    /// asked for: promised ones too.
    ///
    /// - Parameters:
    ///   - count: how many.
    ///   - node: the node on which; nil: any.
    /// - Throws: when the vmemmap of one cannot be restored, or all free ones have memory errors. Those before it are
    ///   demoted.
    public func demote(_ count: HugePageCount, onNode node: Int? = nil) throws(HugeTLBError) {
        let sizes = configuration.sizes
        guard let size = sizes.gigantic else { throw HugeTLBError(.noDemotion(sizes.block, to: sizes.block)) }
        let view = try view(size)
        guard count >= .zero else { throw HugeTLBError(.unusableCount(count)) }
        if configuration.keepsPages { throw HugeTLBError(.keepsPages) }
        let allowed = try nodes(node)
        flush()
        try resizing.withLock { (_) throws(HugeTLBError) in
            var left = count
            while left > .zero {
                let taken = facts.withLock { facts in
                    facts.change(size) { state -> [(HugePageIndex, isSurplus: Bool)]? in
                        let free = allowed.reduce(HugePageCount.zero) { $0 + state.nodes[$1].free }
                        if free == state.reserved { return nil }
                        return state.removeFree(atMost: left, allowed) {
                            !HugePageFields(of: $0, view.layout).isPoisoned
                        }
                    }
                }
                guard let taken else { return }
                if taken.isEmpty { throw HugeTLBError(.allPoisoned(size)) }
                if let refusal = demoteTaken(taken, size) { throw refusal }
                left -= HugePageCount(taken.count)
            }
        }
    }

    /// Demotes gigantic pages that have left the pool, up to the first that cannot be restored; that and the ones after
    /// it are the pool's again.
    private func demoteTaken(
        _ taken: [(HugePageIndex, isSurplus: Bool)], _ size: HugePageSize
    ) -> HugeTLBError? {
        let smaller = configuration.sizes.block
        var none = PageCount.zero
        // The one that was taken last is restored first.
        let order = Array(taken.map(\.0).reversed())
        let (count, refusal) = restore(order, size, &none, until: endOfWaiting())
        var prepared = PreparedPages()
        for page in order.prefix(count).reversed() {
            prepare(blocks(of: page, size).map { HugePageIndex($0) }, smaller, &prepared)
        }
        enterPool(prepared.ready.reversed(), smaller) { $0.addFree($1) }
        // The pool's own were counted out first, so those that are demoted are.
        for place in count..<order.count {
            putBack(
                PageID(page: order[place], size: size), isSurplus: taken[place].isSurplus,
                isRestoreRefused: place == count)
        }
        return refusal
    }
}
