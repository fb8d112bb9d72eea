import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("The pool when the host refuses")
struct MachineFaultTests {
    /// What is done to a machine while calls fail.
    enum Step: String, CaseIterable, Sendable {
        case grow, shrink, dissolve, surplus, reserve, growGigantic, shrinkGigantic, demote

        /// Does it, and returns what stood in the way.
        func run(_ machine: EmulatedMachine) -> HugeTLBError? {
            do throws(HugeTLBError) {
                switch self {
                case .grow: return try machine.setPool(.twoMebibytes, to: HugePageCount(3)).refusal
                case .shrink: return try machine.setPool(.twoMebibytes, to: .zero).refusal
                case .dissolve:
                    let frames = machine.region(.twoMebibytes)?.layout.frames
                    let first = frames?.first { machine.hugePage(of: $0) != nil }
                    if let first { try machine.dissolve(first) }
                case .surplus:
                    try machine.setOvercommit(.twoMebibytes, HugePageCount(10))
                    let pages = (0..<3).compactMap { _ in try? machine.allocate(.twoMebibytes) }
                    for page in pages { try machine.free(page) }
                case .reserve:
                    try machine.setOvercommit(.twoMebibytes, HugePageCount(2))
                    try machine.reserve(.twoMebibytes, HugePageCount(3))
                    machine.unreserve(.twoMebibytes, HugePageCount(3))
                case .growGigantic: return try machine.setPool(.oneGibibyte, to: HugePageCount(1)).refusal
                case .shrinkGigantic: return try machine.setPool(.oneGibibyte, to: .zero).refusal
                case .demote: try machine.demote(PageFrameNumber(0))
                }
                return nil
            } catch {
                return error
            }
        }

        /// What has to be there before.
        func prepare(_ machine: EmulatedMachine) throws {
            switch self {
            case .shrink, .dissolve: try machine.setPool(.twoMebibytes, to: HugePageCount(3))
            case .surplus, .reserve: try machine.setPool(.twoMebibytes, to: HugePageCount(1))
            case .shrinkGigantic, .demote: try machine.setPool(.oneGibibyte, to: HugePageCount(1))
            case .grow, .growGigantic: break
            }
        }

        private var isGigantic: Bool { self == .growGigantic || self == .shrinkGigantic || self == .demote }

        /// Calls that are failed, one after the other.
        var calls: [Int] {
            isGigantic ? [1, 2, 4, 9, 40] : FaultCase.isFull ? Array(1...24) : [1, 2, 3, 4, 6, 9, 13, 19]
        }

        /// The same, of one kind: gigantic pages make few of each, or, demoted, thousands.
        var callsOfAKind: [Int] { isGigantic ? (self == .demote ? [1] : [1, 2]) : calls }

        /// As little memory as will do: a gigantic page takes milliseconds to make.
        var memory: ByteCount { isGigantic ? .gibibytes(1) : .mebibytes(64) }

        /// What the pools have after it, if one call at most was refused on the way.
        func expectCounts(_ machine: EmulatedMachine, _ refusal: HugeTLBError?, _ comment: String) {
            let small = machine.hugePages(.twoMebibytes)
            let gigantic = machine.hugePages(.oneGibibyte)
            // [total, surplus]; all of it is free again.
            let found = [small.total, small.surplus, gigantic.total, gigantic.surplus].map(\.rawValue)
            let expected: [[Int]] =
                switch (self, refusal != nil) {
                case (.grow, false): [[3, 0, 0, 0]]
                case (.shrink, false): [[0, 0, 0, 0]]
                // One page was given back before it, two, or none.
                case (.shrink, true): [[3, 3, 0, 0], [2, 2, 0, 0], [1, 1, 0, 0]]
                case (.dissolve, let isRefused): [[isRefused ? 3 : 2, 0, 0, 0]]
                // That a page could not be given back, the one who freed it need not know.
                case (.surplus, false), (.reserve, false):
                    machine.configuration.restoreFailure == .wait
                        ? [[1, 0, 0, 0]] : [[1, 0, 0, 0], [2, 1, 0, 0], [3, 2, 0, 0]]
                case (.growGigantic, false): [[0, 0, 1, 0]]
                case (.shrinkGigantic, let isRefused): [isRefused ? [0, 0, 1, 1] : [0, 0, 0, 0]]
                case (.demote, let isRefused): [isRefused ? [0, 0, 1, 0] : [512, 0, 0, 0]]
                default: []
                }
            #expect(expected.contains(found), "\(comment): \(String(describing: refusal))")
            #expect(
                small.free == small.total && gigantic.free == gigantic.total && small.reserved == .zero, "\(comment)")
        }
    }

    @Test(
        "The n-th call fails, once or from then on: counts add up, contents are right, and nothing is lost",
        arguments: Backing.allCases, Step.allCases)
    func sweep(_ backing: Backing, _ step: Step) throws {
        let machine = try EmulatedMachine(
            MachineConfiguration(
                memory: step.memory, scheme: .firstTail, backing: backing,
                tailFrames: .frames(PageCount(step.memory < .gibibytes(1) ? 5 : 512)), optimizesAtBoot: true))
        let frames = step.memory.rawValue / HostLimits.pageSize.rawValue
        machine.setFrameBudget(PageCount(1 << 20))
        let all = machine.framesOfBudgetAndVmemmap
        for number in step.calls {
            // Single failures are closer looked at below.
            for failures in FaultCase.isFull ? [1, 1000] : [1000] {
                try step.prepare(machine)
                let comment = "call \(number), \(failures) failures"
                let (_, outcome) = InjectedFault(first: number, failures: failures).during { step.run(machine) }
                let used = MachineSizes.x86.hugePages.reduce(0) {
                    $0 + machine.hugePages($1).total.rawValue * ($1.bytes.rawValue >> 12)
                }
                let memmap = machine.memmap()
                #expect(memmap.freePages + memmap.setAsidePages == frames - used, "\(comment)")
                if failures == 1 { #expect(memmap.setAsidePages == 0, "\(comment)") }
                if memmap.setAsidePages == 0 { try machine.expectHeads() }
                // Asked again with nothing in the way, everything goes back.
                for size in MachineSizes.x86.hugePages where machine.region(size) != nil {
                    let change = try machine.empty(size)
                    #expect(change.refusal == nil && machine.hugePages(size).total == .zero, "\(comment)")
                }
                try machine.expectWhole()
                #expect(machine.framesOfBudgetAndVmemmap == all, "\(comment)")
                if outcome.failed == 0 { return }
            }
        }
    }

    /// One step, in one manner, on one backing.
    struct Scene: Sendable, CustomTestStringConvertible {
        let backing: Backing
        let manner: MachineConfiguration.RestoreFailure
        let step: Step

        var testDescription: String { "\(step), \(backing), \(manner)" }

        static let all = Backing.allCases.flatMap { backing in
            MachineConfiguration.RestoreFailure.allCases.flatMap { manner in
                Step.allCases.map { Scene(backing: backing, manner: manner, step: $0) }
            }
        }

        func machine() throws -> EmulatedMachine {
            try EmulatedMachine(
                MachineConfiguration(
                    memory: step.memory, scheme: .firstTail, backing: backing,
                    tailFrames: .frames(PageCount(step.memory < .gibibytes(1) ? 5 : 512)), optimizesAtBoot: true,
                    restoreFailure: manner))
        }
    }

    @Test(
        "The n-th call of a kind fails once, with each error: v5 waits, upstream is done or has the page left over",
        arguments: Scene.all)
    func once(_ scene: Scene) throws {
        let machine = try scene.machine()
        let step = scene.step
        var failed = 0
        machine.setFrameBudget(PageCount(1 << 20))
        let all = machine.framesOfBudgetAndVmemmap
        kinds: for operation in HostOperation.allCases {
            for errno in operation.possibleErrors.prefix(FaultCase.isFull ? .max : 1) {
                for number in step.callsOfAKind {
                    try step.prepare(machine)
                    let fault = InjectedFault(first: number, errno: errno, operations: [operation])
                    let (refusal, outcome) = fault.during { step.run(machine) }
                    let comment = "call \(number) of \(operation), \(errno)"
                    failed += outcome.failed
                    if scene.manner == .wait { #expect(refusal == nil, "\(comment)") }
                    step.expectCounts(machine, refusal, comment)
                    #expect(machine.framesOfBudgetAndVmemmap == all, "\(comment)")
                    try machine.expectWhole()
                    for size in MachineSizes.x86.hugePages where machine.region(size) != nil {
                        #expect(try machine.empty(size).refusal == nil, "\(comment)")
                        #expect(machine.hugePages(size).total == .zero, "\(comment)")
                    }
                    #expect(machine.framesOfBudgetAndVmemmap == all, "\(comment)")
                    if outcome.calls == 0 { continue kinds }
                    if outcome.calls <= number { break }
                }
            }
        }
        try machine.expectWhole()
        #expect(machine.memmap().freePages == step.memory.rawValue / HostLimits.pageSize.rawValue)
        #expect(failed > 0)
    }

    @Test(
        "From a call on they all fail: v5's restore waits, and reports when it has waited long enough; nothing is lost",
        arguments: Backing.allCases, [Step.shrink, .dissolve, .shrinkGigantic, .demote])
    func inVain(_ backing: Backing, _ step: Step) throws {
        let machine = try Scene(backing: backing, manner: .wait, step: step).machine()
        try step.prepare(machine)
        let start = HostKernel.monotonicNanoseconds()
        let fault = InjectedFault(first: 1, failures: .max, operations: [.mapAnonymous, .write])
        let (refusal, outcome) = fault.during { step.run(machine) }
        #expect(HostKernel.monotonicNanoseconds() - start >= MachineConfiguration.longestWaitNanoseconds)
        #expect(outcome.failed > 1 && refusal?.errnoName == "ENOMEM")
        step.expectCounts(machine, refusal, "\(step)")
        try machine.expectWhole()
        for size in MachineSizes.x86.hugePages where machine.region(size) != nil {
            #expect(try machine.empty(size).refusal == nil)
            #expect(machine.hugePages(size).total == .zero)
        }
        try machine.expectWhole()
    }

    @Test(
        "Without address space for a restore the page stays the pool's, surplus and optimized, until there is some",
        arguments: MachineConfiguration.RestoreFailure.allCases)
    func noAddressSpace(_ manner: MachineConfiguration.RestoreFailure) async {
        await #expect(processExitsWith: .success) { [manner = manner.rawValue as String] in
            let manner = try #require(MachineConfiguration.RestoreFailure(rawValue: manner))
            let machine = try EmulatedMachine(
                MachineConfiguration(
                    memory: .gibibytes(2), tailFrames: .frames(PageCount(16)), optimizesAtBoot: true,
                    restoreFailure: manner))
            try machine.setPool(.oneGibibyte, to: HugePageCount(2))
            // Staging is 16 MiB.
            let limit = try LoweredLimit.addressSpace(leaving: .mebibytes(8))
            let change = try machine.setPool(.oneGibibyte, to: .zero)
            let dissolved = Result { () throws(HugeTLBError) in try machine.dissolve(PageFrameNumber(0)) }
            let demoted = Result { () throws(HugeTLBError) in try machine.demote(PageFrameNumber(0)) }
            try limit.lift()
            #expect(change.refusal?.errnoName == "ENOMEM")
            #expect(throws: HugeTLBError.self) { try dissolved.get() }
            #expect(throws: HugeTLBError.self) { try demoted.get() }
            let info = machine.hugePages(.oneGibibyte)
            #expect(info.total == HugePageCount(2) && info.surplus == info.total && info.optimized == info.total)
            try machine.expectWhole()
            #expect(try machine.empty(.oneGibibyte).refusal == nil)
            #expect(machine.hugePages(.oneGibibyte).total == .zero)
            try machine.expectWhole()
        }
    }

    @Test("v5's restore waits until the host has address space again")
    func waitsForAddressSpace() async {
        await #expect(processExitsWith: .success) {
            let machine = try EmulatedMachine(
                MachineConfiguration(
                    memory: .gibibytes(1), tailFrames: .frames(PageCount(16)), optimizesAtBoot: true,
                    restoreFailure: .wait))
            try machine.setPool(.oneGibibyte, to: HugePageCount(1))
            let isRaised = SharedFlag()
            let lowered = Guarded<LoweredLimit?>(nil)
            let thread = try HostThread {
                var limit: LoweredLimit?
                while limit == nil {
                    HostKernel.sleep(nanoseconds: 50_000_000)
                    limit = lowered.withLock { $0 }
                }
                isRaised.set()
                try? limit?.lift()
            }
            let limit = try LoweredLimit.addressSpace(leaving: .mebibytes(8))
            lowered.withLock { $0 = limit }
            let change = try machine.setPool(.oneGibibyte, to: .zero)
            let wasRaised = isRaised.isSet
            thread.join()
            #expect(change.refusal == nil && change.got == .zero && wasRaised)
            try machine.expectWhole()
        }
    }

    @Test(
        "Without mappings for a restore the page stays the pool's, surplus and optimized, until there are some",
        .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"),
        arguments: MachineConfiguration.RestoreFailure.allCases)
    func noMappings(_ manner: MachineConfiguration.RestoreFailure) async {
        await #expect(processExitsWith: .success) { [manner = manner.rawValue as String] in
            let manner = try #require(MachineConfiguration.RestoreFailure(rawValue: manner))
            let machine = try EmulatedMachine(
                MachineConfiguration(memory: .mebibytes(512), optimizesAtBoot: true, restoreFailure: manner))
            try machine.setPool(.twoMebibytes, to: HugePageCount(4))
            // The reserve that makes a restore at the limit possible is used up, and so is the rest.
            _ = MappingReserve.process.letGo()
            let ballast = try MappingBallast(leaving: .zero)
            let change = try machine.setPool(.twoMebibytes, to: .zero)
            try ballast.remove()
            #expect(change.refusal?.errnoName == "ENOMEM", "\(change)")
            let info = machine.hugePages(.twoMebibytes)
            #expect(info.total == HugePageCount(4) && info.surplus == info.total && info.optimized == info.total)
            try machine.expectWhole()
            #expect(try machine.empty(.twoMebibytes).refusal == nil)
            try machine.expectWhole()
        }
    }

    @Test(
        "Huge pages for which there are no mappings left are used as they are, and give nothing away",
        .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"))
    func mappingLimit() async {
        await #expect(processExitsWith: .success) {
            let machine = try EmulatedMachine(MachineConfiguration(memory: .gibibytes(1), optimizesAtBoot: true))
            try machine.setPool(.twoMebibytes, to: HugePageCount(5))
            let ballast = try MappingBallast(leaving: MappingCount(300))
            let change = try machine.setPool(.twoMebibytes, to: HugePageCount(100))
            try ballast.remove()
            let info = machine.hugePages(.twoMebibytes)
            #expect(change.refusal == nil && info.total == HugePageCount(100))
            #expect(info.optimized > HugePageCount(5) && info.optimized < HugePageCount(60))
            #expect(machine.memmap().optimizeFailures == 100 - info.optimized.rawValue)
            #expect(change.notOptimized.rawValue == machine.memmap().optimizeFailures)
            #expect(change.optimizeRefusal?.errnoName == "ENOMEM")
            try machine.expectWhole()
            try machine.setPool(.twoMebibytes, to: .zero)
            try machine.expectWhole()
        }
    }

    @Test(
        "A failure to optimize is counted under its cause",
        arguments: [(Errno.noMemory, 3), (.noSpace, 3), (.ioError, 0), (.inappropriateIOCTLForDevice, 0)])
    func causes(_ errno: Errno, _ memory: Int) throws {
        let machine = try EmulatedMachine(MachineConfiguration(memory: .mebibytes(64), optimizesAtBoot: true))
        let fault = InjectedFault(first: 1, failures: .max, errno: errno, operations: [.mapFile])
        _ = fault.during { try? machine.setPool(.twoMebibytes, to: HugePageCount(3)) }
        let info = machine.memmap()
        #expect(info.optimizeFailures == 3 && info.mappingLimitFailures == 0 && info.memoryFailures == memory)
    }

    @Test("A machine whose memory is to be mapped by PMDs and is not, does not boot", arguments: Backing.allCases)
    func notPMDMapped(_ backing: Backing) {
        // Linux before 6.7 does not tell what PMDs map.
        let fault = InjectedFault(
            first: 1, failures: .max, errno: .inappropriateIOCTLForDevice, operations: [.scanPageMap])
        func boot(_ memory: ByteCount) -> VmemmapError.Cause? {
            do throws(VmemmapError) {
                _ = try EmulatedMachine(MachineConfiguration(memory: memory, backing: backing, mapping: .pmd))
                return nil
            } catch {
                return error.cause
            }
        }
        let (refusal, _) = fault.during { boot(.mebibytes(256)) }
        guard case .host(let error) = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(error.code == .notSupported && error.operation == .scanPageMap)
        // 1 MiB of struct pages: less than a PMD maps.
        if HostProcess.mapsByPmds { #expect(boot(.mebibytes(64)) == .notPMDMappable(region: .mebibytes(1))) }
    }

    @Test(
        "Split page tables are what the host's page tables grow by, and the net saving is between 5 and 6 - 1/64 pages",
        .enabled(if: HostProcess.mapsByPmds, "no transparent huge pages, or Linux before 6.7"))
    func pageTables() async {
        await #expect(processExitsWith: .success) {
            // VmPTE is the whole process's: where its heap grows into a page table of its own meanwhile, once more.
            var disagreements: [String] = []
            for _ in 0..<3 {
                disagreements = try pageTableDisagreements()
                if disagreements.isEmpty { return }
            }
            Issue.record("\(disagreements)")
        }
    }
}

/// Grows a pool and shrinks it, and holds what the machine says of split page tables against VmPTE, step by step.
private func pageTableDisagreements() throws -> [String] {
    let machine = try EmulatedMachine(
        MachineConfiguration(memory: .gibibytes(2), backing: .memfd, mapping: .pmd, optimizesAtBoot: true))
    let region = try #require(machine.region(.twoMebibytes))
    func pageTables() throws -> Int {
        _ = region.all.reduce(0) {
            $0 + (region.compoundHead(of: region.layout.geometry.headFrame(of: $1)) == nil ? 1 : 0)
        }
        return try ProcessStatus.current().pageTables.rawValue / 4096
    }
    // The account of measuring are there from the first time on.
    _ = try pageTables()
    let before = try pageTables()
    var disagreements: [String] = []
    func expect(_ tables: Int, _ step: String) throws {
        #expect(machine.memmap().splitPageTables == tables)
        let grown = try pageTables() - before
        if grown != tables { disagreements.append("\(step): \(grown) page tables, \(tables) expected") }
    }
    for (pages, tables) in [(1, 1), (64, 1), (65, 2), (130, 3)] {
        try machine.setPool(.twoMebibytes, to: HugePageCount(pages))
        try expect(tables, "\(pages) huge pages")
        let net = 6 - Double(tables) / Double(pages)
        #expect(net >= 5 && net <= 6 - 1 / 64.0)
    }
    // A gigantic page takes eight, and gives them back when its PMDs are merged.
    for (pages, tables) in [(1, 11), (0, 3), (1, 11)] {
        try machine.setPool(.oneGibibyte, to: HugePageCount(pages))
        try expect(tables, "\(pages) gigantic pages")
    }
    return disagreements
}

extension EmulatedMachine {
    /// What is left of the frame budget, the frames behind the vmemmap, and the page tables of splits: what one of them
    /// gives, another takes, whatever is refused.
    fileprivate var framesOfBudgetAndVmemmap: Int {
        let memmap = memmap()
        let left = memmap.frameBudget?.rawValue ?? 0
        return left + (memmap.allocatorPages + memmap.bootPages).rawValue + memmap.splitPageTables
    }

    /// The cheap part of ``expectWhole(_:)``, which holds after a failure too: every head is right.
    func expectHeads(_ location: SourceLocation = #_sourceLocation) throws {
        let small = try #require(region(.twoMebibytes), sourceLocation: location)
        for frame in stride(from: small.layout.frames.lowerBound, to: small.layout.frames.upperBound, by: 512) {
            let page = hugePage(of: frame)
            let view = page.flatMap { region($0.size) } ?? small
            for offset in [0, 1, 64, 511] {
                let frame = frame.advanced(by: offset)
                let expected = view.layout.structPage(of: page?.head ?? frame)
                #expect(view.compoundHead(of: frame) == expected, "frame \(frame)", sourceLocation: location)
            }
        }
    }
}
