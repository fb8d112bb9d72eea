public import HostMemory

/// What optimizing does to the mappings and the frames of huge pages, worked out before anything is touched.
///
/// This is the only place where it is decided which vmemmap page shows which frame. The engine carries its replacements
/// out as they stand, and a forecast is read off the same value, so the two cannot drift apart. A pure value.
public struct MappingPlan: Hashable, Sendable {
    /// The huge pages' geometry.
    public let geometry: Geometry
    /// How their vmemmap is shared.
    public let scheme: Scheme
    /// What the region consists of.
    public let backing: Backing
    /// How the region is mapped as it is built.
    package let mapping: RegionMapping
    /// How many huge pages there are.
    public let hugePages: HugePageCount
    /// How many of them lie in the first zone.
    public let hugePagesInFirstZone: HugePageCount
    /// How many frames in a row serve the tails: 1 is the kernel's way.
    public let tailFrames: PageCount
    /// How struct pages lead to their heads.
    package let encoding: CompoundHead.Encoding
    /// Where a restored tail page takes its contents from.
    let tailSource: TailSource
    /// The mappings that replace vmemmap pages of one huge page, in the order in which they are made. Empty where the
    /// scheme frees nothing.
    package let replacements: [Replacement]

    /// One mapping that replaces vmemmap pages of a huge page.
    package struct Replacement: Hashable, Sendable {
        /// The first vmemmap page replaced.
        package let first: VmemmapPageIndex
        /// How many, by as many frames in a row.
        package let count: PageCount
        /// The first of those frames.
        package let frame: Frame
        /// Whether the pages can still be written.
        package let protection: ReplacementProtection

        /// A frame that vmemmap pages share.
        package enum Frame: Hashable, Sendable {
            /// The huge page's own: the n-th of ``MappingPlan/ownPages``.
            case own(Int)
            /// The n-th template of the huge page's zone.
            case template(Int)
        }

        init(_ first: Int, _ count: Int, _ frame: Frame, _ protection: ReplacementProtection) {
            self.first = VmemmapPageIndex(first)
            self.count = PageCount(count)
            self.frame = frame
            self.protection = protection
        }
    }

    /// What may be done with a replaced page.
    package enum ReplacementProtection: String, Hashable, Sendable, Codable {
        /// It keeps its own frame, now in the memory file.
        case readWrite
        /// It shows a frame that others show too, or may.
        case readOnly
    }

    /// The plan for `hugePages` huge pages.
    ///
    /// - Parameters:
    ///   - geometry: the huge pages.
    ///   - scheme: how their vmemmap is shared.
    ///   - backing: what the region consists of.
    ///   - mapping: how it is mapped as it is built.
    ///   - hugePages: how many, 1 at least.
    ///   - firstZone: how many of them lie in the first zone, 1 at least; nil: the first half.
    ///   - tailFrames: the frames that serve the tails. Without meaning for the head scheme.
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/unusableCount(_:)`` for no huge page at all, or so many that
    ///   figures of them would not fit numbers of 64 bits (2⁵⁶ bytes of struct pages); with
    ///   ``VmemmapError/Cause/unusableFirstZone(_:of:)`` and ``VmemmapError/Cause/unusableTailFrames(_:)``.
    package init(
        geometry: Geometry, scheme: Scheme, backing: Backing = .anonymous, mapping: RegionMapping = .pte,
        hugePages: HugePageCount, firstZone: HugePageCount? = nil, tailFrames: TailFrames = .frames(1)
    ) throws(VmemmapError) {
        try self.init(
            geometry: geometry, scheme: scheme, backing: backing, mapping: mapping, hugePages: hugePages,
            firstZone: firstZone, tailFrames: tailFrames, cost: .assumed)
    }

    /// The same, with what decides ``TailFrames/auto``: what a mapping costs, and the mappings that the region may
    /// have.
    package init(
        geometry: Geometry, scheme: Scheme, backing: Backing = .anonymous, mapping: RegionMapping = .pte,
        hugePages: HugePageCount, firstZone: HugePageCount? = nil, tailFrames: TailFrames = .frames(1),
        cost: MappingCost, mappingLimit: MappingCount = MappingCount(.max)
    ) throws(VmemmapError) {
        guard hugePages > .zero, let length = geometry.regionLength(hugePages), length <= Self.longestRegion else {
            throw VmemmapError(.plan, .unusableCount(hugePages))
        }
        if let firstZone, firstZone <= .zero || firstZone > hugePages {
            throw VmemmapError(.plan, .unusableFirstZone(firstZone, of: hugePages))
        }
        if case .frames(let count) = tailFrames, count <= .zero {
            throw VmemmapError(.plan, .unusableTailFrames(count))
        }
        self.geometry = geometry
        self.scheme = scheme
        self.backing = backing
        self.mapping = mapping
        self.hugePages = hugePages
        encoding = scheme.encoding(geometry)
        tailSource = scheme.rules.tailSource
        let inFirstZone = firstZone ?? HugePageCount(hugePages.rawValue - hugePages.rawValue / 2)
        hugePagesInFirstZone = inFirstZone
        let zones = inFirstZone < hugePages ? 2 : 1
        let shape = HugePageShape(geometry, scheme, backing)
        let run = tailFrames.resolved(longest: shape.longestRun, cost: cost, limit: mappingLimit) { run in
            let frames = shape.keptPages(run) * hugePages.rawValue + shape.templates(run) * zones
            let mappings = (shape.replacements(run).count + shape.boundaryAfterHead) * hugePages.rawValue
            return (geometry.basePageSize * frames, MappingCount(mappings))
        }
        self.tailFrames = PageCount(run)
        self.replacements = shape.replacements(run)
    }

    /// So that sums of frames and of what mappings cost fit.
    private static let longestRegion = ByteCount(1 << 56)

    private var shape: HugePageShape { HugePageShape(geometry, scheme, backing) }

    /// Whether optimizing frees anything.
    public var isWorthwhile: Bool { !replacements.isEmpty }

    // MARK: Pages of one huge page

    /// The vmemmap pages that keep a frame of their own which others show. On the anonymous backing they are copied to
    /// the memory file; on memfd they are in it already.
    package var ownPages: Range<VmemmapPageIndex> { isWorthwhile ? shape.ownPages(tailFrames.rawValue) : .none }

    /// The vmemmap pages whose mapping is replaced: from the first one to the last of the huge page.
    package var replacedPages: Range<VmemmapPageIndex> {
        guard let first = replacements.first?.first else { return .none }
        return first..<VmemmapPageIndex(geometry.vmemmapPagesPerHugePage.rawValue)
    }

    /// Whether a restore maps the huge page's vmemmap by PMDs again: for gigantic pages, and only for them (v5 patch
    /// 18).
    public var mergesOnRestore: Bool { mapping == .pmd && geometry.isGigantic && isWorthwhile }

    /// The vmemmap pages that a restore moves in on the anonymous backing: the replaced ones, or to be merged, all of
    /// them.
    package var movedPages: Range<VmemmapPageIndex> {
        mergesOnRestore ? VmemmapPageIndex(0)..<replacedPages.upperBound : replacedPages
    }

    /// The vmemmap pages whose frame is given back.
    package var freedPages: Range<VmemmapPageIndex> {
        let kept = isWorthwhile ? shape.keptPages(tailFrames.rawValue) : geometry.vmemmapPagesPerHugePage.rawValue
        return VmemmapPageIndex(kept)..<VmemmapPageIndex(geometry.vmemmapPagesPerHugePage.rawValue)
    }

    /// The vmemmap page that is replaced and can still be written: what writers must be kept from while it is copied.
    package var rewritablePage: VmemmapPageIndex? { replacements.first { $0.protection == .readWrite }?.first }

    /// The vmemmap pages that a restore copies on the anonymous backing and that may be written meanwhile.
    package var copiedWritablePages: Range<VmemmapPageIndex> {
        if mergesOnRestore { return VmemmapPageIndex(0)..<VmemmapPageIndex(scheme.writablePages.rawValue) }
        return rewritablePage.map { $0.alone } ?? .none
    }

    // MARK: Frames

    /// Frames in the memory file for each optimized huge page alone, on the anonymous backing.
    public var sharedFramesPerHugePage: PageCount { PageCount(ownPages.count) }

    /// Template frames in the memory file for each zone.
    public var templatesPerZone: PageCount { PageCount(isWorthwhile ? shape.templates(tailFrames.rawValue) : 0) }

    /// Template frames for all zones.
    public var templates: PageCount { templatesPerZone * zones }

    /// Frames behind the region before optimizing.
    public var framesPopulated: PageCount {
        let pageSize = geometry.basePageSize.rawValue
        let bytes = (geometry.vmemmapBytesPerHugePage * hugePages.rawValue).rawValue
        return PageCount((bytes + pageSize - 1) / pageSize)
    }

    /// Frames behind the region after it.
    public var framesOptimized: PageCount { framesPopulated - framesFreed }

    /// Frames given back: those of the freed pages, less the templates that serve in their place.
    public var framesFreed: PageCount { PageCount(freedPages.count) * hugePages.rawValue - templates }

    /// Frames that the memory file has for `optimized` optimized huge pages of all there are: none below 0, and all
    /// beyond them.
    public func fileFrames(optimized: HugePageCount) -> PageCount {
        let optimized = max(.zero, min(optimized, hugePages))
        return switch backing {
        case .anonymous: sharedFramesPerHugePage * optimized.rawValue + templates
        case .memfd: framesPopulated - PageCount(freedPages.count) * optimized.rawValue + templates
        }
    }

    /// Private anonymous frames behind the region with `optimized` optimized huge pages of all there are, as above.
    public func anonymousFrames(optimized: HugePageCount) -> PageCount {
        let optimized = max(.zero, min(optimized, hugePages))
        return switch backing {
        case .anonymous: framesPopulated - PageCount(replacedPages.count) * optimized.rawValue
        case .memfd: .zero
        }
    }

    /// The zone that a huge page lies in: the first half of the memory is ZONE_NORMAL, the second ZONE_MOVABLE.
    public func zone(of page: HugePageIndex) -> Int {
        page.rawValue < hugePagesInFirstZone.rawValue ? 0 : 1
    }

    /// How many zones have huge pages.
    public var zones: Int { hugePagesInFirstZone < hugePages ? 2 : 1 }

    // MARK: Mappings

    /// Mappings that one huge page adds in each state: as many as an optimized one, if it is torn.
    public func mappings(_ state: HugePageState) -> MappingCount {
        MappingCount(boundariesInside(state) + (isBoundary(between: state, and: state) ? 1 : 0))
    }

    /// Mappings of the whole region when every huge page is in `state`. Where restores move heads in on the anonymous
    /// backing (the head scheme, merged gigantic pages), the most there may be.
    public func regionMappings(_ state: HugePageState) -> MappingCount {
        let between = isBoundary(between: state, and: state) ? hugePages.rawValue - 1 : 0
        return MappingCount(1 + boundariesInside(state) * hugePages.rawValue + between)
    }

    /// Mappings of the whole region with its huge pages in these states; the most there may be, as above.
    package func regionMappings(of states: [HugePageState]) -> MappingCount {
        let inside = states.reduce(0) { $0 + boundariesInside($1) }
        return MappingCount(
            1 + inside + zip(states, states.dropFirst()).count { isBoundary(between: $0, and: $1) })
    }

    /// Where one mapping of a huge page ends and its next begins.
    func boundariesInside(_ state: HugePageState) -> Int {
        guard isWorthwhile else { return 0 }
        return switch (state, backing) {
        case (.populated, _): 0
        // Of a torn one this is the most.
        case (.optimized, _), (.torn, _): replacements.count - 1 + shape.boundaryAfterHead
        // The tails as mremap moved them in, and the head where it was not: an anonymous mapping keeps the page offset
        // it was made with, so it cannot merge with its neighbours again.
        case (.restored, .anonymous): mergesOnRestore ? 0 : shape.boundaryAfterHead
        // The file's pages are mapped in their order again, and merge.
        case (.restored, .memfd): 0
        }
    }

    /// Whether the first vmemmap page leaves the region's own mapping: replaced, or moved in with the rest by a
    /// restore.
    private var isHeadMoved: Bool { shape.boundaryAfterHead == 0 || mergesOnRestore }

    /// Whether a mapping ends where one huge page meets the next. The most there may be: where heads are moved,
    /// neighbours restored together may have merged, and a huge page that was never restored has its head where it was.
    func isBoundary(between first: HugePageState, and second: HugePageState) -> Bool {
        guard isWorthwhile else { return false }
        return switch backing {
        // What follows is an untouched head in the region's own mapping, unless the head itself is replaced.
        case .anonymous: first != .populated || (isHeadMoved && second != .populated)
        case .memfd: first == .optimized || first.isTorn
        }
    }

    // MARK: Saving

    /// What the frames given back amount to.
    public var grossSaving: ByteCount { framesFreed.bytes(pageSize: geometry.basePageSize) }

    /// What the mappings for it cost the kernel.
    package func overhead(_ cost: MappingCost) -> ByteCount {
        cost.total(regionMappings(.optimized) - regionMappings(.populated))
    }

    /// What is left.
    package func netSaving(_ cost: MappingCost) -> ByteCount { grossSaving - overhead(cost) }
}

extension Range<VmemmapPageIndex> {
    fileprivate static var none: Self { VmemmapPageIndex(0)..<VmemmapPageIndex(0) }
}
