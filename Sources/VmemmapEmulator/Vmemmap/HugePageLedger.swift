internal import HostMemory

/// Who is doing what with which huge page, and what failed operations have left behind.
///
/// A huge page is in one of three states (``HugePageState``). An operation takes its huge pages with ``begin(_:)``,
/// moves each from one state to the next, and gives them back with ``end(_:)``; nobody else changes them meanwhile:
///
///     base ──optimize──▶ optimized ──restore──▶ restored ──optimize──▶ optimized
///
/// A huge page whose put-back failed too is marked incomplete on top of its state, until an operation mends it.
final class HugePageLedger: Sendable {
    struct Entry {
        var state: HugePageState = .base
        var isBusy = false
        /// Moved to its state by the operation that holds it.
        var isChanged = false
        var isIncomplete = false
        /// The memory file has frames for it that no vmemmap page shows.
        var hasStaleFrames = false
    }

    private struct Book {
        var entries: [Entry]
        var incomplete: [HugePageIndex: IncompleteHugePage] = [:]
        var orphans: [AddressRange] = []
        var turns = Turns()

        func mappingsBegun(in page: Int, _ plan: MappingPlan) -> Int {
            let state = entries[page].state
            let isBegunAtHead = page == 0 || plan.isBoundary(between: entries[page - 1].state, and: state)
            return plan.boundariesInside(state) + (isBegunAtHead ? 1 : 0)
        }
    }

    /// Huge pages that have gone from one state to another since the region was built, put-backs included.
    struct Turns {
        var optimized = 0
        var restored = 0
    }

    private let book: Guarded<Book>
    private let usesFrames: @Sendable (HugePageState) -> Bool

    /// - Parameters:
    ///   - count: how many huge pages.
    ///   - usesFrames: the states in which the frames that might be stale are shown, and so are not.
    init(_ count: HugePageCount, usesFrames: @escaping @Sendable (HugePageState) -> Bool) {
        self.usesFrames = usesFrames
        book = Guarded(Book(entries: Array(repeating: Entry(), count: count.rawValue)))
    }

    // MARK: Taking and giving back

    /// Takes all of `pages`, waiting until nobody has any of them. Takes none before it can take all, so two never
    /// wait for each other.
    func begin(_ pages: Range<HugePageIndex>) {
        var waited = 0
        while !tryBegin(pages) { Self.backOff(&waited) }
    }

    private func tryBegin(_ pages: Range<HugePageIndex>) -> Bool {
        book.withLock { book in
            for page in pages where book.entries[page.rawValue].isBusy { return false }
            for page in pages { book.entries[page.rawValue].isBusy = true }
            return true
        }
    }

    /// Gives `pages` back.
    func end(_ pages: Range<HugePageIndex>) {
        book.withLock { book in
            for page in pages {
                book.entries[page.rawValue].isBusy = false
                book.entries[page.rawValue].isChanged = false
            }
        }
    }

    /// Waits a little: first by letting others run, then by sleeping, since a 1 GiB page takes milliseconds.
    static func backOff(_ waited: inout Int) {
        waited += 1
        if waited < 16 { HostKernel.yield() } else { HostKernel.sleep(nanoseconds: 50_000) }
    }

    // MARK: States

    func entry(_ page: HugePageIndex) -> Entry {
        book.withLock { $0.entries[page.rawValue] }
    }

    /// The next run of neighbours in `pages`, at most `length` long, whose entries satisfy `condition`.
    func nextRun(
        in pages: Range<HugePageIndex>, atMost length: Int, where condition: (Entry) -> Bool
    ) -> Range<HugePageIndex>? {
        book.withLock { book in
            guard let first = pages.first(where: { condition(book.entries[$0.rawValue]) }) else { return nil }
            var end = first.advanced(by: 1)
            let last =
                pages.distance(from: first, to: pages.upperBound) <= length
                ? pages.upperBound : first.advanced(by: length)
            while end < last, condition(book.entries[end.rawValue]) { end = end.advanced(by: 1) }
            return first..<end
        }
    }

    /// The mappings of a region whose huge pages are in these states.
    func regionMappings(_ plan: MappingPlan) -> MappingCount {
        book.withLock { book in
            MappingCount(book.entries.indices.reduce(0) { $0 + book.mappingsBegun(in: $1, plan) })
        }
    }

    /// Those of them that begin in the vmemmap of one huge page.
    func mappingsBegun(in page: HugePageIndex, _ plan: MappingPlan) -> MappingCount {
        book.withLock { MappingCount($0.mappingsBegun(in: page.rawValue, plan)) }
    }

    func count(in pages: Range<HugePageIndex>, where condition: (Entry) -> Bool) -> HugePageCount {
        book.withLock { book in
            HugePageCount(pages.reduce(0) { condition(book.entries[$1.rawValue]) ? $0 + 1 : $0 })
        }
    }

    /// Moves `pages` to `state`, as a change of the operation under way or (`isChanged` false) as the undoing of one.
    func mark(_ pages: Range<HugePageIndex>, _ state: HugePageState, isChanged: Bool = true) {
        book.withLock { book in
            if state == .optimized { book.turns.optimized += pages.count } else { book.turns.restored += pages.count }
            for page in pages {
                book.entries[page.rawValue].state = state
                book.entries[page.rawValue].isChanged = isChanged
                // Frames that are shown again are not stale.
                if usesFrames(state) { book.entries[page.rawValue].hasStaleFrames = false }
            }
        }
    }

    func markIncomplete(_ what: IncompleteHugePage) {
        book.withLock { book in
            book.entries[what.page.rawValue].isIncomplete = true
            book.incomplete[what.page] = what
        }
    }

    func incompleteState(of page: HugePageIndex) -> IncompleteHugePage? { book.withLock { $0.incomplete[page] } }

    func markMended(_ page: HugePageIndex, _ state: HugePageState) {
        book.withLock { book in
            book.entries[page.rawValue].state = state
            book.entries[page.rawValue].isIncomplete = false
            book.incomplete[page] = nil
        }
    }

    var turns: Turns { book.withLock { $0.turns } }

    // MARK: Leftovers

    /// Notes whether the memory file holds frames for `pages` that are to be given back.
    func setStaleFrames(_ pages: Range<HugePageIndex>, _ isStale: Bool) {
        book.withLock { book in
            for page in pages { book.entries[page.rawValue].hasStaleFrames = isStale }
        }
    }

    func addOrphan(_ range: AddressRange) { book.withLock { $0.orphans.append(range) } }

    /// Takes an orphan off the list, for another attempt to unmap it.
    func takeOrphan() -> AddressRange? { book.withLock { $0.orphans.popLast() } }

    /// What is not as it should be, seen from an operation on `pages` that failed.
    func residue(of pages: Range<HugePageIndex>, framesPerHugePage: PageCount) -> VmemmapError.Residue {
        book.withLock { book in
            var residue = VmemmapError.Residue()
            residue.incomplete = book.incomplete.values.filter { pages.contains($0.page) }
                .sorted { $0.page < $1.page }
            for page in pages where book.entries[page.rawValue].isChanged && !book.entries[page.rawValue].isIncomplete {
                if let last = residue.notPutBack.last, last.upperBound == page {
                    residue.notPutBack[residue.notPutBack.count - 1] = last.lowerBound..<page.advanced(by: 1)
                } else {
                    residue.notPutBack.append(page..<page.advanced(by: 1))
                }
            }
            residue.staleFrames =
                framesPerHugePage * pages.count(where: { book.entries[$0.rawValue].hasStaleFrames })
            residue.orphanedBytes = book.orphans.reduce(.zero) { $0 + $1.length }
            return residue
        }
    }
}
