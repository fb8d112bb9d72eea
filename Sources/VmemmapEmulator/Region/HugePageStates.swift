import HostMemory

/// The one owner of what is known of a region's huge pages: the state of each, and who works on which.
///
/// An operation takes its huge pages with ``claim(_:)``, moves each from one state to the next, and gives them back
/// when the claim goes; nobody else changes them meanwhile. These are all the transitions:
///
///     populated ──optimize──▶ optimized ──restore──▶ restored ──optimize──▶ optimized
///
///     populated, restored ──optimize is refused half-way, put back──▶ restored; if nothing was replaced, as it was
///     optimized ──restore is refused, put back──▶ optimized
///     any of them ──and putting back is refused as well──▶ torn ──the next operation mends──▶ restored;
///                                                              as it was, if only its protection was torn
///
/// A huge page that is built optimized goes from populated to optimized at once. A torn huge page carries what exactly
/// is torn and where its contents live (``TornHugePage``). Blocks that PMDs map have a tear of their own, since several
/// huge pages share one; ``PmdBlocks`` owns those, and ``state(of:)`` takes them into account.
final class HugePageStates: Sendable {
    typealias Entry = HugePageFacts.Entry

    /// Huge pages that an operation has taken. They are given back when this goes.
    struct Claim: ~Copyable {
        let pages: Range<HugePageIndex>
        private let ticket: Int
        private let states: HugePageStates

        fileprivate init(_ pages: Range<HugePageIndex>, _ ticket: Int, _ states: HugePageStates) {
            self.pages = pages
            self.ticket = ticket
            self.states = states
        }

        deinit { states.giveBack(pages, ticket) }
    }

    private let plan: MappingPlan
    private let layout: VmemmapLayout
    private let blocks: PmdBlocks?
    private let facts: Guarded<HugePageFacts>

    init(_ plan: MappingPlan, _ layout: VmemmapLayout, _ blocks: PmdBlocks?) {
        self.plan = plan
        self.layout = layout
        self.blocks = blocks
        facts = Guarded(HugePageFacts(plan))
    }

    // MARK: Taking and giving back

    /// Takes all of `pages`, waiting until nobody has any of them, nor came first and waits for some of them. Takes
    /// none before it can take all, so two never wait for each other.
    func claim(_ pages: Range<HugePageIndex>) -> Claim {
        let ticket = wait(for: pages)
        var waited = 0
        while true {
            if let claim = take(ticket) { return claim }
            Self.backOff(&waited)
        }
    }

    /// Gets in line for `pages`.
    func wait(for pages: Range<HugePageIndex>) -> Int {
        facts.withLock { facts in
            facts.nextTicket += 1
            facts.waiting.append((facts.nextTicket, pages))
            return facts.nextTicket
        }
    }

    /// Takes the huge pages that a ticket is for if it is its turn.
    func take(_ ticket: Int) -> Claim? {
        let taken: Range<HugePageIndex>? = facts.withLock { facts in
            guard let place = facts.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            let pages = facts.waiting[place].pages
            if facts.waiting[..<place].contains(where: { $0.pages.overlaps(pages) }) { return nil }
            for page in pages where facts.entries[page.rawValue].holder != 0 { return nil }
            for page in pages { facts.entries[page.rawValue].holder = ticket }
            facts.made[ticket] = 0
            facts.waiting.remove(at: place)
            return pages
        }
        guard let taken else { return nil }
        return Claim(taken, ticket, self)
    }

    private func giveBack(_ pages: Range<HugePageIndex>, _ ticket: Int) {
        facts.withLock { facts in
            facts.made[ticket] = nil
            for page in pages {
                facts.entries[page.rawValue].holder = 0
                facts.entries[page.rawValue].isChanged = false
            }
        }
    }

    /// Waits a little: first by letting others run, then by sleeping, since a 1 GiB page takes milliseconds.
    static func backOff(_ waited: inout Int) {
        waited += 1
        if waited < 16 { HostKernel.yield() } else { HostKernel.sleep(nanoseconds: 50_000) }
    }

    // MARK: Asking

    func entry(_ page: HugePageIndex) -> Entry {
        facts.withLock { $0.entries[page.rawValue] }
    }

    /// The state of a huge page: torn as well if a block that it lies in is.
    func state(of page: HugePageIndex) -> HugePageState {
        let own = entry(page).state
        guard let tear = blocks?.tear(of: layout.vmemmap(of: page)) else { return own }
        return .torn(torn(page, own, by: tear))
    }

    private func torn(_ page: HugePageIndex, _ own: HugePageState, by tear: PmdBlocks.Tear) -> TornHugePage {
        let none = VmemmapPageIndex(0)..<VmemmapPageIndex(0)
        return TornHugePage(
            page: page, last: own.tear?.last ?? own,
            contents: tear.isInPrivateMemory ? .privateMemory : own.tear?.contents ?? .region,
            replaced: own.tear?.replaced ?? none,
            uncertain: tear.uncertain.map { layout.vmemmapPages(of: page, in: $0) } ?? own.tear?.uncertain ?? none,
            isWriteProtected: tear.isWriteProtected || own.tear?.isWriteProtected == true, isCut: true,
            staging: own.tear?.staging)
    }

    /// Notes that an operation is at `pages`, which it has taken, or is done with them.
    func setAtWork(_ pages: Range<HugePageIndex>, _ isAtWork: Bool) {
        facts.withLock { facts in
            for page in pages { facts.entries[page.rawValue].isAtWork = isAtWork }
        }
    }

    /// Whether somebody is at the huge page, or at a block that it lies in. That an operation has taken it is not
    /// enough: it may have thousands of others to do first, and keeps no writer out meanwhile.
    func isAtWork(on page: HugePageIndex) -> Bool {
        entry(page).isAtWork || blocks?.isBusy(layout.vmemmap(of: page)) == true
    }

    /// The next run of neighbours in `pages`, at most `length` long, whose entries satisfy `condition`.
    func nextRun(
        in pages: Range<HugePageIndex>, atMost length: Int, where condition: (Entry) -> Bool
    ) -> Range<HugePageIndex>? {
        facts.withLock { facts in
            guard let first = pages.first(where: { condition(facts.entries[$0.rawValue]) }) else { return nil }
            var end = first.advanced(by: 1)
            let last =
                pages.distance(from: first, to: pages.upperBound) <= length
                ? pages.upperBound : first.advanced(by: length)
            while end < last, condition(facts.entries[end.rawValue]) { end = end.advanced(by: 1) }
            return first..<end
        }
    }

    var changes: HugePageFacts.Changes { facts.withLock { $0.changes } }

    // MARK: Changing

    /// Moves `pages` to `state`, as a change of the operation under way or (`isChanged` false) as the undoing of one.
    func move(_ pages: Range<HugePageIndex>, to state: HugePageState, isChanged: Bool = true) {
        count(pages) { facts in
            for page in pages {
                set(&facts, page, state)
                facts.entries[page.rawValue].isChanged = isChanged
            }
        }
    }

    /// Puts down what a huge page is after putting back or mending. It stays marked as changed if it is.
    func settle(_ page: HugePageIndex, _ state: HugePageState) {
        count(page.alone) { set(&$0, page, state) }
    }

    private func set(_ facts: inout HugePageFacts, _ page: HugePageIndex, _ state: HugePageState) {
        if state == .optimized { facts.changes.optimized += 1 } else { facts.changes.restored += 1 }
        facts.entries[page.rawValue].state = state
        if showsFileFrames(state) { facts.entries[page.rawValue].hasStaleFrames = false }
    }

    /// Notes what is torn of a huge page.
    func tear(_ torn: TornHugePage) {
        count(torn.page.alone) { facts in
            facts.entries[torn.page.rawValue].state = .torn(torn)
            facts.entries[torn.page.rawValue].isChanged = false
            // What holds the only copy is not to be given back.
            if showsFileFrames(.torn(torn)) { facts.entries[torn.page.rawValue].hasStaleFrames = false }
        }
    }

    /// Notes whether the memory file holds frames for `pages` that are to be given back.
    func setStaleFrames(_ pages: Range<HugePageIndex>, _ isStale: Bool) {
        facts.withLock { facts in
            for page in pages { facts.entries[page.rawValue].hasStaleFrames = isStale }
        }
    }

    /// Whether a huge page shows the file frames that could otherwise be stale: the own shared frames of one that is
    /// optimized; on memfd the tails of one that is not.
    private func showsFileFrames(_ state: HugePageState) -> Bool {
        switch (plan.backing, state) {
        case (.anonymous, .torn(let torn)): torn.contents != .region
        case (.anonymous, _): state == .optimized
        case (.memfd, _): state != .optimized
        }
    }

    // MARK: Mappings

    /// The mappings of a region whose huge pages are in these states.
    func regionMappings() -> MappingCount {
        facts.withLock { facts in MappingCount(layout.allHugePages.reduce(0) { $0 + mappingsBegun(in: $1, facts) }) }
    }

    /// Those of them that begin in the vmemmap of one huge page.
    func mappingsBegun(in page: HugePageIndex) -> MappingCount {
        facts.withLock { MappingCount(mappingsBegun(in: page, $0)) }
    }

    private func mappingsBegun(in page: HugePageIndex, _ facts: HugePageFacts) -> Int {
        let edges = blocks?.edges(in: layout.vmemmap(of: page)) ?? []
        let start = layout.vmemmap(of: page).start
        let isBegunAtHead = page.rawValue == 0 || edges.contains(start) || facts.isBoundary(before: page)
        return facts.boundaries(inside: page) + edges.count { $0 != start } + (isBegunAtHead ? 1 : 0)
    }

    /// Whether a mapping ends where `page` begins, going by the states of the two that meet there.
    func isBoundary(before page: HugePageIndex) -> Bool {
        if blocks?.edges(in: layout.vmemmap(of: page)).contains(layout.vmemmap(of: page).start) == true { return true }
        return facts.withLock { $0.isBoundary(before: page) }
    }

    /// Notes that neighbouring huge pages were moved in by one call: they are one mapping, which stays apart from what
    /// is before and behind it. An anonymous mapping keeps the page offset it was made with.
    func noteMoved(_ pages: Range<HugePageIndex>) {
        count(pages) { $0.noteMoved(pages) }
    }

    /// Notes that a refused call has left the mapping cut where `page` begins.
    func noteCut(before page: HugePageIndex) {
        count(page.alone) { $0.entries[page.rawValue].startsMapping = true }
    }

    /// Mappings that huge pages add in the states they are in, those included that begin behind the last of them.
    func mappings(of pages: Range<HugePageIndex>) -> MappingCount {
        facts.withLock { MappingCount($0.boundaries(of: pages)) }
    }

    /// The most that optimizing all of `pages` may add to them.
    func mappingsToOptimize(_ pages: Range<HugePageIndex>) -> MappingCount {
        facts.withLock { MappingCount($0.mostAdded(byOptimizing: pages)) }
    }

    /// The mappings that the operation which has taken `pages` has made so far.
    func mappingsMade(by pages: Range<HugePageIndex>) -> MappingCount {
        facts.withLock { facts in
            MappingCount(pages.first.flatMap { facts.made[facts.entries[$0.rawValue].holder] } ?? 0)
        }
    }

    /// Under the lock, since a boundary belongs to two huge pages, which two operations may have.
    private func count(_ pages: Range<HugePageIndex>, _ change: (inout HugePageFacts) -> Void) {
        facts.withLock { $0.counting(pages, change) }
    }

    // MARK: What failed operations have left

    /// What is not as it should be, seen from an operation on `pages`: complete but for what belongs to the whole
    /// region.
    ///
    /// - Parameter isDone: whether what the operation has changed is what was asked for.
    func residue(of pages: Range<HugePageIndex>, isDone: Bool) -> VmemmapError.Residue {
        // By one look at all of them: mostly there is nothing to say of any.
        let suspects = facts.withLock { facts in
            pages.filter { page in
                let entry = facts.entries[page.rawValue]
                return entry.hasStaleFrames || entry.state.isTorn || (entry.isChanged && !isDone) || blocks != nil
            }
        }
        var residue = VmemmapError.Residue()
        let framesPerHugePage =
            plan.backing == .anonymous ? plan.sharedFramesPerHugePage : PageCount(plan.freedPages.count)
        for page in suspects {
            let entry = entry(page)
            if entry.hasStaleFrames { residue.staleFrames = residue.staleFrames + framesPerHugePage }
            let state = state(of: page)
            // What is merely displaced is counted in bytes.
            if let torn = state.tear, entry.state.isTorn || !torn.isUsable {
                residue.torn.append(torn)
            } else if entry.isChanged, !isDone {
                residue.appendNotPutBack(page)
            }
        }
        return residue
    }
}
