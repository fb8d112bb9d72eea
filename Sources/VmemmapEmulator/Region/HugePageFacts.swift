import HostMemory

/// The states of a region's huge pages, and the mappings that follow from them. ``HugePageStates`` has the only one,
/// behind a lock.
struct HugePageFacts {
    struct Entry {
        /// The huge page's own state, without what is torn of the blocks that it shares.
        var state: HugePageState = .populated
        /// The operation that has taken it, by its ticket; 0: nobody has.
        var holder = 0
        /// Of the batch that the operation is at: writers wait.
        var isAtWork = false
        /// Moved to its state by the operation that holds it.
        var isChanged = false
        /// The memory file has frames for it that no vmemmap page shows.
        var hasStaleFrames = false
        /// A mapping begins at its head even where the huge page before it is not optimized: one of the two was moved
        /// in without the other.
        var startsMapping = false

        var isOptimized: Bool { state == .optimized }
    }

    /// Huge pages that have gone from one state to another since the region was built, put-backs included.
    struct Changes {
        var optimized = 0
        var restored = 0
    }

    var entries: [Entry]
    var changes = Changes()
    /// Who waits for which huge pages, in the order in which they came.
    var waiting: [(ticket: Int, pages: Range<HugePageIndex>)] = []
    var nextTicket = 0
    /// The mappings that each operation under way has made so far, by its ticket.
    var made: [Int: Int] = [:]
    private let plan: MappingPlan

    init(_ plan: MappingPlan) {
        self.plan = plan
        entries = Array(repeating: Entry(), count: plan.hugePages.rawValue)
    }

    // MARK: Mappings

    /// Whether a mapping ends where `page` begins, which is not the first, going by the states of the two that meet
    /// there.
    func isBoundary(before page: HugePageIndex) -> Bool {
        entries[page.rawValue].startsMapping
            || plan.isBoundary(between: entries[page.rawValue - 1].state, and: entries[page.rawValue].state)
    }

    /// Where mappings end inside a huge page.
    func boundaries(inside page: HugePageIndex) -> Int { plan.boundariesInside(entries[page.rawValue].state) }

    /// Where mappings end in huge pages, before them and behind them; also at the end of the region, where another view
    /// of the same memory may go on.
    func boundaries(of pages: Range<HugePageIndex>) -> Int {
        guard let last = pages.last else { return 0 }
        let isEnded =
            last.rawValue + 1 < entries.count
            ? isBoundary(before: pages.upperBound)
            : plan.isBoundary(between: entries[last.rawValue].state, and: .populated)
        return pages.reduce(isEnded ? 1 : 0) { sum, page in
            sum + boundaries(inside: page) + (page.rawValue > 0 && isBoundary(before: page) ? 1 : 0)
        }
    }

    /// The most boundaries that optimizing all of `pages` may add.
    func mostAdded(byOptimizing pages: Range<HugePageIndex>) -> Int {
        let first = pages.lowerBound
        let isBegun =
            first.rawValue > 0
            && (plan.isBoundary(between: .populated, and: .optimized) || isBoundary(before: first))
        return plan.mappings(.optimized).rawValue * pages.count + (isBegun ? 1 : 0) - boundaries(of: pages)
    }

    /// Notes where mappings begin once `pages` were moved in by one call.
    mutating func noteMoved(_ pages: Range<HugePageIndex>) {
        for page in pages { entries[page.rawValue].startsMapping = page == pages.lowerBound }
        if pages.upperBound.rawValue < entries.count { entries[pages.upperBound.rawValue].startsMapping = true }
    }

    /// Changes what is known of `pages`, and counts the mappings that this makes for the operation that has taken them.
    mutating func counting(_ pages: Range<HugePageIndex>, _ change: (inout HugePageFacts) -> Void) {
        guard let first = pages.first else { return }
        let before = boundaries(of: pages)
        change(&self)
        let (holder, after) = (entries[first.rawValue].holder, boundaries(of: pages))
        made[holder]? += after - before
    }
}
