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
    /// The vmemmap pages that keep a frame of their own which others show. On the anonymous backing they are copied to
    /// the memory file; on memfd they are in it already.
    package let ownPages: Range<VmemmapPageIndex>
    /// The vmemmap pages whose frame is given back.
    package let freedPages: Range<VmemmapPageIndex>
    /// Template frames in the memory file for each zone.
    public let templatesPerZone: PageCount
    /// 1 where the head's vmemmap page stays in its mapping, in front of the first replacement.
    private let boundaryAfterHead: Int

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
        let count = tailFrames.resolved(most: shape.mostTailFrames, cost: cost, limit: mappingLimit) { count in
            let frames = shape.keptPages(count) * hugePages.rawValue + shape.templates(count) * zones
            let mappings = (shape.replacements(count).count + shape.boundaryAfterHead) * hugePages.rawValue
            return (geometry.basePageSize * frames, MappingCount(mappings))
        }
        self.tailFrames = PageCount(count)
        replacements = shape.replacements(count)
        ownPages = shape.ownPages(count)
        let end = VmemmapPageIndex(geometry.vmemmapPagesPerHugePage.rawValue)
        freedPages = VmemmapPageIndex(shape.keptPages(count))..<end
        templatesPerZone = PageCount(shape.templates(count))
        boundaryAfterHead = shape.boundaryAfterHead
    }

    /// So that sums of frames and of what mappings cost fit.
    private static let longestRegion = ByteCount(1 << 56)

    /// Whether optimizing frees anything.
    public var isWorthwhile: Bool { !replacements.isEmpty }

    // MARK: Pages of one huge page

    /// The vmemmap pages whose mapping is replaced: from the first one to the last of the huge page.
    package var replacedPages: Range<VmemmapPageIndex> {
        guard let first = replacements.first?.first else { return .none }
        return first..<VmemmapPageIndex(geometry.vmemmapPagesPerHugePage.rawValue)
    }

    /// Whether a restore maps the huge page's vmemmap by PMDs again: for gigantic pages, and only for them (v5 patch
    /// 18).
    package var mergesOnRestore: Bool { mapping == .pmd && geometry.isGigantic && isWorthwhile }

    /// Neighbouring huge pages that are restored by one call: as many as 512 vmemmap pages are of, 64 at most.
    package var hugePagesAtOnce: Int { max(1, min(64, 512 / max(1, geometry.vmemmapPagesPerHugePage.rawValue))) }

    /// The vmemmap page that is replaced and can still be written: what writers must be kept from while it is copied.
    package var rewritablePage: VmemmapPageIndex? { replacements.first { $0.protection == .readWrite }?.first }

    /// The vmemmap pages that may be written while their huge page is optimized: those in front of the first read-only
    /// one.
    package var writablePages: Range<VmemmapPageIndex> {
        let readOnly = replacements.first { $0.protection == .readOnly }?.first
        return VmemmapPageIndex(0)..<(readOnly ?? VmemmapPageIndex(geometry.vmemmapPagesPerHugePage.rawValue))
    }

    // MARK: Frames

    /// Frames in the memory file for each optimized huge page alone, on the anonymous backing.
    public var sharedFramesPerHugePage: PageCount { PageCount(ownPages.count) }

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

    /// Mappings that one huge page adds by the state it is in: as many as an optimized one, if it is torn. A restored
    /// one adds none by itself: on the anonymous backing, what one call has moved in is one mapping.
    public func mappings(_ state: HugePageState) -> MappingCount {
        MappingCount(boundariesInside(state) + (isBoundary(between: state, and: state) ? 1 : 0))
    }

    /// Mappings of the whole region when every huge page is in `state`: restored by one operation for all of them.
    public func regionMappings(_ state: HugePageState) -> MappingCount {
        if state == .restored, backing == .anonymous, isWorthwhile {
            return MappingCount((hugePages.rawValue + hugePagesAtOnce - 1) / hugePagesAtOnce)
        }
        return MappingCount(1) + mappings(state) * hugePages.rawValue
            - MappingCount(isBoundary(between: state, and: state) ? 1 : 0)
    }

    /// Mappings of the whole region with its huge pages in these states. The most there may be: each that is restored
    /// on the anonymous backing may have been moved in alone.
    package func regionMappings(of states: [HugePageState]) -> MappingCount {
        let inside = states.reduce(0) { $0 + boundariesInside($1) }
        let isMovedIn = isWorthwhile && backing == .anonymous
        let between = zip(states, states.dropFirst()).count { first, second in
            isBoundary(between: first, and: second) || (isMovedIn && (first == .restored || second == .restored))
        }
        return MappingCount(1 + inside + between)
    }

    /// Where one mapping of a huge page ends and its next begins. Of a torn one this is the most.
    func boundariesInside(_ state: HugePageState) -> Int {
        guard isWorthwhile, state.isInPieces else { return 0 }
        return replacements.count - 1 + boundaryAfterHead
    }

    /// Whether a mapping ends where one huge page meets the next, by the states of the two: not for what a restore has
    /// moved in (``HugePageStates``).
    func isBoundary(between first: HugePageState, and second: HugePageState) -> Bool {
        // What follows is a head in the mapping that it was in, unless the head itself is replaced.
        isWorthwhile && (first.isInPieces || (boundaryAfterHead == 0 && second.isInPieces))
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

extension HugePageState {
    fileprivate var isInPieces: Bool {
        switch self {
        case .optimized, .torn: true
        case .populated, .restored: false
        }
    }
}

extension Range<VmemmapPageIndex> {
    fileprivate static var none: Self { VmemmapPageIndex(0)..<VmemmapPageIndex(0) }
}
