import HostMemory
import VmemmapEmulator

/// What each way of a race does to a region, and who reads meanwhile.
final class RaceWays {
    private let kind: RaceKind
    private let region: VmemmapRegion
    private let naive: NaiveRestore?
    private let sections = ReadSideSections()
    /// The huge page that the next cycle begins with.
    private var next = HugePageIndex(0)

    init(_ kind: RaceKind, _ region: VmemmapRegion) throws(HostError) {
        self.kind = kind
        self.region = region
        naive = kind == .restore ? try NaiveRestore(region) : nil
    }

    func walkers(_ count: Int, _ way: RaceResult.Way, seed: UInt64) throws(HostError) -> Walkers {
        switch (kind, way) {
        case (.restore, _): try Walkers(count, over: region, seed: seed)
        case (.gap, _): try Walkers(count, survivingGapsIn: region, seed: seed)
        case (.speculative, .checked):
            try Walkers(count, takingReferencesIn: region, seed: seed, checked: sections)
        case (.speculative, _): try Walkers(count, takingReferencesIn: region, seed: seed, checked: nil)
        }
    }

    /// Optimizes and restores some huge pages, and says how many: few enough to look at the clock in between.
    func cycleNext(_ way: RaceResult.Way) throws -> Int {
        let all = region.layout.allHugePages
        let most = max(region.plan.hugePagesAtOnce, all.count / 4)
        let end = next.advanced(by: min(most, next.distance(to: all.upperBound)))
        let pages = next..<end
        try cycle(way, pages)
        next = end == all.upperBound ? all.lowerBound : end
        return pages.count
    }

    private func cycle(_ way: RaceResult.Way, _ pages: Range<HugePageIndex>) throws {
        switch way {
        case .unchecked: return try FrameLives(region, pages, waitingFor: nil).live()
        case .checked: return try FrameLives(region, pages, waitingFor: sections).live()
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
