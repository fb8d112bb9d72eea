import HostLab
@testable import VmemmapTool
import Synchronization
import SystemPackage
import Testing
import VmemmapEmulator

@testable import HostMemory

@Suite("Stress", .serialized)
struct StressTests {
    /// A scheme, a backing, what fails.
    static let runs: [(Scheme, Backing, StressConfiguration.Faults)] = [
        (.firstTail, .anonymous, .all), (.head, .memfd, .injected), (.sharedTail, .anonymous, .host),
        (.firstTail, .memfd, .off),
    ]

    @Test("A short run passes, having read and remapped", arguments: 0..<4)
    func passes(_ number: Int) async {
        // Limits are lowered for the whole process.
        await #expect(processExitsWith: .success) { [number] in
            let (scheme, backing, faults) = Self.runs[number]
            let result = try StressExperiment(
                StressConfiguration(
                    pages: HugePageCount(64), schemes: [scheme], backings: [backing],
                    durationNanoseconds: 1_500_000_000,
                    walkers: 2, seed: UInt64(HostKernel.monotonicNanoseconds()), faults: faults)
            ).run()
            #expect(result.holds, "\(StressReport.lines(result).joined(separator: "\n"))")
            #expect(result.total.headReads > 0 && result.total.cycles > 0 && result.total.checks > 0)
            if faults != .off { #expect(result.total.signals > 0) }
            if !faults.isHost {
                let shortages = result.total.shortages
                #expect(shortages == StressShortages(frames: shortages.frames))
            }
            // While the host is short of something nobody is forked, and that may last for all of so short a run.
            if faults == .injected { #expect(result.total.failedCalls > 0 && result.total.forks > 0) }
            // All the others are looked at in every check, however short the run and whatever was drawn.
            let conditional: Set<StressCheck> = [
                .heldFramesLeadToHead, .heldCanBeFreed, .operationIsWhole, .poolIsAsAsked, .keepsToFrameBudget,
                .childGetsNothing, .processDoesNotGrow,
            ]
            let mayBeMissed = Set(conditional.map(\.id))
            for check in result.checks where !mayBeMissed.contains(check.id) {
                #expect(check.outcome == .passed, "\(check)")
            }
            #expect(result.footprints.count == result.total.setUps)
        }
    }

    @Test("What is made scarce is counted by kind; a mapping limit that is not filled is left out, with the way out")
    func shortages() throws {
        var figures = StressFigures()
        for (index, kind) in StressPressure.Kind.allCases.enumerated() {
            for _ in 0...index { figures.shortages.note(kind) }
        }
        #expect(figures.shortages == StressShortages(addressSpace: 1, mappings: 2, openFiles: 3, fileSystem: 4))
        var later = figures
        later.shortages.note(.mappings)
        later.shortages.frames += 7
        #expect(later.since(figures).shortages == StressShortages(mappings: 1, frames: 7))
        #expect(StressPressure.leftOut(mappingLimit: MappingBallast.highestFilled) == nil)
        let text = try #require(StressPressure.leftOut(mappingLimit: MappingCount(Int(Int32.max))))
        #expect(text.hasPrefix("vm.max_map_count reached: it is 2147483647") && text.contains("sysctl -w"))
    }

    @Test("A run without end in sight begins, and is ended")
    func endless() async {
        await #expect(processExitsWith: .success) {
            let control = StressControl()
            let result = try StressExperiment(
                StressConfiguration(
                    pages: HugePageCount(8), schemes: Scheme.ofHugeTLB, backings: Backing.allCases,
                    durationNanoseconds: .max, cycles: .max, walkers: 1, workers: 1, reportEveryNanoseconds: 1)
            ).run(control: control) { _, _ in control.end() }
            #expect(result.holds && result.wasEnded)
        }
    }

    @Test("So many cycles end it, on every combination")
    func cycles() async {
        await #expect(processExitsWith: .success) {
            let lines = Mutex(0)
            let result = try StressExperiment(
                StressConfiguration(
                    pages: HugePageCount(32), schemes: Scheme.ofHugeTLB, backings: [.anonymous],
                    durationNanoseconds: 60_000_000_000, cycles: 90, walkers: 1, seed: 5,
                    reportEveryNanoseconds: 1)
            ).run { _, _ in lines.withLock { $0 += 1 } }
            #expect(result.holds)
            #expect(result.combinations.map(\.scheme) == Scheme.ofHugeTLB)
            #expect(result.total.cycles >= 90)
            #expect(result.combinations.reduce(0) { $0 + $1.figures.regionRemaps } == result.total.regionRemaps)
            #expect(lines.withLock { $0 } > 0)
        }
    }

    @Test("Whoever has the seed has the operations, and what becomes of them")
    func replay() throws {
        let first = try Self.log(seed: 42)
        #expect(try Self.log(seed: 42) == first)
        #expect(try Self.log(seed: 43) != first)
        let drawn = StressOperations(seed: 42, setUp: 0, worker: 0).prefix(96).suffix(StressWorker.recentCount)
        #expect(first.count == StressWorker.recentCount)
        for (line, operation) in zip(first, drawn) { #expect(line.hasPrefix("\(operation): ")) }
        let other = StressOperations(seed: 42, setUp: 0, worker: 1).prefix(96).suffix(StressWorker.recentCount)
        #expect(Array(other) != Array(drawn))
    }

    /// What one worker does last in its first round of 96, with what became of it.
    private static func log(seed: UInt64) throws -> [String] {
        let setUp = try built(seed: seed)
        let worker = StressWorker(setUp, number: 0)
        let thread = try HostThread { worker.run() }
        setUp.round.store(1, ordering: .releasing)
        while setUp.finished.load(ordering: .acquiring) == 0 { HostKernel.sleep(nanoseconds: 100_000) }
        setUp.shouldStop.store(true, ordering: .releasing)
        thread.join()
        #expect(setUp.firstFinding == nil)
        return worker.state.withLock { state in state.recent.map { "\($0.0): \($0.1)" } }
    }

    private static func built(seed: UInt64) throws -> StressSetUp {
        let configuration = StressConfiguration(pages: HugePageCount(32), workers: 1, seed: seed)
        let machine = try EmulatedMachine(
            MachineConfiguration(memory: .mebibytes(64), optimizesAtBoot: true))
        let geometry = try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: .twoMebibytes))
        let region = try VmemmapRegion(
            try MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: configuration.pages))
        return StressSetUp(
            configuration, StressCombination(scheme: .firstTail, backing: .anonymous), number: 0, StressCounters(),
            machine,
            region)
    }

    @Test(
        "A refusal by a host that is short of something is counted, and no violation; any other is one",
        arguments: [
            (.noMemory, true), (.resourceTemporarilyUnavailable, true), (.noSpace, true), (.tooManyOpenFiles, true),
            (.invalidArgument, false), (.badAddress, false), (.permissionDenied, false), (.badFileDescriptor, false),
        ] as [(Errno, Bool)])
    func hostShort(_ errno: Errno, _ isShort: Bool) throws {
        let setUp = try Self.built(seed: 1)
        let worker = StressWorker(setUp, number: 0)
        let operation = try #require(StressOperations(seed: 1, setUp: 0, worker: 0).first { _ in true })
        let error = VmemmapError(.optimize, .host(HostError(errno, .mapFile, .process)))
        worker.judge(.region(error), wasFaulted: false, operation)
        worker.judge(.pool(HugeTLBError(.vmemmap(error))), wasFaulted: false, operation)
        #expect((setUp.firstFinding == nil) == isShort)
        #expect(StressCounters.read(setUp.counters.refusedOperations) == 2)
        #expect(StressCounters.read(setUp.counters.hostRefusals) == (isShort ? 2 : 0))
    }

    @Test("The mapping limit is in the way only if it is lower than it was")
    func mappingLimit() throws {
        let setUp = try Self.built(seed: 1)
        func refusal(_ limit: MappingCount) -> VmemmapError {
            VmemmapError(.optimize, .mappingLimit(asked: 8, inUse: 60, limit: limit, largest: 0))
        }
        #expect(!setUp.isHostShortage(refusal(setUp.mappingLimit)))
        #expect(setUp.isHostShortage(refusal(MappingCount(setUp.mappingLimit.rawValue - 1))))
    }

    @Test(
        "A check that the host refuses the means for is not made, and says so; it is made once the host has them",
        arguments: [Errno.noMemory, .resourceTemporarilyUnavailable])
    func checkRefused(_ errno: Errno) throws {
        let setUp = try Self.built(seed: 1)
        let all = setUp.region.layout.allHugePages
        let calls: Set<HostOperation> = [.mapFile, .mapAnonymous, .move, .unmap, .protect, .advise]
        // Half-way, and refused when it is put back.
        var first = 20
        while !setUp.region.hugePageStates.contains(where: \.isTorn), first < 60 {
            let fault = InjectedFault(first: first, failures: 1000, errno: errno, operations: calls)
            _ = fault.during { try? setUp.region.optimize(all, writers: .excluded) }
            first += 1
        }
        let isTorn = setUp.region.hugePageStates.contains { $0.isTorn }
        try #require(isTorn)
        let oracle = StressOracle(setUp: setUp, workers: [], openFiles: try OpenFiles.count())
        let fault = InjectedFault(first: 1, failures: 1000, errno: errno, operations: calls)
        _ = fault.during { try? oracle.check(nil, part: nil) }
        #expect(setUp.firstFinding == nil, "\(String(describing: setUp.firstFinding))")
        #expect(setUp.firstHindrance?.contains("a check of all figures: the host refused: ") == true)
        #expect(StressCounters.read(setUp.counters.checks) == 0)
        #expect(StressCounters.read(setUp.counters.hostRefusals) == 1)
        try oracle.check(nil, part: nil)
        #expect(setUp.firstFinding == nil, "\(String(describing: setUp.firstFinding))")
        #expect(StressCounters.read(setUp.counters.checks) == 1)
    }

    @Test("A wrong word is found by a walker, and dumped with states and mappings")
    func dump() throws {
        let setUp = try Self.built(seed: 1)
        let frame = PageFrameNumber(3 * 512 + 100)
        let address = setUp.region.layout.structPage(of: frame) + StructPage.compoundHeadOffset
        // SAFETY: the word lies in a page of the region that is mapped read-write, and nobody else writes.
        #expect(unsafe MemoryAccess.tryStore(0xbad1, at: address) == .done)
        var walker = StressWalker(setUp, number: 0)
        walker.run()
        let finding = try #require(setUp.firstFinding)
        #expect(finding.detail.contains("0xbad1"))
        #expect(finding.states.count == 5 && finding.states[2].hasPrefix("huge page 3 at "))
        #expect(finding.mappings.contains { $0.contains(" rw-p ") })
        #expect(setUp.counters.wrongReads.load(ordering: .relaxed) > 0)
    }

    @Test("A frame that is not given back, a lost descriptor, and a miscounted page are found", arguments: 0..<3)
    func oracle(_ mistake: Int) async {
        await #expect(processExitsWith: .success) { [mistake] in
            let setUp = try Self.built(seed: 1)
            let worker = StressWorker(setUp, number: 0)
            let oracle = StressOracle(setUp: setUp, workers: [worker], openFiles: try OpenFiles.count())
            try oracle.check(nil, part: nil)
            #expect(setUp.firstFinding == nil, "\(String(describing: setUp.firstFinding))")
            switch mistake {
            case 0:
                let source = setUp.region.layout.vmemmap(of: HugePageIndex(0))
                try setUp.region.memoryFile.gather(
                    StridedPieces(first: source.start, stride: .zero, length: HostLimits.pageSize, count: 1), at: .zero)
            case 1: _ = try HostKernel.open("/dev/null", .readOnly)
            default:
                _ = try setUp.machine.setPool(.twoMebibytes, to: HugePageCount(1))
                _ = try setUp.machine.allocate(.twoMebibytes)
            }
            try oracle.check(nil, part: nil)
            let checks = [StressCheck.fileHoldsWhatIsShown, .noDescriptorIsLost, .poolCountsAddUp]
            #expect(setUp.firstFinding?.check == checks[mistake])
        }
    }
}
