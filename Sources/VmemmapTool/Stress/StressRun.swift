import HostLab
import HostMemory
import Synchronization
import VmemmapEmulator

/// A run under way: its clock, its figures, its combinations one after the other. The coordinator's alone.
final class StressRun {
    let configuration: StressConfiguration
    let counters = StressCounters()
    private let control: StressControl
    private let progress: StressProgressSink
    private let heartbeat: @Sendable (Progress) -> Void
    private let start = HostKernel.monotonicNanoseconds()
    private var lastReport: StressFigures?
    private var lastBeat = 0
    private static let beatNanoseconds = 200_000_000
    private var setUps = 0
    private var finished: [StressCombinationResult] = []
    private var footprints: [StressFootprint] = []
    private var leftOut: [String] = []
    private var history = StressHistory()
    private var host: HostBlock?
    /// What there was when the combination began that is run now.
    private var atItsStart = StressFigures()
    /// What set-ups before this one have done: huge pages optimized and restored, in all and by the region.
    private var before = Changes()
    private var current = Changes()

    private struct Changes {
        var optimized = 0
        var restored = 0
        var ofRegion = 0
    }

    init(
        _ configuration: StressConfiguration, _ control: StressControl,
        _ progress: @escaping StressProgressSink, _ heartbeat: @escaping @Sendable (Progress) -> Void
    ) {
        self.configuration = configuration
        self.control = control
        self.progress = progress
        self.heartbeat = heartbeat
    }

    func run() throws(ExperimentError) -> StressResult {
        let host = try HostBlock.current()
        self.host = host
        do throws(HostError) {
            try HostKernel.enableInterruptions()
            if configuration.faults.isHost,
                let text = StressPressure.leftOut(mappingLimit: try HostLimits.mappingLimit())
            {
                leftOut.append(text)
            }
        } catch {
            throw .host(error)
        }
        let combinations = configuration.combinations
        var violation: StressViolation?
        for (number, combination) in combinations.enumerated() where violation == nil && !control.shouldEnd {
            atItsStart = figures()
            violation = try run(combination, share: number + 1, of: combinations.count)
            finished.append(
                StressCombinationResult(
                    scheme: combination.scheme, backing: combination.backing, figures: figures().since(atItsStart)))
        }
        history.end(figures())
        return result(host, finished, violation: violation, isComplete: true)
    }

    private func result(
        _ host: HostBlock, _ combinations: [StressCombinationResult], violation: StressViolation? = nil,
        isComplete: Bool
    ) -> StressResult {
        StressResult(
            host: host, of: configuration, combinations: combinations, total: figures(), leftOut: leftOut,
            footprints: footprints, history: history.moments, checks: checks(violation),
            wasEnded: control.shouldEnd, isComplete: isComplete, violation: violation)
    }

    /// What there is while a combination is run, as if all were well: a violation ends the run.
    private func soFar(_ host: HostBlock, _ combination: StressCombination) -> StressResult {
        let current = StressCombinationResult(
            scheme: combination.scheme, backing: combination.backing, figures: figures().since(atItsStart))
        return result(host, finished + [current], isComplete: false)
    }

    /// A combination, set-up by set-up, until its share of the run is over.
    private func run(
        _ combination: StressCombination, share: Int, of shares: Int
    ) throws(ExperimentError) -> StressViolation? {
        let (sum, isNever) = start.addingReportingOverflow(configuration.durationNanoseconds / shares * share)
        let end = isNever ? .max : sum
        let lastCycle = configuration.cycles.map { $0 / shares * share + $0 % shares * share / shares }
        func isOver() -> Bool {
            if control.shouldEnd || HostKernel.monotonicNanoseconds() >= end { return true }
            return lastCycle.map { before.restored + current.restored >= $0 } ?? false
        }
        repeat {
            let violation = try runStretch(combination, isOver)
            before.optimized += current.optimized
            before.restored += current.restored
            before.ofRegion += current.ofRegion
            current = Changes()
            if let violation { return violation }
            if let growth = try takeFootprint(combination) { return growth }
            if footprints.count > 3 { counters.looked(at: .processDoesNotGrow) }
        } while !isOver()
        return nil
    }

    private func runStretch(
        _ combination: StressCombination, _ isOver: () -> Bool
    ) throws(ExperimentError) -> StressViolation? {
        let stretch = try StressStretch(self, combination, number: setUps)
        setUps += 1
        return try stretch.execute(until: isOver)
    }

    // MARK: Room

    /// Throws where there is no room to begin with: before a thread is started that would not have any either.
    func checkRoom() throws(ExperimentError) {
        for combination in configuration.combinations.prefix(1) {
            _ = try plan(combination, tailFrames: .frames(PageCount(1)))
        }
    }

    /// The plan of the region. There is to be room for the machine too, which is as large.
    func plan(_ combination: StressCombination, tailFrames: TailFrames) throws(ExperimentError) -> MappingPlan {
        let memory = EmulatedMemory(
            pages: configuration.pages, pageSize: configuration.pageSize, basePageSize: configuration.basePageSize,
            scheme: combination.scheme, backing: combination.backing, tailFrames: tailFrames)
        return try memory.plan(on: HostRoom.current().half)
    }

    /// A file system that is just large enough for the region's memory file; nil where there can be none.
    func fileSystem(for plan: MappingPlan) -> SmallFileSystem? {
        guard configuration.faults.isHost else { return nil }
        let most = max(plan.fileFrames(optimized: plan.hugePages), plan.fileFrames(optimized: .zero))
        do throws(HostError) {
            return try SmallFileSystem(
                size: (most + PageCount(64)).bytes(pageSize: plan.geometry.basePageSize))
        } catch {
            leaveOut("ENOSPC of a size-limited tmpfs: \(error)")
            return nil
        }
    }

    /// Notes what could not be done, once.
    func leaveOut(_ text: String) {
        if !leftOut.contains(text) { leftOut.append(text) }
    }

    // MARK: Figures

    /// Takes over what a set-up's machine and region have done so far.
    func note(_ setUp: StressSetUp, _ combination: StressCombination) {
        let changes = setUp.changes
        let own = setUp.region.changes
        current = Changes(
            optimized: changes.optimized, restored: changes.restored, ofRegion: own.optimized + own.restored)
    }

    private func checks(_ violation: StressViolation?) -> [Check] {
        let times = counters.times
        return StressCheck.allCases.map { check in
            check.result(times: times[check] ?? 0, isViolated: violation?.check == check.id)
        }
    }

    func figures() -> StressFigures {
        var figures = StressFigures()
        let restored = before.restored + current.restored
        figures.elapsedNanoseconds = HostKernel.monotonicNanoseconds() - start
        figures.cycles = restored
        figures.remaps = restored + before.optimized + current.optimized
        figures.regionRemaps = before.ofRegion + current.ofRegion
        figures.regionRemapNanoseconds = StressCounters.read(counters.remapNanoseconds)
        figures.takeMeans()
        figures.operations = StressCounters.read(counters.operations)
        figures.headReads = StressCounters.read(counters.reads)
        figures.pageReads = StressCounters.read(counters.pageReads)
        figures.crossedReads = StressCounters.read(counters.crossedReads)
        figures.wrongReads = StressCounters.read(counters.wrongReads)
        figures.failedCalls = StressCounters.read(counters.failedCalls)
        figures.faultedOperations = StressCounters.read(counters.faultedOperations)
        figures.refusedOperations = StressCounters.read(counters.refusedOperations)
        figures.hostRefusals = StressCounters.read(counters.hostRefusals)
        figures.mendedPages = StressCounters.read(counters.mendedPages)
        figures.shortages = counters.shortages.withLock { $0 }
        figures.signals = StressCounters.read(counters.interruptions)
        figures.forks = StressCounters.read(counters.forks)
        figures.checks = StressCounters.read(counters.checks)
        figures.setUps = setUps
        return figures
    }

    func reportIfDue(_ setUp: StressSetUp, _ combination: StressCombination) {
        let last = lastReport ?? StressFigures()
        let elapsed = HostKernel.monotonicNanoseconds() - start
        guard elapsed - lastBeat >= min(Self.beatNanoseconds, configuration.reportEveryNanoseconds) else { return }
        lastBeat = elapsed
        note(setUp, combination)
        beat(elapsed)
        if history.isDue(elapsed) { history.note(figures()) }
        guard elapsed - last.elapsedNanoseconds >= configuration.reportEveryNanoseconds else { return }
        guard let host else { return }
        let now = figures()
        progress(
            StressProgress(
                seed: configuration.seed, scheme: combination.scheme, backing: combination.backing,
                sinceLast: now.since(last), total: now),
            { self.soFar(host, combination) })
        lastReport = now
    }

    private func beat(_ elapsed: Int) {
        let cycles = before.restored + current.restored
        if let all = configuration.cycles {
            heartbeat(.count("stress", min(cycles, all), of: all, unit: "cycles"))
        } else {
            let rate = "\(Int(Double(cycles) * 1e9 / Double(max(1, elapsed)))) cycles/s"
            heartbeat(.time("stress", nanoseconds: elapsed, of: configuration.durationNanoseconds, rate: rate))
        }
    }

    // MARK: Growth

    /// What may be added to the resident memory from the third set-up to any later one: stacks and heaps that glibc
    /// keeps.
    private static let mostGrowth = ByteCount.mebibytes(4)

    /// Looks at the process between set-ups. Returns a violation if it grows.
    private func takeFootprint(_ combination: StressCombination) throws(ExperimentError) -> StressViolation? {
        let now = try ExperimentError.wrapping {
            try MappingReserve.process.fill()
            return StressFootprint(
                rssBytes: Measured((try? SmapsRollup.current())?.rss), mappings: try ProcMaps.count(),
                openFiles: try OpenFiles.count())
        }
        footprints.append(now)
        guard footprints.count > 3 else { return nil }
        let then = footprints[2]
        let grown = (now.rssBytes.value ?? .zero) - (then.rssBytes.value ?? .zero)
        let isGrowing =
            grown > Self.mostGrowth || now.openFiles != then.openFiles
            || now.mappings - then.mappings > MappingAccount.mostGrowth
        guard isGrowing else { return nil }
        return StressViolation(
            check: StressCheck.processDoesNotGrow.id, statement: StressCheck.processDoesNotGrow.statement,
            detail: "after set-up 3: \(then); now: \(now)", seed: configuration.seed,
            scheme: combination.scheme, backing: combination.backing, setUp: setUps, round: 0, states: [], mappings: [],
            lastOperations: [])
    }
}
