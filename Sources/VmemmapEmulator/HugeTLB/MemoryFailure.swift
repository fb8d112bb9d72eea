internal import CSystemShims
internal import HostMemory
internal import Synchronization

// Memory errors (`memory_failure()`). The tails of an optimized huge page are read-only and shared, so the error is remembered on
// the head and by its index; when the page is dissolved, after the restore, it moves to the struct page that it is about (v5 patch 15).
extension EmulatedMachine {
    /// A base page has a memory error: it is never handed out again.
    public func poison(_ frame: PageFrameNumber) throws(HugeTLBError) {
        guard let small = views[.twoMebibytes], small.layout.frames.contains(frame) else {
            throw HugeTLBError(.noSuchFrame(frame))
        }
        guard let page = hugePage(of: frame), let view = views[page.size] else {
            book.withLock { book in
                for zone in book.zones.indices { book.zones[zone].isolate(frame) }
            }
            return markPoisoned(frame)
        }
        let fields = HugePageFields(head: view.layout.vmemmap(of: page.index).start)
        let index = page.head.distance(to: frame)
        if !fields.isPoisoned {
            fields.rawErrorIndex = index
            fields.isPoisoned = true
        } else if fields.rawErrorIndex != index {
            // There is room for one in the struct pages; upstream keeps a list since 6.1.
            book.withLock { book in
                if book.furtherErrors[page.head, default: []].contains(index) { return }
                book.furtherErrors[page.head, default: []].append(index)
            }
        }
    }

    /// Whether a base page's own struct page carries PG_hwpoison. The head of a huge page carries it for all of its base pages.
    public func isPoisoned(_ frame: PageFrameNumber) -> Bool {
        guard let view = views[.twoMebibytes], view.layout.frames.contains(frame) else { return false }
        return HugePageFields(head: view.layout.structPage(of: frame)).isPoisoned
    }

    /// The base pages of a huge page that have memory errors; its struct pages do not remember them any more afterwards.
    func takeErrors(of freed: Freed, _ view: VmemmapRegion) -> [PageFrameNumber] {
        let head = view.layout.geometry.headFrame(of: freed.page)
        let fields = HugePageFields(head: view.layout.vmemmap(of: freed.page).start)
        guard fields.isPoisoned else { return [] }
        let further = book.withLock { $0.furtherErrors.removeValue(forKey: head) } ?? []
        return ([fields.rawErrorIndex] + further).map { head.advanced(by: $0) }
    }

    func markPoisoned(_ frame: PageFrameNumber) {
        guard let view = views[.twoMebibytes] else { return }
        HugePageFields(head: view.layout.structPage(of: frame)).isPoisoned = true
    }
}
