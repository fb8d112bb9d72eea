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
    var pages: HugePageCount
    /// Their size. The machine has huge pages of both sizes, if its memory holds a 1 GiB page.
    var pageSize: HugePageSize
    /// Run one after the other, each on every backing.
    var schemes: [Scheme]
    /// As ``schemes``.
    var backings: [Backing]
    /// For all combinations together.
    var durationNanoseconds: Int
    /// Ends the run after so many cycles if they come before the duration is over. A cycle is a huge page optimized and restored.
    var cycles: Int?
    /// Threads that read all the while.
    var walkers: Int
    /// Threads that optimize, restore, allocate, free, dissolve, demote and poison.
    var workers: Int
    /// Everything drawn at random follows from it.
    var seed: UInt64
    /// What is made to fail.
    var faults: Faults
    /// From one line of progress to the next.
    var reportEveryNanoseconds: Int

    /// A run; what is left out is as the command has it.
    init(
        pages: HugePageCount = HugePageCount(256), pageSize: HugePageSize = .twoMebibytes,
        schemes: [Scheme] = [.firstTail], backings: [Backing] = [.anonymous],
        durationNanoseconds: Int = 60_000_000_000, cycles: Int? = nil, walkers: Int = 3, workers: Int = 2,
        seed: UInt64 = 1, faults: Faults = .off, reportEveryNanoseconds: Int = 5_000_000_000
    ) {
        self.pages = pages
        self.pageSize = pageSize
        self.schemes = schemes
        self.backings = backings
        self.durationNanoseconds = durationNanoseconds
        self.cycles = cycles
        self.walkers = walkers
        self.workers = workers
        self.seed = seed
        self.faults = faults
        self.reportEveryNanoseconds = reportEveryNanoseconds
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
