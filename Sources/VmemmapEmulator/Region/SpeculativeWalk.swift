package import HostMemory

/// A walk that writes: it takes references to the folios it finds, as whoever isolates, migrates or offlines pages does
/// (`folio_try_get()`): read, check, add to the refcount of what was found unless it is 0, check again, give it back.
///
/// Between the check and the add the frame may be freed and become the tail of a huge page, whose struct page is then
/// mapped read-only: the add faults. Since bd225530a4c7 (2024) the kernel reads and adds in one RCU read-side section,
/// looks at the refcount before it looks for a fake head (`page_count_writable()`), and waits for a grace period
/// before it remaps: who saw a refcount above 0 has added by then, and who comes later sees 0.
struct SpeculativeWalk: Walkable {
    private let region: VmemmapRegion
    /// What the walker reads in; nil: without the fix, and with `compound_head()` as it was before fake heads.
    private let sections: ReadSideSections?

    init(_ region: VmemmapRegion, checked sections: ReadSideSections?) {
        self.region = region
        self.sections = sections
    }

    var walkedFrames: Int { region.layout.frames.count }

    /// Once in so many visits the walker is kept between its check and its add, as by a hypervisor that takes its
    /// processor away: long enough for a huge page to be made and optimized meanwhile.
    private static let visitsPerPause = 16_384
    private static let pauseNanoseconds = 2_000_000

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        let page = region.layout.structPage(of: frame)
        seen.reads &+= 1
        let isHeldUp = seen.reads % Self.visitsPerPause == 0
        guard let sections else { return takeReference(page, isHeldUp, &seen) { unfixedHead(page) } }
        let section = sections.enter()
        takeReference(page, isHeldUp, &seen) { region.read(page).head }
        sections.leave(section)
    }

    /// - Parameters:
    ///   - page: a struct page.
    ///   - isHeldUp: whether something comes between the check and the add.
    ///   - seen: what came of it.
    ///   - find: the head that it leads to.
    @inline(__always)
    private func takeReference(
        _ page: Address, _ isHeldUp: Bool, _ seen: inout Walkers.Tally, find: () -> Address
    ) {
        let head = find()
        // SAFETY: the word around the counter lies in the region, which is readable as long as this walk lives.
        var count = unsafe Int32(truncatingIfNeeded: MemoryAccess.load(head + Self.counterWord) >> 32)
        // The refcount first, the fake head after it: the other way round both could have been right at its time.
        if count == 0 || (sections != nil && find() != head) { return }
        if isHeldUp { HostKernel.sleep(nanoseconds: Self.pauseNanoseconds) }
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

    private static let counterWord = StructPage.refcountOffset - ByteCount(4)

    /// `compound_head()` before 5.18, to which a fake head is a head, or that of masks, which knows none.
    @inline(__always)
    private func unfixedHead(_ page: Address) -> Address {
        // SAFETY: as above.
        let word = unsafe MemoryAccess.load(page + StructPage.compoundHeadOffset)
        return region.plan.encoding == .mask
            ? CompoundHead.masked(word, at: page) : CompoundHead.decoded(word, at: page)
    }
}

/// A walk that survives a gap in the region, and counts the reads that fell into one.
struct GapWalk: Walkable {
    let region: VmemmapRegion

    var walkedFrames: Int { region.layout.frames.count }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        guard let (head, word) = region.readSurvivingGaps(region.layout.structPage(of: frame)) else {
            seen.reads &+= 1
            seen.removed &+= 1
            return
        }
        seen.note(head, word, of: frame, expected: region.layout.head(of: frame))
    }
}

extension Walkers {
    /// Starts walkers that take references.
    ///
    /// - Parameters:
    ///   - count: how many threads.
    ///   - region: whose folios they take references to. They keep it alive.
    ///   - seed: the frames they visit follow from it.
    ///   - sections: what they read in, and whoever optimizes or restores waits for; nil: as before 2024.
    package convenience init(
        _ count: Int, takingReferencesIn region: VmemmapRegion, seed: UInt64, checked sections: ReadSideSections?
    ) throws(HostError) {
        try self.init(count, walking: SpeculativeWalk(region, checked: sections), seed: seed)
    }

    /// Starts walkers that survive gaps in the region.
    package convenience init(
        _ count: Int, survivingGapsIn region: VmemmapRegion, seed: UInt64
    ) throws(HostError) {
        try self.init(count, walking: GapWalk(region: region), seed: seed)
    }
}
