package import HostMemory

/// A walk that writes: it takes references to the folios it finds, as whoever isolates, migrates or offlines pages does
/// (`folio_try_get()`): read, check, add to the refcount of what was found unless it is 0, check again, give it back.
///
/// Between the check and the add the frame may be freed and become the tail of a huge page, whose struct page is then
/// mapped read-only: the add faults. Since bd225530a4c7 (2024) the kernel looks for a fake head, reads and adds in one
/// RCU read-side section, and waits for a grace period before it remaps: who saw a refcount above 0 has added by then,
/// and who comes later sees 0. Since 2025 ("fix memory loads ordering") it looks at the refcount before it looks for a
/// fake head (`page_count_writable()`), as this walk does.
struct SpeculativeWalk: Walkable {
    private let region: VmemmapRegion
    /// What the walker reads in; nil: without the fix.
    private let sections: ReadSideSections?
    private let holdUps: HoldUps

    init(_ region: VmemmapRegion, checked sections: ReadSideSections?, _ holdUps: HoldUps) {
        self.region = region
        self.sections = sections
        self.holdUps = holdUps
    }

    var walkedFrames: Int { region.layout.frames.count }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        let page = region.layout.structPage(of: frame)
        seen.reads &+= 1
        guard let sections else { return takeReference(page, &seen) { headByWord(page) } }
        let section = sections.enter()
        takeReference(page, &seen) { region.read(page).head }
        sections.leave(section)
    }

    /// - Parameters:
    ///   - page: a struct page.
    ///   - seen: what came of it.
    ///   - find: the head that it leads to.
    @inline(__always)
    private func takeReference(_ page: Address, _ seen: inout Walkers.Tally, find: () -> Address) {
        let head = find()
        // SAFETY: the word around the counter lies in the region, which is readable as long as this walk lives.
        var count = unsafe Int32(truncatingIfNeeded: MemoryAccess.load(head + Self.counterWord) >> 32)
        // The refcount first, the fake head after it: the other way round both could have been right at its time.
        if count == 0 || (sections != nil && find() != head) { return }
        if head == page { holdUp(page, &seen) }
        let counter = head + StructPage.refcountOffset
        while count != 0 {
            // SAFETY: the counter lies in the region, which this walk keeps; the store survives a refusal.
            let (outcome, found) = unsafe MemoryAccess.tryReplace(count, with: count &+ 1, at: counter)
            guard outcome == .done else {
                seen.refused &+= 1
                return
            }
            if found == count { break }
            count = found
        }
        if count == 0 { return }
        seen.references &+= 1
        // It may have become another folio's before the reference was taken. The reference goes back either way.
        if find() != head { seen.lateReferences &+= 1 }
        // SAFETY: as above; what has a reference is not remapped.
        if unsafe MemoryAccess.tryAdd(-1, at: counter) != .done { seen.refused &+= 1 }
    }

    /// Comes between the check and the add now and then: at a base page in use, of which an optimized huge page may be
    /// made meanwhile.
    @inline(__always)
    private func holdUp(_ page: Address, _ seen: inout Walkers.Tally) {
        guard seen.reads > holdUps.visitsBetween &* seen.heldUp else { return }
        // SAFETY: the struct page lies in the region, as above.
        if unsafe MemoryAccess.load(page + StructPage.flagsOffset) & StructPage.headFlag != 0 { return }
        seen.heldUp &+= 1
        holdUps.wait()
    }

    private static let counterWord = StructPage.refcountOffset - ByteCount(4)

    /// Where a struct page's own word leads, as it does for who skips tails and adds to the rest
    /// (`folio_get_nontail_page()`): a fake head, which does not say that it is a tail, leads to itself.
    @inline(__always)
    private func headByWord(_ page: Address) -> Address {
        // SAFETY: as above.
        let word = unsafe MemoryAccess.load(page + StructPage.compoundHeadOffset)
        return region.plan.encoding == .mask
            ? CompoundHead.masked(word, at: page) : CompoundHead.decoded(word, at: page)
    }
}

extension Walkers {
    /// Starts walkers that take references.
    ///
    /// - Parameters:
    ///   - count: how many threads.
    ///   - region: whose folios they take references to. They keep it alive.
    ///   - seed: the frames they visit follow from it.
    ///   - sections: what they read in, and whoever optimizes or restores waits for; nil: as before
    ///     2024, and since Linux 7.1.
    ///   - holdUps: what keeps them between check and add.
    package convenience init(
        _ count: Int, takingReferencesIn region: VmemmapRegion, seed: UInt64, checked sections: ReadSideSections?,
        _ holdUps: HoldUps
    ) throws(HostError) {
        try self.init(count, walking: SpeculativeWalk(region, checked: sections, holdUps), seed: seed)
    }
}
