import HostLab
import HostMemory
import Synchronization
import VmemmapEmulator

/// One set-up: a machine and a region are built, worked on in rounds with readers beside, checked after each round, and
/// taken down.
///
/// Runs on the coordinator's thread.
final class StressStretch {
    private let run: StressRun
    private let setUp: StressSetUp
    private let workers: [StressWorker]
    private let oracle: StressOracle
    private let fileSystem: SmallFileSystem?
    private var generator: SplitMix64
    private var workerThreads: [HostThread] = []
    private var walkerThreads: [HostThread] = []
    private var pressure = StressPressure()
    private var rounds = 0
    private var nextFork = HostKernel.monotonicNanoseconds()

    /// Rounds with one set-up.
    private var mostRounds: Int { setUp.configuration.isLarge ? 6 : 40 }

    init(_ run: StressRun, _ combination: StressCombination, number: Int) throws(ExperimentError) {
        self.run = run
        let configuration = run.configuration
        generator = SplitMix64(seed: StressSeed.derive(configuration.seed, 4, UInt64(number)))
        let plan = try run.plan(combination, tailFrames: Self.tailFrames(combination.scheme, number))
        fileSystem = number.isMultiple(of: 2) ? nil : run.fileSystem(for: plan)
        let store = fileSystem.map { FrameStore.fileSystem($0) } ?? .memory
        var machine = MachineConfiguration(
            memory: Self.machineMemory(plan, configuration.machineSizes), scheme: combination.scheme,
            backing: combination.backing, tailFrames: .frames(plan.tailFrames), optimizesAtBoot: true)
        machine.sizes = configuration.machineSizes
        // The kernel's own lists put off what v5 puts off; and then everything at once, where calls can be failed.
        machine.release = number.isMultiple(of: 2) ? .deferred : .synchronous
        let (built, region) = try ExperimentError.wrapping {
            (try EmulatedMachine(machine), try VmemmapRegion(plan, budget: .process, store: store))
        }
        let setUp = StressSetUp(configuration, combination, number: number, run.counters, built, region)
        self.setUp = setUp
        workers = (0..<configuration.workers).map { StressWorker(setUp, number: $0) }
        // The descriptors of the set-up's own files included.
        let atWork = try ExperimentError.wrapping { try OpenFiles.count() }
        oracle = StressOracle(setUp: setUp, workers: workers, openFiles: atWork)
    }

    /// Memory with as many bytes of struct pages as the region has, in whole huge pages of the smaller size.
    private static func machineMemory(_ plan: MappingPlan, _ sizes: MachineSizes) -> ByteCount {
        let vmemmap = plan.geometry.vmemmapBytesPerHugePage.rawValue * plan.hugePages.rawValue
        let bytes = vmemmap / StructPage.size.rawValue * sizes.basePage.rawValue
        let small = sizes.block.bytes
        return small * ((bytes + small.rawValue - 1) / small.rawValue)
    }

    /// One tail frame, and several each third time, where the scheme takes them.
    private static func tailFrames(_ scheme: Scheme, _ number: Int) -> TailFrames {
        guard scheme.takesTailFrames, number % 3 == 2 else { return .frames(1) }
        return .frames(scheme.usesTemplates ? 7 : 3)
    }

    /// Runs rounds until there are enough or the run is, then takes everything down. Returns what is violated, if
    /// anything is.
    func execute(until isOver: () -> Bool) throws(ExperimentError) -> StressViolation? {
        defer { if let text = setUp.firstHindrance { run.leaveOut(text) } }
        do throws(HostError) {
            try runRounds(until: isOver)
            if setUp.firstFinding == nil { try takeDown() }
        } catch {
            // What has been found stands.
            if setUp.firstFinding == nil { throw .host(error) }
        }
        return setUp.firstFinding.map(violation)
    }

    private func runRounds(until isOver: () -> Bool) throws(HostError) {
        defer { stop() }
        try start()
        while rounds < mostRounds, !isOver(), setUp.firstFinding == nil { try round(isOver) }
    }

    private func start() throws(HostError) {
        for worker in workers { workerThreads.append(try HostThread { worker.run() }) }
        for number in 0..<setUp.configuration.walkers {
            let setUp = setUp
            walkerThreads.append(
                try HostThread {
                    var walker = StressWalker(setUp, number: number)
                    walker.run()
                })
        }
    }

    private func stop() {
        setUp.shouldStop.store(true, ordering: .releasing)
        try? pressure.lift()
        for thread in workerThreads + walkerThreads { thread.join() }
        workerThreads = []
        walkerThreads = []
    }

    // MARK: Rounds

    private func round(_ isOver: () -> Bool) throws(HostError) {
        let budget = beginPressure()
        let plannedPressure = try drawPressure()
        setUp.finished.store(0, ordering: .releasing)
        rounds += 1
        setUp.round.store(rounds, ordering: .releasing)
        var ticks = 0
        while setUp.finished.load(ordering: .acquiring) < workers.count, setUp.firstFinding == nil {
            HostKernel.sleep(nanoseconds: 300_000)
            ticks += 1
            try disturb(plannedPressure, ticks)
            if isOver() { break }
        }
        try pressure.lift()
        // Whoever is in the middle of an operation ends it first.
        if setUp.finished.load(ordering: .acquiring) < workers.count {
            setUp.shouldStop.store(true, ordering: .releasing)
            for thread in workerThreads { thread.join() }
            workerThreads = []
        }
        setUp.isUnderPressure.store(false, ordering: .releasing)
        setUp.hasFrameBudget.store(false, ordering: .releasing)
        if setUp.firstFinding == nil { try oracle.check(budget, part: rounds) }
        run.note(setUp, setUp.combination)
    }

    /// A frame budget for one round in four.
    private func beginPressure() -> StressOracle.Budget? {
        let draw = generator.next()
        guard setUp.configuration.faults != .off, draw % 4 == 0 else { return nil }
        setUp.hasFrameBudget.store(true, ordering: .releasing)
        run.counters.shortages.withLock { $0.frames += 1 }
        return oracle.setBudget(PageCount(Int((draw >> 8) % 64)))
    }

    private struct PlannedPressure {
        let kind: StressPressure.Kind
        let draw: UInt64
        let firstTick: Int
        let lastTick: Int
    }

    /// What is made scarce in two rounds of three. Mappings take long to use up, so that is done before the round
    /// begins.
    private func drawPressure() throws(HostError) -> PlannedPressure? {
        let (choice, draw) = (generator.next(), generator.next())
        guard setUp.configuration.faults.isHost, choice % 3 != 0 else { return nil }
        let kind = StressPressure.Kind.allCases[Int(choice >> 8 & 0xff) % StressPressure.Kind.allCases.count]
        setUp.isUnderPressure.store(true, ordering: .releasing)
        let first = Int(draw >> 16 & 0x1f)
        if kind == .mappings || kind == .fileSystem {
            let planned = PlannedPressure(kind: kind, draw: draw, firstTick: .max, lastTick: first + 8)
            try apply(planned)
            return planned
        }
        return PlannedPressure(kind: kind, draw: draw, firstTick: first, lastTick: first + 1 + Int(draw >> 24 & 0xf))
    }

    private func apply(_ planned: PlannedPressure) throws(HostError) {
        try pressure.apply(planned.kind, fileSystem, draw: planned.draw)
        if pressure.isApplied { run.counters.shortages.withLock { $0.note(planned.kind) } }
    }

    /// What happens beside the workers at a moment of a round.
    private func disturb(_ planned: PlannedPressure?, _ tick: Int) throws(HostError) {
        if let planned {
            if tick == planned.firstTick { try apply(planned) }
            if tick == planned.lastTick { try pressure.lift() }
        }
        if setUp.configuration.faults != .off { interrupt() }
        // What follows takes memory and descriptors itself.
        if pressure.isApplied { return }
        if setUp.configuration.faults != .off { try fork() }
        run.reportIfDue(setUp, setUp.combination)
    }

    private func interrupt() {
        let draw = Int(truncatingIfNeeded: generator.next() & 0xffff)
        for threads in [workerThreads, walkerThreads] where !threads.isEmpty {
            threads[draw % threads.count].interrupt()
            run.counters.interruptions.count()
        }
    }

    // MARK: Children

    /// A child gets none of the memory, and so can neither write to it nor keep frames of it.
    private func fork() throws(HostError) {
        let now = HostKernel.monotonicNanoseconds()
        guard now >= nextFork else { return }
        nextFork = now + 400_000_000
        let region = setUp.region
        let number = HugePageIndex(Int(generator.next() % UInt64(region.plan.hugePages.rawValue)))
        let start = region.layout.vmemmap(of: number).start
        let pageSize = region.plan.geometry.basePageSize
        // The index of struct page 0, 64 (page 1) and 128 (page 2): nobody reads them but those who look at whole
        // pages.
        let targets = (0..<3).map { start + pageSize * $0 + ByteCount(32) }
        let probe = try ForkProbe(storingTo: targets + [setUp.machine.range.start + ByteCount(32)])
        var left = MappingCount(0)
        for range in [region.range, setUp.machine.range].map(HostKernel.withGuardPages) {
            left += try ProcMaps.count(of: .other(probe.processID), overlapping: range)
        }
        run.counters.forks.count()
        run.counters.looked(at: .childGetsNothing)
        if probe.storesMade == 0, left == .zero { return }
        setUp.report(
            StressFinding(
                .childGetsNothing,
                "\(probe.storesMade) stores made, \(left.rawValue) mappings left in the child",
                StressFinding.Place(region: region, page: number)))
    }

    // MARK: The end

    /// Everything back to where it was before the first operation. Where the host, short of something, refuses a part
    /// of that, what would be seen at the end is not looked at.
    private func takeDown() throws(HostError) {
        var isWhole = giveBackHeld()
        for size in setUp.machine.sizes where setUp.machine.region(size) != nil { isWhole = empty(size) && isWhole }
        setUp.machine.flush()
        do throws(VmemmapError) {
            try setUp.region.restore(setUp.region.layout.allHugePages, writers: .excluded)
            run.counters.looked(at: .everythingCanBeRestored)
        } catch {
            if setUp.isHostShortage(error) {
                setUp.noteHindrance("the check at the end", error)
                isWhole = false
            } else {
                setUp.report(StressFinding(.everythingCanBeRestored, "\(error)"))
            }
        }
        if isWhole {
            try oracle.check(nil, part: nil)
            run.counters.looked(at: .everythingIsBack)
            for size in setUp.machine.sizes where setUp.machine.hugePages(size).total > .zero {
                setUp.report(
                    StressFinding(.everythingIsBack, "\(size.bytes.rawValue): \(setUp.machine.hugePages(size))"))
            }
        }
        run.note(setUp, setUp.combination)
    }

    /// Frees what workers hold. False if the host refuses.
    private func giveBackHeld() -> Bool {
        var isWhole = true
        for worker in workers {
            worker.state.withLock { state in
                for page in state.held {
                    worker.checkHeld(page)
                    run.counters.looked(at: .heldCanBeFreed)
                    do throws(HugeTLBError) {
                        try setUp.machine.free(page)
                    } catch {
                        isWhole = judge(error, .heldCanBeFreed, "\(page)") && isWhole
                    }
                }
                for (size, count) in state.reserved { setUp.machine.unreserve(size, HugePageCount(count)) }
                state.held = []
                state.reserved = [:]
            }
        }
        return isWhole
    }

    /// Shrinks a pool to nothing. False if the host refuses.
    private func empty(_ size: HugePageSize) -> Bool {
        try? setUp.machine.setOvercommit(size, .zero)
        run.counters.looked(at: .poolShrinksToNothing)
        do throws(HugeTLBError) {
            // Restores that were refused are tried again once their pages are the pool's own.
            try setUp.machine.setPool(size, to: setUp.machine.pool(size).total)
            let change = try setUp.machine.setPool(size, to: .zero)
            if let refusal = change.refusal {
                return judge(refusal, .poolShrinksToNothing, "\(size.bytes.rawValue): \(change)")
            }
            if change.got != .zero {
                setUp.report(StressFinding(.poolShrinksToNothing, "\(size.bytes.rawValue): \(change)"))
            }
            return true
        } catch {
            return judge(error, .poolShrinksToNothing, "\(size.bytes.rawValue): \(error)")
        }
    }

    /// False for a refusal by a host that is short of something; anything else violates `check`.
    private func judge(_ error: HugeTLBError, _ check: StressCheck, _ detail: String) -> Bool {
        if setUp.isHostShortage(error) {
            setUp.noteHindrance("the check at the end", error)
            return false
        }
        setUp.report(StressFinding(check, detail))
        return true
    }

    private func violation(_ finding: StressFinding) -> StressViolation {
        StressViolation(
            check: finding.check.id, statement: finding.check.statement, detail: finding.detail,
            seed: setUp.configuration.seed,
            scheme: setUp.combination.scheme, backing: setUp.combination.backing, setUp: setUp.number, round: rounds,
            states: finding.states, mappings: finding.mappings,
            lastOperations: workers.flatMap { worker in
                worker.state.withLock { state in
                    state.recent.map { "worker \(worker.number) \($0.0): \($0.1)" }
                }
            })
    }
}
