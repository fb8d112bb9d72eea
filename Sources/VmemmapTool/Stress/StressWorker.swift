import HostLab
import HostMemory
import Synchronization
import VmemmapEmulator

/// A thread's worth of operations. While its round runs, nobody else touches it; between rounds, the coordinator may.
final class StressWorker: Sendable {
    /// What it has of the machine, and what it did last.
    struct State {
        var operations: StressOperations
        var held: [HugePage] = []
        var reserved: [HugePageSize: Int] = [:]
        var executed = 0
        var recent: [(StressOperation, StressOutcome)] = []
    }

    static let recentCount = 24

    let number: Int
    let setUp: StressSetUp
    let state: Guarded<State>

    init(_ setUp: StressSetUp, number: Int) {
        self.setUp = setUp
        self.number = number
        state = Guarded(
            State(
                operations: StressOperations(
                    seed: setUp.configuration.seed, setUp: setUp.number, worker: number)))
    }

    /// Operations between two looks of the oracle.
    private var operationsPerRound: Int { setUp.configuration.isLarge ? 8 : 96 }

    func run() {
        var round = 1
        while true {
            while setUp.round.load(ordering: .acquiring) < round {
                if setUp.shouldStop.load(ordering: .acquiring) { return }
                HostKernel.sleep(nanoseconds: 50_000)
            }
            state.withLock { state in
                for _ in 0..<operationsPerRound where !setUp.shouldStop.load(ordering: .acquiring) {
                    guard let operation = state.operations.next() else { break }
                    let outcome = perform(operation, &state)
                    state.executed += 1
                    if state.recent.count == Self.recentCount { state.recent.removeFirst() }
                    state.recent.append((operation, outcome))
                    setUp.counters.operations.count()
                }
            }
            setUp.finished.add(1, ordering: .acquiringAndReleasing)
            round += 1
        }
    }

    private func perform(_ operation: StressOperation, _ state: inout State) -> StressOutcome {
        guard setUp.configuration.faults.isInjected, let fault = operation.fault else {
            let outcome = carryOut(operation.action, &state)
            judge(outcome, wasFaulted: false, operation)
            return outcome
        }
        let injected = InjectedFault(
            first: fault.first, failures: fault.failures, errno: fault.errno, operations: Set(fault.operations))
        let (outcome, seen) = injected.during { carryOut(operation.action, &state) }
        if seen.failed > 0 {
            setUp.counters.failedCalls.count(seen.failed)
            setUp.counters.faultedOperations.count()
        }
        judge(outcome, wasFaulted: seen.failed > 0, operation)
        return outcome
    }

    /// An operation may fail if something stood in its way, and only then: a call that was failed, or the host, on
    /// purpose or because it is short of something.
    func judge(_ outcome: StressOutcome, wasFaulted: Bool, _ operation: StressOperation) {
        setUp.counters.looked(at: .failsOnlyIfHindered)
        guard outcome.isRefusal(setUp.hasFrameBudget.load(ordering: .relaxed)) else { return }
        setUp.counters.refusedOperations.count()
        if wasFaulted { return }
        let isHostShort =
            switch outcome {
            case .region(let error): setUp.isHostShortage(error)
            case .pool(let error): setUp.isHostShortage(error)
            case .done, .nothing: false
            }
        guard isHostShort || setUp.isUnderPressure.load(ordering: .relaxed) else {
            return setUp.report(
                StressFinding(.failsOnlyIfHindered, "worker \(number), \(operation): \(outcome)"))
        }
        setUp.counters.hostRefusals.count()
    }
}

/// What became of an operation.
enum StressOutcome: Sendable, CustomStringConvertible {
    case done
    /// There was nothing that it could be done to.
    case nothing
    case pool(HugeTLBError)
    case region(VmemmapError)

    /// Whether it was refused for want of something that the host, or a budget, did not give.
    func isRefusal(_ hasFrameBudget: Bool) -> Bool {
        switch self {
        case .done, .nothing: return false
        case .region: return true
        case .pool(let error):
            switch error.cause {
            // The pool's own answers.
            case .poolEmpty, .noContiguousMemory, .notAHugePage, .inUse, .reserved, .poisoned, .alreadyPoisoned,
                .notContained, .keptMemory, .allPoisoned, .cgroupLimit, .cgroupReservationLimit:
                return false
            case .frameBudget, .pageTables: return !hasFrameBudget
            case .vmemmap, .alreadyFree, .noSuchSize, .noSuchNode, .noDemotion, .unusableCount, .keepsPages,
                .noSuchFrame, .noMemoryBlocks, .noRoom, .notPlugged, .memoryInUse:
                return true
            }
        }
    }

    var description: String {
        switch self {
        case .done: "done"
        case .nothing: "nothing to do"
        case .pool(let error): "\(error)"
        case .region(let error): "\(error)"
        }
    }
}
