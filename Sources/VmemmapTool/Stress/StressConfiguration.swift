import HostMemory
import Synchronization
import VmemmapEmulator

/// What a stress run does, on what, and for how long.
struct StressConfiguration: Hashable, Sendable {
    /// What is made to fail.
    enum Faults: String, Hashable, Sendable, Codable, CaseIterable {
        /// Nothing.
        case off
        /// Calls of the workers fail without being made: the n-th, n and the errno drawn from the seed.
        case injected
        /// The host refuses for real: limits are lowered, mappings and frames taken away.
        case host
        /// Both.
        case all

        var isInjected: Bool { self == .injected || self == .all }
        /// Whether the host is to refuse.
        var isHost: Bool { self == .host || self == .all }
    }

    /// Huge pages of the region, and of the machine, which is a second one.
    var pages: HugePageCount = HugePageCount(256)
    /// Their size. The machine has huge pages of both of its sizes, if its memory holds a gigantic one.
    var pageSize: HugePageSize = .twoMebibytes
    /// The base page of the region, and of the machine beside it, which has as many struct pages.
    var basePageSize: ByteCount = HostLimits.pageSize
    /// Run one after the other, each on every backing.
    var schemes: [Scheme] = [.firstTail]
    /// As ``schemes``.
    var backings: [Backing] = [.anonymous]
    /// For all combinations together.
    var durationNanoseconds: Int = 60_000_000_000
    /// Ends the run after so many cycles if they come before the duration is over. A cycle is a huge page optimized and
    /// restored.
    var cycles: Int? = nil
    /// Threads that read all the while.
    var walkers: Int = 3
    /// Threads that optimize, restore, allocate, free, dissolve, demote and poison.
    var workers: Int = 2
    /// Into how many emulated nodes the run is divided; nil: into none.
    var nodes: NodeCount? = nil
    /// Everything drawn at random follows from it.
    var seed: UInt64 = 1
    /// What is made to fail.
    var faults: Faults = .off
    /// From one line of progress to the next.
    var reportEveryNanoseconds: Int = 5_000_000_000

    /// The machine's: those of the first architecture that has huge pages of the region's size on its base page, or
    /// none; of which something is freed.
    var machineSizes: MachineSizes {
        let known = Architecture.allCases.compactMap(\.machineSizes).filter { sizes in
            let block = Geometry(basePageSize: sizes.basePage, hugePageSize: sizes.block)
            return sizes.basePage == basePageSize && block.map { $0.vmemmapPagesPerHugePage > PageCount(1) } ?? false
        }
        return known.first { $0.hugePages.contains(pageSize) } ?? known.first ?? .x86
    }

    /// Whether an operation takes so long that few are enough: with 1 MiB of struct pages in a huge page and more.
    var isLarge: Bool { Self.isLarge(pageSize, basePageSize) }

    /// The same of a size of huge page.
    static func isLarge(_ pageSize: HugePageSize, _ basePageSize: ByteCount) -> Bool {
        let geometry = Geometry(basePageSize: basePageSize, hugePageSize: pageSize)
        return geometry.map { $0.vmemmapBytesPerHugePage >= .mebibytes(1) } ?? false
    }

    /// What is run one after the other.
    var combinations: [StressCombination] {
        schemes.flatMap { scheme in backings.map { StressCombination(scheme: scheme, backing: $0) } }
    }
}

/// A scheme on a backing.
struct StressCombination: Hashable, Sendable {
    let scheme: Scheme
    let backing: Backing
}

/// Ends a stress run in order, from any thread.
final class StressControl: Sendable {
    private let isEnded = Atomic(false)

    /// A run that is not to end yet.
    init() {}

    /// Has the run end at the next operation, with a verdict on what was run.
    func end() { isEnded.store(true, ordering: .releasing) }

    var shouldEnd: Bool { isEnded.load(ordering: .acquiring) }
}

/// The seeds of a run's many generators, each from what it is for.
enum StressSeed {
    static func derive(_ seed: UInt64, _ parts: UInt64...) -> UInt64 {
        parts.reduce(SplitMix64.first(of: seed)) { SplitMix64.first(of: $0 ^ $1) }
    }
}

extension SplitMix64 {
    fileprivate static func first(of seed: UInt64) -> UInt64 {
        var generator = SplitMix64(seed: seed)
        return generator.next()
    }
}
