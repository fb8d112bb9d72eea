import HostMemory
import VmemmapEmulator

/// What each way of a race does to a region, and who reads meanwhile.
final class RaceWays {
    private let kind: RaceKind
    private let region: VmemmapRegion
    private let naive: NaiveRestore?
    private let sections = ReadSideSections()

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

    /// Optimizes and restores every huge page.
    func cycle(_ way: RaceResult.Way) throws {
        let all = region.layout.allHugePages
        switch way {
        case .unchecked: return try FrameLives(region, waitingFor: nil).live()
        case .checked: return try FrameLives(region, waitingFor: sections).live()
        case .gap: try optimizeWithGaps()
        case .naive, .atomic: try region.optimize(all, writers: .excluded)
        }
        if way == .naive { try naive?.restoreAll() }
        try region.restore(all, writers: .excluded)
    }

    /// Takes the tails of each huge page away, and only then has the engine map what they are to show: where a
    /// processor must not see two entries for one address, the old one goes first (break-before-make).
    private func optimizeWithGaps() throws {
        for page in region.layout.allHugePages {
            try HostKernel.mapNothing(at: region.layout.vmemmap(of: page, region.plan.freedPages))
            try region.optimize(page, writers: .excluded)
        }
    }
}
