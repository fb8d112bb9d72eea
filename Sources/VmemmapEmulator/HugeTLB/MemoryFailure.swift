import CSystemShims
import HostMemory
import Synchronization

// Memory errors (`memory_failure()`). The tails of an optimized huge page are read-only and shared, so the error is
// remembered on the head and by its index; when the page is dissolved, after the restore, it moves to the struct page
// that it is about (v5 patch 15).
extension EmulatedMachine {
    /// A base page has a memory error: neither it nor a huge page that it is in is handed out again
    /// (`memory_failure()`).
    ///
    /// A free huge page is dissolved at once, so that only the base page is lost. One in use remembers the error, and
    /// moves it to the base page when it is dissolved.
    ///
    /// - Throws: `HugeTLBError` for a frame that is not of this machine; with
    ///   ``HugeTLBError/Cause/alreadyPoisoned(_:)`` if it, or the huge page that it is in, has an error already, which
    ///   is remembered beside the first; with ``HugeTLBError/Cause/keptMemory(_:)`` if nothing but marking it can be
    ///   done; with ``HugeTLBError/Cause/notContained(_:_:)`` if the free huge page cannot be
    ///   dissolved.
    public func poison(_ frame: PageFrameNumber) throws(HugeTLBError) {
        try onPresent(frame) { () throws(HugeTLBError) in try poisonPresent(frame) }
    }

    private func poisonPresent(_ frame: PageFrameNumber) throws(HugeTLBError) {
        let found = facts.withLock { facts in
            if let page = find(frame, &facts) {
                let isFree = facts.hstates[page.size]?.isFree(page.index) ?? false
                let isFirst = note(frame, in: page.index, page.size, &facts)
                return isFirst ? (isFree ? Poisoned.freeHugePage(page) : .remembered) : .before
            }
            let isFree = facts.zones.contains { $0.isFree(frame) }
            if !facts.isolate(frame) { return .before }
            if isKept(frame, facts) { return .kept }
            // Its struct page is about to be rewritten, and may be read-only still.
            if !isFree { facts.errorsInTransit.insert(frame) }
            return isFree ? .freePage : .remembered
        }
        switch found {
        case .before: throw HugeTLBError(.alreadyPoisoned(frame))
        case .remembered: break
        case .kept:
            markPoisoned(frame)
            throw HugeTLBError(.keptMemory(frame))
        // Nobody takes the block any more, so nobody else writes there.
        case .freePage: markPoisoned(frame)
        case .freeHugePage(let page):
            do throws(HugeTLBError) {
                try dissolve(frame)
            } catch {
                throw HugeTLBError(.notContained(page.index, page.size))
            }
        }
    }

    /// What a memory error has hit.
    private enum Poisoned {
        /// What had one before.
        case before
        /// What is in use, or on its way into a pool or out of it.
        case remembered
        case freePage
        case freeHugePage(HugePage)
        /// What is never handed out.
        case kept
    }

    /// Whether a frame is firmware's, or holds vmemmap.
    private func isKept(_ frame: PageFrameNumber, _ facts: Facts) -> Bool {
        configuration.reserved.contains { configuration.frames(in: $0).contains(frame) }
            || facts.memoryBlocks.holdsVmemmap(frame)
    }

    /// Remembers an error of a huge page that is in a pool, on its head and by its index.
    ///
    /// - Returns: whether it is the first.
    @discardableResult
    private func note(
        _ frame: PageFrameNumber, in page: HugePageIndex, _ size: HugePageSize, _ facts: inout Facts
    ) -> Bool {
        guard let view = views[size] else { return false }
        let fields = HugePageFields(of: page, view.layout)
        let head = view.layout.geometry.headFrame(of: page)
        let index = head.distance(to: frame)
        if !fields.isPoisoned {
            fields.rawErrorIndex = index
            fields.isPoisoned = true
            return true
        }
        if fields.rawErrorIndex != index, !facts.furtherErrors[head, default: []].contains(index) {
            // There is room for one in the struct pages; upstream keeps a list since 6.1.
            facts.furtherErrors[head, default: []].append(index)
        }
        return false
    }

    /// Makes huge pages the pool's, as `change` enters each. Errors that came while one was in none are its own from
    /// here on.
    func enterPool(
        _ pages: [HugePageIndex], _ size: HugePageSize, _ change: (inout HState, HugePageIndex) -> Void
    ) {
        facts.withLock { enterPool(pages, size, &$0, change) }
    }

    /// The same for who has the lock.
    func enterPool(
        _ pages: [HugePageIndex], _ size: HugePageSize, _ facts: inout Facts,
        _ change: (inout HState, HugePageIndex) -> Void
    ) {
        facts.change(size) { state in
            for page in pages { change(&state, page) }
        }
        guard let view = views[size], !facts.errorsInTransit.isEmpty else { return }
        for page in pages {
            let first = view.layout.geometry.headFrame(of: page)
            let frames = first..<first.advanced(by: view.layout.geometry.basePagesPerHugePage)
            for frame in facts.takeErrorsInTransit(frames) { note(frame, in: page, size, &facts) }
        }
    }

    /// Whether a base page's own struct page carries PG_hwpoison. The head of a huge page carries it for all of its
    /// base pages.
    public func isPoisoned(_ frame: PageFrameNumber) -> Bool {
        (try? onPresent(frame) { hasPoisonMark(frame) }) ?? false
    }

    /// The base pages of a huge page that have memory errors; its struct pages do not remember them any more
    /// afterwards.
    func takeErrors(of freed: PageID, _ view: VmemmapRegion) -> [PageFrameNumber] {
        let head = view.layout.geometry.headFrame(of: freed.page)
        let fields = HugePageFields(of: freed.page, view.layout)
        guard fields.isPoisoned else { return [] }
        let further = facts.withLock { $0.furtherErrors.removeValue(forKey: head) } ?? []
        return ([fields.rawErrorIndex] + further).map { head.advanced(by: $0) }
    }

    /// The same of a frame that is there.
    func hasPoisonMark(_ frame: PageFrameNumber) -> Bool { HugePageFields(head: frame, smallView.layout).isPoisoned }

    func markPoisoned(_ frame: PageFrameNumber) {
        HugePageFields(head: frame, smallView.layout).isPoisoned = true
    }
}

extension EmulatedMachine.Facts {
    /// The errors that have come in some frames while they were in no pool; they are the caller's business from here
    /// on.
    mutating func takeErrorsInTransit(_ frames: Range<PageFrameNumber>) -> [PageFrameNumber] {
        if errorsInTransit.isEmpty { return [] }
        let errors = errorsInTransit.filter(frames.contains)
        errorsInTransit.subtract(errors)
        return errors.sorted()
    }
}
