import HostMemory
import VmemmapEmulator

/// The life of frames, over and over: base pages in use, freed, a huge page, optimized, in use, restored,
/// base pages again. Walkers that take references meet them in each of these states.
///
/// Whatever is in use has one reference; what is to be freed or remapped is frozen at 0 first (`folio_ref_freeze()`),
/// which waits until nobody else has one.
struct FrameLives {
    private let region: VmemmapRegion
    /// The huge pages whose frames they are.
    private let pages: Range<HugePageIndex>
    /// Waited for before each remapping, once for all huge pages (c2a967f6ab0e); nil: nobody waits.
    private let sections: ReadSideSections?
    private let holdUps: HoldUps
    /// The word in compound_head of each huge page's tails.
    private let tailWords: [UInt64]

    /// So few that base pages in use are an optimized huge page soon: those of 16 huge pages of 2 MiB.
    static let fewBasePages = 8192
    private static let stayNanoseconds = 1_000_000
    private static let longestFreezeNanoseconds = 10_000_000_000

    /// - Parameters:
    ///   - region: where they lie.
    ///   - pages: the huge pages, restored or populated, as they were built.
    ///   - sections: those of the walkers.
    ///   - holdUps: theirs.
    init(
        _ region: VmemmapRegion, _ pages: Range<HugePageIndex>, waitingFor sections: ReadSideSections?,
        _ holdUps: HoldUps
    ) {
        self.region = region
        self.pages = pages
        self.sections = sections
        self.holdUps = holdUps
        let (layout, geometry) = (region.layout, region.plan.geometry)
        tailWords = pages.map {
            CompoundHead.tailWord(
                region.plan.encoding, head: layout.vmemmap(of: $0).start, order: geometry.order,
                structPageSize: geometry.structPageSize)
        }
    }

    /// How long it takes at most, about, until base pages in use are so many optimized huge pages: the time that they
    /// stay so, some 200 ns for each to be frozen and joined, and 50 us for each vmemmap page to be remapped under
    /// readers.
    static func longestNanoseconds(_ plan: MappingPlan, pages: Int) -> Int {
        let (frames, freed) = (plan.geometry.basePagesPerHugePage * pages, plan.freedPages.count * pages)
        return 2 * stayNanoseconds + 200 * frames + 50_000 * freed
    }

    /// One life. Begins and ends with huge pages that are in use.
    func live() throws {
        for page in pages { try freeze(head(of: page)) }
        split()
        let start = HostKernel.monotonicNanoseconds()
        for frame in framesInUse.joined() { try put(frame) }
        HostKernel.sleep(nanoseconds: Self.stayNanoseconds)
        for frame in framesInUse.joined() { try freeze(frame) }
        join()
        sections?.wait()
        try region.optimize(pages, writers: .excluded)
        holdUps.optimized()
        if sections == nil { holdUps.took(nanoseconds: HostKernel.monotonicNanoseconds() - start) }
        for page in pages { try put(head(of: page)) }
        HostKernel.sleep(nanoseconds: Self.stayNanoseconds)
        for page in pages { try freeze(head(of: page)) }
        sections?.wait()
        try region.restore(pages, writers: .excluded)
        for page in pages { try put(head(of: page)) }
    }

    /// The base pages that are in use; of a huge page of many, the others are free, as counting them all takes long.
    private var framesInUse: [Range<PageFrameNumber>] {
        let count = min(Self.fewBasePages, region.plan.geometry.basePagesPerHugePage)
        return pages.map { head(of: $0)..<head(of: $0).advanced(by: count) }
    }

    private func head(of page: HugePageIndex) -> PageFrameNumber { region.plan.geometry.headFrame(of: page) }

    /// The frames of the huge pages become base pages: no tails any more, then no head.
    private func split() {
        for page in pages {
            for frame in tails(of: page) { store(0, compoundHeadOf: frame) }
            setHeadFlag(of: page, false)
        }
    }

    /// Free base pages become huge pages (`prep_compound_page()`): the head first.
    private func join() {
        for (page, word) in zip(pages, tailWords) {
            setHeadFlag(of: page, true)
            for frame in tails(of: page) { store(word, compoundHeadOf: frame) }
        }
    }

    private func tails(of page: HugePageIndex) -> Range<PageFrameNumber> {
        let head = head(of: page)
        return head.advanced(by: 1)..<head.advanced(by: region.plan.geometry.basePagesPerHugePage)
    }

    private func store(_ word: UInt64, compoundHeadOf frame: PageFrameNumber) {
        // SAFETY: the struct page lies in the region, which is not optimized now and so is mapped read-write.
        unsafe MemoryAccess.store(word, at: region.layout.structPage(of: frame) + StructPage.compoundHeadOffset)
    }

    private func setHeadFlag(of page: HugePageIndex, _ isSet: Bool) {
        let flags = region.layout.structPage(of: head(of: page)) + StructPage.flagsOffset
        // SAFETY: as above; nobody else writes to flags.
        unsafe MemoryAccess.store(
            isSet ? MemoryAccess.load(flags) | StructPage.headFlag : MemoryAccess.load(flags) & ~StructPage.headFlag,
            at: flags)
    }

    /// Puts a frame in use that is frozen: nobody else writes to it (`set_page_refcounted()`).
    private func put(_ frame: PageFrameNumber) throws { try region.addToRefcount(of: frame, 1) }

    /// Takes the one reference back, once nobody has another.
    private func freeze(_ frame: PageFrameNumber) throws {
        let counter = region.layout.structPage(of: frame) + StructPage.refcountOffset
        var deadline: Int?
        while true {
            // SAFETY: as above; the store survives a refusal.
            let (outcome, found) = unsafe MemoryAccess.tryReplace(1, with: 0, at: counter)
            if outcome == .done, found == 1 { return }
            let now = HostKernel.monotonicNanoseconds()
            guard outcome == .done, now < deadline ?? .max else {
                throw outcome == .done
                    ? ExperimentError.refused(
                        "walkers have kept references to frame \(frame.rawValue) for 10 s, \(found) now: take fewer "
                            + "--walkers, or more --pages")
                    : .unexpected("frame \(frame.rawValue) cannot be frozen: \(outcome)")
            }
            deadline = deadline ?? now + Self.longestFreezeNanoseconds
            HostKernel.yield()
        }
    }
}
