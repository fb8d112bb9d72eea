import HostMemory
import VmemmapEmulator

/// What each way of a race does to a region, and who reads meanwhile.
final class RaceWays {
    private let kind: RaceKind
    private let region: VmemmapRegion
    private let naive: NaiveRestore?
    private let sections = ReadSideSections()
    private let holdUps: HoldUps
    /// Huge pages of a cycle: a quarter of all. Frames that are followed one by one are fewer, so that those that a
    /// walker is held up at are optimized soon.
    private let pagesAtOnce: Int
    /// The huge page that the next cycle begins with.
    private var next = HugePageIndex(0)

    init(_ kind: RaceKind, _ region: VmemmapRegion) throws(HostError) {
        self.kind = kind
        self.region = region
        naive = kind == .restore ? try NaiveRestore(region) : nil
        let plan = region.plan
        pagesAtOnce =
            kind == .speculative
            ? max(1, FrameLives.fewBasePages / plan.geometry.basePagesPerHugePage)
            : max(plan.hugePagesAtOnce, plan.hugePages.rawValue / 4)
        holdUps = HoldUps(longestNanoseconds: FrameLives.longestNanoseconds(plan, pages: pagesAtOnce))
    }

    func walkers(_ count: Int, _ way: RaceResult.Way, seed: UInt64) throws(HostError) -> Walkers {
        switch (kind, way) {
        case (.restore, _): try Walkers(count, over: region, seed: seed)
        case (.gap, _): try Walkers(count, survivingGapsIn: region, seed: seed)
        case (.speculative, .checked):
            try takingReferences(count, seed: seed, checked: sections)
        case (.speculative, _): try takingReferences(count, seed: seed, checked: nil)
        }
    }

    private func takingReferences(_ count: Int, seed: UInt64, checked: ReadSideSections?) throws(HostError) -> Walkers {
        try Walkers(count, takingReferencesIn: region, seed: seed, checked: checked, holdUps)
    }

    /// Optimizes and restores some huge pages, and says how many: few enough to look at the clock in between.
    func cycleNext(_ way: RaceResult.Way) throws -> Int {
        let all = region.layout.allHugePages
        let end = next.advanced(by: min(pagesAtOnce, next.distance(to: all.upperBound)))
        let pages = next..<end
        try cycle(way, pages)
        next = end == all.upperBound ? all.lowerBound : end
        return pages.count
    }

    private func cycle(_ way: RaceResult.Way, _ pages: Range<HugePageIndex>) throws {
        switch way {
        case .unchecked: return try FrameLives(region, pages, waitingFor: nil, holdUps).live()
        case .checked: return try FrameLives(region, pages, waitingFor: sections, holdUps).live()
        case .gap: try optimizeWithGaps(pages)
        case .naive, .atomic: try region.optimize(pages, writers: .excluded)
        }
        if way == .naive { try naive?.restore(pages) }
        try region.restore(pages, writers: .excluded)
    }

    /// Takes the tails of each huge page away, and only then has the engine map what they are to show: where a
    /// processor must not see two entries for one address, the old one goes first (break-before-make).
    private func optimizeWithGaps(_ pages: Range<HugePageIndex>) throws {
        for page in pages {
            try HostKernel.mapNothing(at: region.layout.vmemmap(of: page, region.plan.freedPages))
            try region.optimize(page, writers: .excluded)
        }
    }
}
