import HostMemory
import Synchronization
import VmemmapEmulator

/// What the threads of one set-up share: a machine and a region, both on real memory, and what has been seen of them.
final class StressSetUp: Sendable {
    let configuration: StressConfiguration
    let combination: StressCombination
    let number: Int
    let machine: EmulatedMachine
    let region: VmemmapRegion
    let regionContents: LegalContents
    let machineContents: LegalContents
    let counters: StressCounters

    /// Ends every thread of the set-up.
    let shouldStop = Atomic(false)
    /// The round that workers may run, from 1.
    let round = Atomic(0)
    /// Workers that are through with it.
    let finished = Atomic(0)
    /// Whether the host may refuse for real in this round.
    let isUnderPressure = Atomic(false)
    /// Whether the machine has a frame budget in this round.
    let hasFrameBudget = Atomic(false)
    /// vm.max_map_count when it was made.
    let mappingLimit: MappingCount
    /// Base pages with memory errors.
    let poisoned = Guarded<Set<PageFrameNumber>>([])

    private let finding = Guarded<StressFinding?>(nil)
    private let hindrance = Guarded<String?>(nil)

    init(
        _ configuration: StressConfiguration, _ combination: StressCombination, number: Int, _ counters: StressCounters,
        _ machine: EmulatedMachine, _ region: VmemmapRegion
    ) {
        self.configuration = configuration
        self.combination = combination
        self.number = number
        self.counters = counters
        self.machine = machine
        self.region = region
        // Where it cannot be read, no refusal is put down to a change of it.
        mappingLimit = (try? HostLimits.mappingLimit()) ?? .zero
        regionContents = LegalContents(
            branding: region, StressSeed.derive(configuration.seed, 2, UInt64(number)) & UInt64(Int64.max))
        machineContents = LegalContents(of: machine)
    }

    /// Notes the first violation and ends the work on it.
    func report(_ new: StressFinding) {
        finding.withLock { if $0 == nil { $0 = new } }
        shouldStop.store(true, ordering: .releasing)
    }

    /// Counts a refusal by the host of something that a check takes, and notes the first: it is no violation, but the
    /// check is not made.
    func noteHindrance(_ what: String, _ error: some Error) {
        counters.refusedOperations.count()
        counters.hostRefusals.count()
        hindrance.withLock { $0 = $0 ?? "\(what): the host refused: \(error)" }
    }

    /// What a check could not be made for.
    var firstHindrance: String? { hindrance.withLock { $0 } }

    /// Whether an error is a refusal for want of something that the host has not: memory, descriptors, room; or
    /// mappings, if vm.max_map_count is lower than it was, since every run begins with room for twice what it maps.
    func isHostShortage(_ error: VmemmapError) -> Bool {
        switch error.cause {
        case .host(let error): error.code.isLackOfRoom || error.code == .tooManyFiles
        case .mappingLimit(_, _, let limit, _): limit < mappingLimit
        default: false
        }
    }

    func isHostShortage(_ error: HugeTLBError) -> Bool {
        if case .vmemmap(let error) = error.cause { isHostShortage(error) } else { false }
    }

    var firstFinding: StressFinding? { finding.withLock { $0 } }

    /// Huge pages of the region that one worker has for itself: the first half, shared out. The second half is
    /// everybody's.
    func ownPages(of worker: Int) -> Range<Int> {
        let half = configuration.pages.rawValue / 2
        return half * worker / configuration.workers..<half * (worker + 1) / configuration.workers
    }

    var contendedPages: Range<Int> { configuration.pages.rawValue / 2..<configuration.pages.rawValue }

    /// The machine's memory as huge pages of its smaller size.
    var small: VmemmapRegion? { machine.region(machine.configuration.sizes.block) }

    /// Huge pages optimized and restored so far, by the region and by the machine.
    var changes: (optimized: Int, restored: Int) {
        ([region] + machine.sizes.compactMap { machine.region($0) }).reduce((0, 0)) {
            ($0.0 + $1.changes.optimized, $0.1 + $1.changes.restored)
        }
    }
}

/// What a run has done so far, all combinations together. Any thread adds to it, a stretch at a time.
final class StressCounters: Sendable {
    let reads = Atomic(0)
    let pageReads = Atomic(0)
    let crossedReads = Atomic(0)
    let wrongReads = Atomic(0)
    let operations = Atomic(0)
    /// Calls that were not made but failed.
    let failedCalls = Atomic(0)
    /// Operations during which that happened.
    let faultedOperations = Atomic(0)
    /// Operations that failed, in order, because a call was failed or the host refused.
    let refusedOperations = Atomic(0)
    /// Of those, the ones that only the host can have refused.
    let hostRefusals = Atomic(0)
    /// Huge pages that two refusals had left half-way, mended.
    let mendedPages = Atomic(0)
    let shortages = Guarded(StressShortages())
    let interruptions = Atomic(0)
    let forks = Atomic(0)
    let checks = Atomic(0)
    /// Time in the region's optimize and restore, and huge pages that went from state to state there.
    let remapNanoseconds = Atomic(0)

    /// All of them from the start: where RLIMIT_AS is reached, counting must not need memory.
    private let looks = Guarded<[StressCheck: Int]>(
        Dictionary(uniqueKeysWithValues: StressCheck.allCases.map { ($0, 0) }))

    /// Notes that a check was made, so often.
    func looked(at check: StressCheck, _ times: Int = 1) { looks.withLock { $0[check, default: 0] += times } }

    /// How often each check has been made.
    var times: [StressCheck: Int] { looks.withLock { $0 } }

    static func read(_ counter: borrowing Atomic<Int>) -> Int { counter.load(ordering: .relaxed) }
}

extension Atomic where Value == Int {
    func count(_ amount: Int = 1) { add(amount, ordering: .relaxed) }
}
