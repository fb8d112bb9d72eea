import HostLab
import HostMemory
import KernelMemory
import VmemmapEmulator

/// What the kernel's own page tables show of its huge pages, and the emulator's beside it.
struct PageTablesBlock: Hashable, Sendable, Codable {
    /// Why they cannot be read here.
    struct Refusal: Hashable, Sendable, Codable {
        /// Why not.
        let reason: String
        /// What would allow it; null where nothing is known to.
        let remedy: Measured<String>
    }

    /// One place that was found, and by which independent ways.
    struct Evidence: Hashable, Sendable, Codable {
        /// What: `vmemmap`.
        let what: String
        /// Its address.
        let address: String
        /// The ways that lead to it, two at least.
        let ways: [String]
    }

    /// The emulator's huge page under the kernel's scheme.
    struct Emulated: Hashable, Sendable, Codable {
        /// Populated.
        let before: FramePicture
        /// Optimized.
        let after: FramePicture
        /// Vmemmap pages that share a frame with others than the kernel's do, or are protected otherwise.
        let differingPages: PageCount
    }

    /// Which kernel's they are: `Linux 6.18.44 x86_64`.
    let kernel: String
    /// How they were read: `bpf`, `kcore` or `recording`; null where they could not be.
    let source: Measured<String>
    /// Why not; null where they could be.
    let refusal: Measured<Refusal>
    /// What they were found by.
    let evidence: [Evidence]
    /// The scheme of all optimized huge pages, told by what was found; null where there is none, or not one for all.
    let scheme: Measured<Scheme>
    /// What was looked at.
    let looks: [PageTablesLook]
    /// The emulator's huge page; null where there was nothing to hold against it.
    var emulated: Measured<Emulated> = .notMeasured
    /// Vmemmap pages of the huge page drawn last that do not show the bytes of the frame that they map; null where that
    /// was not compared, as of a recording.
    var differingContentPages: Measured<PageCount> = .notMeasured

    /// What was looked at for a reason; nil if nothing was.
    func look(_ kind: LookKind) -> PageTablesLook? { looks.first { $0.kind == kind } }

    /// They cannot be read.
    init(kernel: String, _ error: KernelMemoryError) {
        self.kernel = kernel
        source = .notMeasured
        refusal = .value(Refusal(reason: "\(error)", remedy: Measured(error.remedy)))
        evidence = []
        scheme = .notMeasured
        looks = []
    }

    /// They were read, now or when they were recorded.
    ///
    /// - Parameters:
    ///   - falls: for each kind of look, by how much nr_memmap_pages + nr_memmap_boot_pages fell as its huge pages were
    ///     added.
    ///   - missed: for each kind of look, how many huge pages less or more were found than there were to find.
    init(
        kernel: String, source: String, layout: KernelLayout, looks: [(LookKind, VmemmapLook)],
        falls: [LookKind: PageCount] = [:], missed: [LookKind: HostHugePageCount] = [:]
    ) {
        self.kernel = kernel
        self.source = .value(source)
        refusal = .notMeasured
        evidence = layout.evidence.map { Evidence(what: $0.what, address: $0.value, ways: $0.ways) }
        let schemes = Set(looks.compactMap { $1.scheme })
        let scheme = schemes.count == 1 ? schemes.first.flatMap { Scheme(rawValue: $0.rawValue) } : nil
        self.scheme = Measured(scheme)
        self.looks = looks.map { PageTablesLook($0, $1, memmapFall: falls[$0], missed: missed[$0]) }
    }
}

/// What one look at huge pages came to.
struct PageTablesLook: Hashable, Sendable, Codable {
    /// How many huge pages of one size are in which state.
    struct Count: Hashable, Sendable, Codable {
        /// The size.
        let hugePageBytes: ByteCount
        /// How many the host's pool has; null where that was not told.
        let poolPages: Measured<HostHugePageCount>
        /// How many were looked at.
        let pages: HostHugePageCount
        /// Those whose tails show one read-only frame.
        let optimizedPages: HostHugePageCount
        /// Those with every frame, not all of them mapped by PMDs.
        let splitPages: HostHugePageCount
        /// Those with every frame, mapped by PMDs.
        let wholePages: HostHugePageCount
        /// Those in no state that is known.
        let otherPages: HostHugePageCount
        /// Those that changed each time they were looked at.
        let changingPages: HostHugePageCount
        /// Vmemmap pages of all but the changing ones.
        let vmemmapPages: PageCount
        /// Vmemmap pages less different frames. Page tables are not taken off.
        let freedFrames: PageCount
        /// What optimizing the split and whole ones would free, too; null where no optimized page tells the scheme.
        let furtherFrames: Measured<PageCount>
        /// Those that the kernel marks otherwise; null where it cannot be read.
        let contradictedPages: Measured<HostHugePageCount>
    }

    /// Why they were looked at.
    let kind: LookKind
    /// The counts by size, of sizes that there is a pool or a page of.
    let counts: [Count]
    /// By how much nr_memmap_pages + nr_memmap_boot_pages fell when they were added; null where they were not, or it is
    /// not counted.
    let memmapFallPages: Measured<PageCount>
    /// How many huge pages less or more were found than the pools have, or than were added; null where that is not
    /// known: one page alone was asked for, a pool changed meanwhile, or it is a recording.
    let missedPages: Measured<HostHugePageCount>
    /// Frames that one of the huge pages may write and another shows, too.
    let framesOfTwoPages: PageCount
    /// One of them: an optimized one if there is one. Null if there is none that held still.
    let picture: Measured<KernelPicture>

    init(_ kind: LookKind, _ look: VmemmapLook, memmapFall: PageCount?, missed: HostHugePageCount?) {
        self.kind = kind
        missedPages = Measured(missed)
        memmapFallPages = Measured(memmapFall)
        framesOfTwoPages = PageCount(look.framesOfTwoPages)
        let sizes = Set(look.pools.map(\.size) + look.pages.map(\.size)).sorted()
        counts = sizes.map { Count($0, look.count(of: $0)) }
        picture = Measured(look.sample.map(KernelPicture.init))
    }
}

extension VmemmapLook {
    /// The huge page that is drawn: an optimized one if there is one.
    var sample: HugePageView? {
        let views = pages.compactMap(\.view)
        return views.first { if case .optimized = $0.state { true } else { false } } ?? views.first
    }
}

extension PageTablesLook.Count {
    init(_ size: ByteCount, _ count: VmemmapCount) {
        hugePageBytes = size
        poolPages = Measured(count.inPool.map { HostHugePageCount($0) })
        pages = HostHugePageCount(count.pages)
        optimizedPages = HostHugePageCount(count.optimized)
        splitPages = HostHugePageCount(count.split)
        wholePages = HostHugePageCount(count.whole)
        otherPages = HostHugePageCount(count.other)
        changingPages = HostHugePageCount(count.changing)
        vmemmapPages = PageCount(count.vmemmapPages)
        freedFrames = PageCount(count.framesFreed)
        furtherFrames = Measured(count.furtherFrames.map { PageCount($0) })
        contradictedPages = Measured(count.contradicted.map { HostHugePageCount($0) })
    }
}

extension PageTablesBlock {
    /// What must hold of them. Pure, so that a test can feed it any figures.
    var checks: [Check] {
        var checks: [Check] = []
        func sum(_ look: PageTablesLook, _ value: (PageTablesLook.Count) -> Int) -> Int {
            look.counts.reduce(0) { $0 + value($1) }
        }
        func looked(_ look: PageTablesLook) -> Check.Figure {
            .some("huge_pages_looked_at", sum(look) { $0.pages.rawValue })
        }
        // Of a huge page that others change or take away nothing is known.
        func isSettled(_ look: PageTablesLook) -> Bool { sum(look) { $0.changingPages.rawValue } == 0 }
        if let off = look(.off) {
            let lacking = sum(off) { ($0.pages - $0.splitPages - $0.wholePages - $0.changingPages).rawValue }
            let isKnown = lacking > 0 || isSettled(off)
            checks.append(
                Check(.offHasEveryFrame, expected: 0, measured: isKnown ? lacking : nil, looked(off)))
        }
        if let on = look(.on) {
            let (settled, optimized) = (
                sum(on) { ($0.pages - $0.changingPages).rawValue }, sum(on) { $0.optimizedPages.rawValue }
            )
            let isKnown = optimized < settled || isSettled(on)
            checks.append(
                Check(.onIsOptimized, expected: settled, measured: isKnown ? optimized : nil, looked(on)))
            // Shared tails may have been there before, or be made now.
            let isCounted = scheme.value?.usesTemplates == false
            let freed = sum(on) { $0.freedFrames.rawValue }
            let fall = isCounted && isSettled(on) ? on.memmapFallPages.value?.rawValue : nil
            checks.append(Check(.framesFreedAsCounted, expected: fall ?? freed, measured: fall.map { _ in freed }))
        }
        guard source.value != nil, let last = looks.last else { return checks }
        // Of one page that was asked for, and of a recording, there is nothing to miss.
        if source.value != "recording", last.kind != .page {
            let known = looks.compactMap(\.missedPages.value?.rawValue)
            let missed = known.reduce(0, +)
            checks.append(
                Check(
                    .everyPageIsFound, expected: 0, measured: missed > 0 || known.count == looks.count ? missed : nil))
        }
        let isOneSettled = looks.contains { $0.picture.value != nil }
        let shared = looks.reduce(0) { $0 + $1.framesOfTwoPages.rawValue }
        checks.append(Check(.framesAreApart, expected: 0, measured: isOneSettled ? shared : nil))
        let marks = looks.flatMap(\.counts).compactMap(\.contradictedPages.value?.rawValue)
        if last.picture.value != nil {
            checks.append(Check(.marksAgree, expected: 0, measured: marks.isEmpty ? nil : marks.reduce(0, +)))
            checks.append(Check(.contentsAgree, expected: 0, measured: differingContentPages.value?.rawValue))
        }
        if last.picture.value?.state == .optimized {
            checks.append(Check(.sameShape, expected: 0, measured: emulated.value?.differingPages.rawValue))
        }
        return checks
    }
}
