import HostMemory

/// Which vmemmap pages of one huge page become what, for any tail run: the formulas behind a ``MappingPlan``.
struct HugePageShape {
    private let scheme: Scheme
    private let backing: Backing
    /// Vmemmap pages of the huge page.
    private let pages: Int
    private let isWorthwhile: Bool

    init(_ geometry: Geometry, _ scheme: Scheme, _ backing: Backing) {
        self.scheme = scheme
        self.backing = backing
        pages = geometry.vmemmapPagesPerHugePage.rawValue
        isWorthwhile = scheme.freedPages(geometry) > .zero
    }

    private var tails: Int { pages - 1 }

    /// One frame for every tail, or where that would free nothing, one less. The head scheme shows one page and no run.
    var longestRun: Int {
        guard isWorthwhile else { return 1 }
        return switch scheme {
        case .firstTail: tails - 1
        case .head: 1
        case .sharedTail: tails
        }
    }

    func ownPages(_ run: Int) -> Range<VmemmapPageIndex> {
        switch scheme {
        case .firstTail: VmemmapPageIndex(1)..<VmemmapPageIndex(1 + run)
        case .head: VmemmapPageIndex(0)..<VmemmapPageIndex(1)
        case .sharedTail: VmemmapPageIndex(1)..<VmemmapPageIndex(1)
        }
    }

    /// Vmemmap pages, from the first on, that keep a frame of their own.
    func keptPages(_ run: Int) -> Int {
        if !isWorthwhile { return pages }
        return max(1, ownPages(run).upperBound.rawValue)
    }

    func templates(_ run: Int) -> Int { isWorthwhile && scheme == .sharedTail ? run : 0 }

    /// 1 where the head's vmemmap page stays in the region's own mapping, in front of the first replacement.
    var boundaryAfterHead: Int { scheme == .head && backing == .anonymous ? 0 : 1 }

    /// How many mappings ``replacements(_:)`` has, without making them.
    func replacementCount(_ run: Int) -> Int {
        guard isWorthwhile else { return 0 }
        switch scheme {
        case .firstTail: return (backing == .anonymous ? 1 : 0) + (run > 1 ? 1 : 0) + ceiling(tails - run, run)
        case .head: return backing == .anonymous ? pages : tails
        case .sharedTail: return ceiling(tails, run)
        }
    }

    func replacements(_ run: Int) -> [MappingPlan.Replacement] {
        guard isWorthwhile else { return [] }
        switch scheme {
        case .firstTail:
            // Page 1 stays writable, as in the v5 series; the rest of the run holds tails like all others.
            let first = backing == .anonymous ? [replacement(1, 1, .own(0), .readWrite)] : []
            let rest = run > 1 ? [replacement(2, run - 1, .own(1), .readOnly)] : []
            return first + rest + runs(from: 1 + run, run, .own(0))
        case .head:
            let first = backing == .anonymous ? [replacement(0, 1, .own(0), .readWrite)] : []
            return first + runs(from: 1, 1, .own(0))
        case .sharedTail:
            return runs(from: 1, run, .template(0))
        }
    }

    /// The vmemmap pages from `first` on, `run` at a time, all by the same frames.
    private func runs(
        from first: Int, _ run: Int, _ frame: MappingPlan.Replacement.Frame
    ) -> [MappingPlan.Replacement] {
        stride(from: first, to: pages, by: run).map { replacement($0, min(run, pages - $0), frame, .readOnly) }
    }

    private func replacement(
        _ first: Int, _ count: Int, _ frame: MappingPlan.Replacement.Frame,
        _ protection: MappingPlan.ReplacementProtection
    ) -> MappingPlan.Replacement {
        MappingPlan.Replacement(
            first: VmemmapPageIndex(first), count: PageCount(count), frame: frame, protection: protection)
    }

    private func ceiling(_ amount: Int, _ unit: Int) -> Int { (amount + unit - 1) / unit }
}
