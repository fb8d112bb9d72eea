import CSystemShims
import HostMemory
import Synchronization

// Memory errors (`memory_failure()`). The tails of an optimized huge page are read-only and shared, so the error is
// remembered on the head and by its index; when the page is dissolved, after the restore, it moves to the struct page
// that it is about (v5 patch 15).
extension EmulatedMachine {
    /// A base page has a memory error: neither it nor a huge page that it is in is handed out again.
    public func poison(_ frame: PageFrameNumber) throws(HugeTLBError) {
        guard let small = views[.twoMebibytes], small.layout.frames.contains(frame) else {
            throw HugeTLBError(.noSuchFrame(frame))
        }
        let isFree = book.withLock { book in
            if let page = find(frame, &book) {
                note(frame, in: page.index, page.size, &book)
                return false
            }
            let isFree = book.zones.contains { $0.isFree(frame) }
            let isNew = book.zones.indices.contains { book.zones[$0].isolate(frame) }
            // Its struct page is about to be rewritten, and may be read-only still.
            if isNew, !isFree { book.errorsInTransit.insert(frame) }
            return isFree
        }
        // Nobody takes the block any more, so nobody else writes there.
        if isFree { markPoisoned(frame) }
    }

    /// Remembers an error of a huge page that is in a pool, on its head and by its index.
    private func note(_ frame: PageFrameNumber, in page: HugePageIndex, _ size: HugePageSize, _ book: inout Book) {
        guard let view = views[size] else { return }
        let fields = HugePageFields(of: page, view.layout)
        let head = view.layout.geometry.headFrame(of: page)
        let index = head.distance(to: frame)
        if !fields.isPoisoned {
            fields.rawErrorIndex = index
            fields.isPoisoned = true
        } else if fields.rawErrorIndex != index, !book.furtherErrors[head, default: []].contains(index) {
            // There is room for one in the struct pages; upstream keeps a list since 6.1.
            book.furtherErrors[head, default: []].append(index)
        }
    }

    /// Makes a huge page the pool's, as `change` enters it. Errors that came while it was in none are its own from here
    /// on.
    func enterPool(_ page: HugePageIndex, _ size: HugePageSize, _ change: (inout HState) -> Void) {
        book.withLock { enterPool(page, size, &$0, change) }
    }

    /// The same for who has the book.
    func enterPool(_ page: HugePageIndex, _ size: HugePageSize, _ book: inout Book, _ change: (inout HState) -> Void) {
        book.change(size, change)
        guard let view = views[size] else { return }
        let first = view.layout.geometry.headFrame(of: page)
        let frames = first..<first.advanced(by: view.layout.geometry.basePagesPerHugePage)
        for frame in book.takeErrorsInTransit(frames) { note(frame, in: page, size, &book) }
    }

    /// Whether a base page's own struct page carries PG_hwpoison. The head of a huge page carries it for all of its
    /// base pages.
    public func isPoisoned(_ frame: PageFrameNumber) -> Bool {
        guard let view = views[.twoMebibytes], view.layout.frames.contains(frame) else { return false }
        return HugePageFields(head: frame, view.layout).isPoisoned
    }

    /// The base pages of a huge page that have memory errors; its struct pages do not remember them any more
    /// afterwards.
    func takeErrors(of freed: PageID, _ view: VmemmapRegion) -> [PageFrameNumber] {
        let head = view.layout.geometry.headFrame(of: freed.page)
        let fields = HugePageFields(of: freed.page, view.layout)
        guard fields.isPoisoned else { return [] }
        let further = book.withLock { $0.furtherErrors.removeValue(forKey: head) } ?? []
        return ([fields.rawErrorIndex] + further).map { head.advanced(by: $0) }
    }

    func markPoisoned(_ frame: PageFrameNumber) {
        guard let view = views[.twoMebibytes] else { return }
        HugePageFields(head: frame, view.layout).isPoisoned = true
    }
}

extension EmulatedMachine.Book {
    /// The errors that have come in some frames while they were in no pool; they are the caller's business from here
    /// on.
    mutating func takeErrorsInTransit(_ frames: Range<PageFrameNumber>) -> [PageFrameNumber] {
        if errorsInTransit.isEmpty { return [] }
        let errors = errorsInTransit.filter(frames.contains)
        errorsInTransit.subtract(errors)
        return errors.sorted()
    }
}
