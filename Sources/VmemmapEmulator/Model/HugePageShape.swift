import HostMemory

/// Which vmemmap pages of one huge page become what, for any number of tail frames: the scheme's rules on a geometry
/// and a backing.
struct HugePageShape {
    private let rules: any SchemeRules
    private let backing: Backing
    /// Vmemmap pages of the huge page.
    private let pages: Int
    private let isWorthwhile: Bool

    init(_ geometry: Geometry, _ scheme: Scheme, _ backing: Backing) {
        rules = scheme.rules
        self.backing = backing
        pages = geometry.vmemmapPagesPerHugePage.rawValue
        isWorthwhile = scheme.freedPages(geometry) > .zero
    }

    /// The most tail frames that make sense: all tails, or where that would free nothing, one less.
    var mostTailFrames: Int { isWorthwhile ? rules.mostTailFrames(tails: pages - 1) : 1 }

    /// The vmemmap pages whose frames others show.
    func ownPages(_ tailFrames: Int) -> Range<VmemmapPageIndex> {
        isWorthwhile ? rules.ownPages(tailFrames: tailFrames) : VmemmapPageIndex(0)..<VmemmapPageIndex(0)
    }

    /// Vmemmap pages, from the first on, that keep a frame of their own.
    func keptPages(_ tailFrames: Int) -> Int {
        isWorthwhile ? max(1, rules.ownPages(tailFrames: tailFrames).upperBound.rawValue) : pages
    }

    func templates(_ tailFrames: Int) -> Int { isWorthwhile && rules.usesTemplates ? tailFrames : 0 }

    /// 1 where the head's vmemmap page stays in the region's own mapping, in front of the first replacement.
    var boundaryAfterHead: Int {
        backing == .anonymous && rules.ownPages(tailFrames: 1).contains(VmemmapPageIndex(0)) ? 0 : 1
    }

    func replacements(_ tailFrames: Int) -> [MappingPlan.Replacement] {
        isWorthwhile ? rules.replacements(pages: pages, tailFrames: tailFrames, backing) : []
    }
}
