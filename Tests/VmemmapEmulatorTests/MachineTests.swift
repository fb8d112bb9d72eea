import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("The HugeTLB pool on real memory")
struct MachineTests {
    /// Every scheme on every backing: two zones, and room for gigantic pages in each.
    static let machines: [MachineConfiguration] = Backing.allCases.flatMap { backing in
        Scheme.ofHugeTLB.map { scheme in
            MachineConfiguration(
                memory: .gibibytes(3), scheme: scheme, backing: backing,
                tailFrames: .frames(PageCount(scheme == .head ? 1 : 5)), optimizesAtBoot: true)
        }
    }

    private static func boot(_ change: (inout MachineConfiguration) -> Void = { _ in }) throws -> EmulatedMachine {
        var configuration = MachineConfiguration(memory: .gibibytes(1), optimizesAtBoot: true)
        change(&configuration)
        return try EmulatedMachine(configuration)
    }

    @Test("Off unless asked for; the sysctl is for huge pages that come later", arguments: machines)
    func sysctl(_ configuration: MachineConfiguration) throws {
        var configuration = configuration
        configuration.optimizesAtBoot = false
        let machine = try EmulatedMachine(configuration)
        try machine.setPool(.twoMebibytes, to: HugePageCount(10))
        #expect(machine.hugePages(.twoMebibytes).optimized == .zero)
        machine.setOptimizing(true)
        try machine.setPool(.twoMebibytes, to: HugePageCount(15))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(5))
        machine.setOptimizing(false)
        try machine.setPool(.twoMebibytes, to: HugePageCount(18))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(5))
        try machine.expectWhole()
    }

    @Test("The pool grows and shrinks, and everything is as it was but where frames come from", arguments: machines)
    func growAndShrink(_ configuration: MachineConfiguration) throws {
        let machine = try EmulatedMachine(configuration)
        let before = machine.memmap()
        for size in MachineSizes.x86.hugePages {
            let count = HugePageCount(size == .oneGibibyte ? 2 : 70)
            let change = try machine.setPool(size, to: count)
            #expect(change.got == count && change.refusal == nil)
            let info = machine.hugePages(size)
            #expect(info.total == count && info.free == count && info.optimized == count && info.surplus == .zero)
            try machine.expectWhole()
        }
        for size in MachineSizes.x86.hugePages {
            #expect(try machine.setPool(size, to: .zero).got == .zero)
            try machine.expectWhole()
        }
        let after = machine.memmap()
        #expect(after.freePages == before.freePages)
        #expect(after.allocatorPages + after.bootPages == before.allocatorPages + before.bootPages)
        #expect(after.bootPages < before.bootPages)
    }

    @Test("A pool larger than memory takes what fits and says how many, and the rest works")
    func tooLarge() throws {
        let machine = try Self.boot()
        let page = try #require(try? { try machine.setPool(.twoMebibytes, to: HugePageCount(1)) }())
        #expect(page.got == HugePageCount(1))
        let change = try machine.setPool(.twoMebibytes, to: HugePageCount(10_000))
        #expect(change.got == HugePageCount(512))
        #expect(change.refusal?.cause == .noContiguousMemory(.twoMebibytes))
        let used = try machine.allocate(.twoMebibytes)
        try machine.free(used)
        try machine.expectWhole()
        // A gigantic page needs all of it in one piece.
        #expect(try machine.setPool(.oneGibibyte, to: HugePageCount(1)).got == .zero)
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(try machine.setPool(.oneGibibyte, to: HugePageCount(1)).got == HugePageCount(1))
        try machine.expectWhole()
    }

    @Test("Overcommit makes surplus pages at allocation; freed they go back")
    func surplus() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        let pages = try (0..<3).map { _ in try machine.allocate(.twoMebibytes) }
        #expect(machine.hugePages(.twoMebibytes).surplus == HugePageCount(1))
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) { _ = try machine.allocate(.twoMebibytes) }
        try machine.expectWhole()
        for page in pages { try machine.free(page) }
        let info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(2) && info.free == HugePageCount(2) && info.surplus == .zero)
        #expect(throws: HugeTLBError.self) { try machine.free(pages[0]) }
        try machine.expectWhole()
    }

    @Test("With the policy for pool pages only, surplus pages are left untouched")
    func poolOnly() throws {
        let machine = try Self.boot { $0.policy = .poolOnly }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(5))
        let pages = try (0..<3).map { _ in try machine.allocate(.twoMebibytes) }
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(1))
        for page in pages { try machine.free(page) }
        try machine.expectWhole()
    }

    @Test(
        "A huge page that is torn as it is freed is set aside, given to nobody, and mended later",
        arguments: Scheme.ofHugeTLB, Backing.allCases)
    func tornOnFree(_ scheme: Scheme, _ backing: Backing) throws {
        let machine = try Self.boot {
            $0.policy = .poolOnly
            $0.scheme = scheme
            $0.backing = backing
        }
        machine.setOptimizing(false)
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        let page = try machine.allocate(.twoMebibytes)
        machine.setOptimizing(true)
        let fault = InjectedFault(first: 2, failures: 1000, operations: [.mapFile, .mapAnonymous])
        let (isReserved, _) = fault.during { try? machine.free(page, restoresReservation: true) }
        // There is nothing that could be promised.
        #expect(isReserved == false && machine.hugePages(.twoMebibytes).reserved == .zero)
        #expect(machine.memmap().setAsidePages == 512)
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
        #expect(throws: HugeTLBError.self) { _ = try machine.allocate(.twoMebibytes) }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        #expect(machine.memmap().setAsidePages == 0)
        try machine.expectWhole()
    }

    @Test("A pool that shrinks under its users makes surplus of what is in use")
    func shrinkInUse() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(4))
        let pages = try (0..<3).map { _ in try machine.allocate(.twoMebibytes) }
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(1)).got == HugePageCount(1))
        var info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(3) && info.surplus == HugePageCount(2) && info.free == .zero)
        for page in pages { try machine.free(page) }
        info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(1) && info.surplus == .zero && info.free == HugePageCount(1))
        try machine.expectWhole()
    }

    @Test("What is reserved is neither taken by others nor given back")
    func reservations() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        try machine.reserve(.twoMebibytes, HugePageCount(2))
        #expect(throws: HugeTLBError.self) { try machine.reserve(.twoMebibytes, HugePageCount(2)) }
        let page = try machine.allocate(.twoMebibytes)
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) { _ = try machine.allocate(.twoMebibytes) }
        let own = try machine.allocate(.twoMebibytes, isReserved: true)
        try machine.setPool(.twoMebibytes, to: .zero)
        let info = machine.hugePages(.twoMebibytes)
        #expect(info.free == HugePageCount(1) && info.reserved == HugePageCount(1))
        machine.unreserve(.twoMebibytes, HugePageCount(1))
        try machine.free(page)
        try machine.free(own)
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
        try machine.expectWhole()
    }

    @Test("A reservation makes the surplus pages that it lacks, and takes them back: all that is promised or nothing")
    func reservationsBeyondThePool() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(3))
        func counts() -> [Int] {
            let info = machine.hugePages(.twoMebibytes)
            return [info.total, info.free, info.reserved, info.surplus].map(\.rawValue)
        }
        // Half-way nr_overcommit_hugepages is reached: what was gathered goes back.
        let free = machine.memmap().freePages
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) {
            try machine.reserve(.twoMebibytes, HugePageCount(6))
        }
        #expect(counts() == [2, 2, 0, 0] && machine.memmap().freePages == free)
        try machine.expectWhole()
        try machine.reserve(.twoMebibytes, HugePageCount(4))
        #expect(counts() == [4, 4, 4, 2])
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(4))
        try machine.expectWhole()
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) {
            try machine.reserve(.twoMebibytes, HugePageCount(2))
        }
        #expect(counts() == [4, 4, 4, 2])
        let pages = try (0..<2).map { _ in try machine.allocate(.twoMebibytes, isReserved: true) }
        #expect(counts() == [4, 2, 2, 2])
        // The pool may take surplus pages for its own, and give up its own for them; what is promised stays.
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        #expect(counts() == [4, 2, 2, 1])
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(counts() == [4, 2, 2, 4])
        machine.unreserve(.twoMebibytes, HugePageCount(1))
        #expect(counts() == [3, 1, 1, 3])
        // More than was promised is not taken back.
        machine.unreserve(.twoMebibytes, HugePageCount(100))
        #expect(counts() == [2, 0, 0, 2])
        for page in pages { try machine.free(page) }
        #expect(counts() == [0, 0, 0, 0])
        try machine.expectWhole()
    }

    @Test("A reservation that memory does not suffice for gives back what it gathered, optimized pages included")
    func reservationsBeyondMemory() throws {
        for size in MachineSizes.x86.hugePages {
            let machine = try Self.boot { $0.memory = size == .oneGibibyte ? .gibibytes(2) : .mebibytes(32) }
            try machine.setOvercommit(size, HugePageCount(100))
            #expect(throws: HugeTLBError(.noContiguousMemory(size))) { try machine.reserve(size, HugePageCount(17)) }
            #expect(machine.hugePages(size).total == .zero && machine.hugePages(size).reserved == .zero)
            #expect(machine.memmap().freePages << 12 == machine.configuration.memory.rawValue)
            try machine.expectWhole()
            // What cannot be given back for lack of frames is the pool's, and counted.
            machine.setFrameBudget(PageCount(size == .oneGibibyte ? 8 : 1))
            let frames = size == .oneGibibyte ? 8190 : 96
            #expect(throws: HugeTLBError(.noContiguousMemory(size))) { try machine.reserve(size, HugePageCount(17)) }
            #expect(machine.hugePages(size).total == .zero)
            #expect((machine.memmap().frameBudget ?? .zero) <= PageCount(frames))
            machine.setFrameBudget(nil)
            try machine.reserve(size, HugePageCount(2))
            machine.setFrameBudget(.zero)
            machine.unreserve(size, HugePageCount(2))
            var info = machine.hugePages(size)
            #expect(info.total == HugePageCount(2) && info.surplus == info.total && info.reserved == .zero)
            try machine.expectWhole()
            machine.setFrameBudget(nil)
            try machine.empty(size)
            info = machine.hugePages(size)
            #expect(info.total == .zero && info.surplus == .zero)
            try machine.expectWhole()
        }
    }

    @Test("A number of huge pages below 0 is refused")
    func negativeCounts() throws {
        let machine = try Self.boot { $0.memory = .mebibytes(16) }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        let error = HugeTLBError(.unusableCount(HugePageCount(-1)))
        #expect(throws: error) { try machine.setPool(.twoMebibytes, to: HugePageCount(-1)) }
        #expect(throws: error) { try machine.setOvercommit(.twoMebibytes, HugePageCount(-1)) }
        #expect(throws: error) { try machine.reserve(.twoMebibytes, HugePageCount(-1)) }
        machine.unreserve(.twoMebibytes, HugePageCount(-1))
        let info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(1) && info.free == info.total)
        #expect(info.surplus == .zero && info.reserved == .zero && info.overcommit == .zero)
    }

    @Test("A surplus page that could not be given back is dissolved as one")
    func dissolveSurplus() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        machine.setFrameBudget(.zero)
        try machine.setPool(.twoMebibytes, to: .zero)
        var info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(2) && info.surplus == HugePageCount(2))
        #expect(throws: HugeTLBError.self) { try machine.dissolve(PageFrameNumber(0)) }
        info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(2) && info.surplus == HugePageCount(2))
        machine.setFrameBudget(nil)
        for left in [1, 0] {
            try machine.dissolve(PageFrameNumber(left * 512))
            info = machine.hugePages(.twoMebibytes)
            #expect(info.total == HugePageCount(left) && info.surplus == HugePageCount(left))
        }
        try machine.expectWhole()
    }

    /// Total and surplus huge pages of 2 MiB.
    private static func counts(_ machine: EmulatedMachine) -> [Int] {
        let info = machine.hugePages(.twoMebibytes)
        return [info.total.rawValue, info.free.rawValue, info.surplus.rawValue]
    }

    @Test("Restores without memory: every page that fails is surplus, and is tried again once it is the pool's own")
    func restoreFails() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(4))
        machine.setFrameBudget(PageCount(5))
        let change = try machine.setPool(.twoMebibytes, to: .zero)
        #expect(change.refusal?.cause == .frameBudget(needed: PageCount(6), left: PageCount(5)))
        #expect(change.got == .zero && Self.counts(machine) == [4, 4, 4])
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(4))
        try machine.expectWhole()
        // The pool's own are as many as asked for already.
        machine.setFrameBudget(nil)
        #expect(try machine.setPool(.twoMebibytes, to: .zero).refusal == nil)
        #expect(Self.counts(machine) == [4, 4, 4])
        try machine.setPool(.twoMebibytes, to: HugePageCount(4))
        #expect(Self.counts(machine) == [4, 4, 0])
        #expect(try machine.setPool(.twoMebibytes, to: .zero).refusal == nil)
        #expect(Self.counts(machine) == [0, 0, 0])
        try machine.expectWhole()
    }

    @Test("A surplus page that is freed and cannot be restored stays a surplus page")
    func surplusStaysSurplus() throws {
        let machine = try Self.boot()
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        let page = try machine.allocate(.twoMebibytes)
        machine.setFrameBudget(.zero)
        try machine.free(page)
        #expect(Self.counts(machine) == [1, 1, 1])
        machine.setFrameBudget(nil)
        #expect(try machine.allocate(.twoMebibytes) == page)
        try machine.free(page)
        #expect(Self.counts(machine) == [0, 0, 0])
        try machine.expectWhole()
    }

    @Test("The memory of the huge pages that were restored feeds the restore of the others, and is others' afterwards")
    func freedMemoryFeedsRestores() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(4))
        machine.setFrameBudget(PageCount(13))
        #expect(try machine.setPool(.twoMebibytes, to: .zero).refusal == nil)
        #expect(Self.counts(machine) == [0, 0, 0] && machine.memmap().frameBudget == .zero)
        try machine.expectWhole()
    }

    @Test("In a shared budget huge pages and vmemmap take from the same memory: what is saved is one more huge page")
    func sharedBudget() throws {
        for isOptimizing in [false, true] {
            let machine = try Self.boot { $0.optimizesAtBoot = isOptimizing }
            machine.setFrameBudget(PageCount(51_201), isShared: true)
            #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(500)).got == HugePageCount(100))
            let got = try machine.setPool(.twoMebibytes, to: HugePageCount(500)).got
            #expect(got == HugePageCount(isOptimizing ? 101 : 100))
            try machine.setPool(.twoMebibytes, to: .zero)
            let memmap = machine.memmap()
            #expect((memmap.frameBudget ?? .zero) + PageCount(memmap.splitPageTables) == PageCount(51_201))
            try machine.expectWhole()
        }
    }

    @Test("A pool is shrunk while its own pages are too many: surplus pages in use are none of them")
    func surplusIsNotCounted() throws {
        let machine = try Self.boot { $0.memory = .gibibytes(3) }
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        let surplus = try machine.allocate(.twoMebibytes)
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        try machine.demote(HugePageCount(1))
        #expect(Self.counts(machine) == [513, 512, 1])
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        #expect(Self.counts(machine) == [2, 1, 1])
        try machine.free(surplus)
        #expect(Self.counts(machine) == [1, 1, 0])
        try machine.expectWhole()
    }

    @Test("A node has its part of the pool: its count is for it alone, and one for all is taken from each in turn")
    func nodes() throws {
        let machine = try Self.boot {
            $0.memory = .gibibytes(4)
            $0.nodes = 2
        }
        func totals() -> [Int] { machine.pool(.twoMebibytes).nodes.map(\.total.rawValue) }
        try machine.setPool(.twoMebibytes, to: HugePageCount(5))
        #expect(totals() == [3, 2])
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(6), onNode: 1).got == HugePageCount(6))
        #expect(totals() == [3, 6])
        try machine.setPool(.twoMebibytes, to: HugePageCount(1), onNode: 0)
        #expect(totals() == [1, 6])
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(.max), onNode: 1).got == HugePageCount(1024))
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        #expect(totals().reduce(0, +) == 1)
        #expect(throws: HugeTLBError(.noSuchNode(2))) { try machine.setPool(.twoMebibytes, to: .zero, onNode: 2) }
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.expectWhole()
    }

    @Test("Memory that firmware keeps is in no huge page, and a gigantic page cannot cross it")
    func reservedMemory() throws {
        let machine = try Self.boot {
            $0.memory = .gibibytes(2)
            $0.reserved = [ByteCount.mebibytes(500)..<ByteCount.mebibytes(501)]
        }
        #expect(machine.memmap().freePages == 524_288 - 256)
        #expect(try machine.setPool(.oneGibibyte, to: HugePageCount(2)).got == HugePageCount(1))
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(9000)).got == HugePageCount(511))
        #expect(machine.memmap().freePages == 256)
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.setPool(.oneGibibyte, to: .zero)
        #expect(machine.memmap().freePages == 524_288 - 256)
        try machine.expectWhole()
    }

    @Test("Memory that fills no block at its end has base pages, with struct pages of their own")
    func brokenBlock() throws {
        let machine = try Self.boot { $0.memory = .mebibytes(257) }
        #expect(machine.memmap().freePages == 65_792 && machine.memmap().bootPages == PageCount(1028))
        #expect(try FrameCount.count(in: machine.range).distinct == machine.expectedFrames())
        let last = PageFrameNumber(65_791)
        #expect(try machine.structPage(of: last).compoundHead == last)
        try machine.poison(last)
        #expect(machine.isPoisoned(last) && machine.memmap().freePages == 65_791)
        #expect(throws: HugeTLBError(.noSuchFrame(PageFrameNumber(65_792)))) {
            try machine.poison(PageFrameNumber(65_792))
        }
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(200)).got == HugePageCount(128))
    }

    @Test("Demoting many takes promised pages, too, as the kernel does, and leaves those with errors")
    func demoteMany() throws {
        let machine = try Self.boot { $0.memory = .gibibytes(4) }
        try machine.setPool(.oneGibibyte, to: HugePageCount(3))
        try machine.reserve(.oneGibibyte, HugePageCount(1))
        machine.setOptimizing(false)
        try machine.demote(HugePageCount(2))
        #expect(machine.hugePages(.oneGibibyte).total == HugePageCount(1) && Self.counts(machine) == [1024, 1024, 0])
        // Nothing is available, which is no failure.
        try machine.demote(HugePageCount(1))
        #expect(machine.hugePages(.oneGibibyte).total == HugePageCount(1))
        machine.unreserve(.oneGibibyte, HugePageCount(1))
        let page = try machine.allocate(.oneGibibyte)
        try machine.poison(page.head)
        try machine.free(page)
        #expect(throws: HugeTLBError(.allPoisoned(.oneGibibyte))) { try machine.demote(HugePageCount(1)) }
        try machine.expectWhole()
    }

    @Test("Demoting lowers the pool's own count while there is surplus, and dissolving the surplus")
    func demoteLowersThePoolsOwn() throws {
        let machine = try Self.boot { $0.memory = .gibibytes(3) }
        try machine.setPool(.oneGibibyte, to: HugePageCount(3))
        machine.setFrameBudget(.zero)
        try machine.setPool(.oneGibibyte, to: HugePageCount(2))
        machine.setFrameBudget(nil)
        machine.setOptimizing(false)
        try machine.demote(PageFrameNumber(0))
        var info = machine.hugePages(.oneGibibyte)
        #expect(info.total == HugePageCount(2) && info.surplus == HugePageCount(1))
        try machine.dissolve(PageFrameNumber(262_144))
        info = machine.hugePages(.oneGibibyte)
        #expect(info.total == HugePageCount(1) && info.surplus == .zero)
        try machine.expectWhole()
    }

    @Test("Gigantic pages that cannot be demoted are the pool's again as they were, surplus ones surplus")
    func refusedDemoteMany() throws {
        let machine = try Self.boot { $0.memory = .gibibytes(3) }
        try machine.setPool(.oneGibibyte, to: HugePageCount(3))
        machine.setFrameBudget(.zero)
        try machine.setPool(.oneGibibyte, to: HugePageCount(2))
        let before = machine.hugePages(.oneGibibyte)
        #expect(before.total == HugePageCount(3) && before.surplus == HugePageCount(1))
        #expect(throws: HugeTLBError.self) { try machine.demote(HugePageCount(3)) }
        #expect(machine.hugePages(.oneGibibyte) == before)
        try machine.expectWhole()
    }

    @Test("What is freed of a private mapping is reserved for it again, unless there are surplus pages")
    func restoredReservations() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        try machine.reserve(.twoMebibytes, HugePageCount(2))
        let page = try machine.allocate(.twoMebibytes, isReserved: true)
        #expect(try machine.free(page, restoresReservation: true))
        #expect(machine.hugePages(.twoMebibytes).reserved == HugePageCount(2))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        try machine.reserve(.twoMebibytes, HugePageCount(1))
        let other = try machine.allocate(.twoMebibytes, isReserved: true)
        #expect(try !machine.free(other, restoresReservation: true))
        #expect(machine.hugePages(.twoMebibytes).reserved == HugePageCount(2))
        #expect(Self.counts(machine) == [2, 2, 0])
    }

    @Test("Huge pages are given out in the order in which they were taken", arguments: [HugePageCount(3), 70])
    func orderOfNewPages(_ count: HugePageCount) throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: count)
        let pages = try (0..<3).map { _ in try machine.allocate(.twoMebibytes).index.rawValue }
        #expect(pages == [0, 1, 2])
    }

    @Test("Ten thousand huge pages are allocated and freed without copying the list of free ones each time")
    func manyPages() throws {
        let machine = try Self.boot { $0.memory = .gibibytes(20) }
        machine.setOptimizing(false)
        try machine.setPool(.twoMebibytes, to: HugePageCount(10_240))
        let pages = try (0..<10_240).map { _ in try machine.allocate(.twoMebibytes) }
        for page in pages { try machine.free(page) }
        #expect(Self.counts(machine) == [10_240, 10_240, 0])
    }

    @Test("v5's restore waits for memory")
    func restoreWaits() throws {
        let machine = try Self.boot { $0.restoreFailure = .wait }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        machine.setFrameBudget(.zero)
        let thread = try HostThread {
            HostKernel.sleep(nanoseconds: 30_000_000)
            machine.setFrameBudget(PageCount(6))
        }
        let start = HostKernel.monotonicNanoseconds()
        #expect(try machine.setPool(.twoMebibytes, to: .zero).refusal == nil)
        #expect(HostKernel.monotonicNanoseconds() - start >= 25_000_000)
        thread.join()
        #expect(machine.memmap().frameBudget == .zero)
        try machine.expectWhole()
    }

    @Test("Deferred, the counts drop at once and the memory comes later; a flush waits for it")
    func deferred() throws {
        let machine = try Self.boot {
            $0.release = .deferred
            $0.restoreFailure = .wait
        }
        try machine.setPool(.twoMebibytes, to: HugePageCount(40))
        machine.setFrameBudget(.zero)
        let free = machine.memmap().freePages
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
        #expect(machine.memmap().freePages == free)
        machine.setFrameBudget(nil)
        machine.flush()
        #expect(machine.memmap().freePages == free + 40 * 512)
        try machine.expectWhole()
    }

    @Test("A pool that keeps its pages gives none back, and restores nothing")
    func keeps() throws {
        let machine = try Self.boot { $0.keepsPages = true }
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        #expect(throws: HugeTLBError(.keepsPages)) { try machine.setPool(.twoMebibytes, to: HugePageCount(1)) }
        #expect(machine.hugePages(.twoMebibytes).total == HugePageCount(3))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(3))
        try machine.expectWhole()
    }

    @Test(
        "A memory error in an optimized huge page is remembered by index, and sits on its own page after the dissolve",
        arguments: machines, [[0], [1], [511], [64], [3, 500], [0, 511, 7]])
    func memoryFailure(_ configuration: MachineConfiguration, _ errors: [Int]) throws {
        var configuration = configuration
        configuration.memory = .mebibytes(32)
        let machine = try EmulatedMachine(configuration)
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        let page = try machine.allocate(.twoMebibytes)
        for (place, error) in (errors + errors).enumerated() {
            let frame = page.head.advanced(by: error)
            if place == 0 { try machine.poison(frame) }
            // It is remembered all the same.
            #expect(throws: HugeTLBError(.alreadyPoisoned(frame))) { try machine.poison(frame) }
        }
        let seen = try machine.structPage(of: page.head)
        #expect(seen.isPoisoned && seen.rawErrorIndex == errors[0])
        #expect(throws: HugeTLBError(.inUse(page.index, .twoMebibytes))) { try machine.dissolve(page.head) }
        try machine.free(page)
        try machine.dissolve(page.head.advanced(by: 17))
        for index in 0..<512 {
            #expect(machine.isPoisoned(page.head.advanced(by: index)) == errors.contains(index), "\(index)")
        }
        #expect(machine.hugePages(.twoMebibytes).total == HugePageCount(2))
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(machine.memmap().freePages == 16 * 512 - errors.count)
        // Its block is never whole again.
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(5000)).got == HugePageCount(15))
        try machine.expectWhole()
    }

    @Test("Errors in a gigantic page are on their own pages after the dissolve", arguments: Scheme.ofHugeTLB)
    func giganticMemoryFailure(_ scheme: Scheme) throws {
        let machine = try Self.boot { $0.scheme = scheme }
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        let errors = [262_143, 1, 70_000].map { PageFrameNumber($0) }
        let page = try machine.allocate(.oneGibibyte)
        for error in errors { try? machine.poison(error) }
        try machine.free(page)
        #expect(try machine.structPage(of: PageFrameNumber(0)).rawErrorIndex == 262_143)
        #expect(throws: HugeTLBError(.poisoned(HugePageIndex(0), .oneGibibyte))) {
            try machine.demote(PageFrameNumber(0))
        }
        #expect(throws: HugeTLBError(.poolEmpty(.oneGibibyte))) { _ = try machine.allocate(.oneGibibyte) }
        try machine.dissolve(PageFrameNumber(5))
        #expect(errors.allSatisfy(machine.isPoisoned) && !machine.isPoisoned(PageFrameNumber(0)))
        #expect(machine.memmap().freePages == 262_144 - 3)
        try machine.expectWhole()
    }

    @Test("An error in a free huge page dissolves it at once: the base page alone is lost", arguments: machines)
    func errorInFreePage(_ configuration: MachineConfiguration) throws {
        let machine = try EmulatedMachine(configuration)
        for (size, frame) in [(HugePageSize.twoMebibytes, 700), (.oneGibibyte, 300_000)] {
            try machine.setPool(size, to: HugePageCount(2))
            let (free, frame) = (machine.memmap().freePages, PageFrameNumber(frame))
            try machine.poison(frame)
            #expect(machine.hugePages(size).total == HugePageCount(1) && machine.isPoisoned(frame))
            #expect(machine.memmap().freePages == free + size.bytes.rawValue / 4096 - 1)
            #expect(throws: HugeTLBError(.alreadyPoisoned(frame))) { try machine.poison(frame) }
            // It is in no huge page any more: there is nothing to do.
            try machine.dissolve(frame)
            try machine.expectWhole()
            try machine.setPool(size, to: .zero)
        }
    }

    @Test("A free huge page with an error that cannot be dissolved stays, and is not handed out")
    func errorInFreePageThatStays() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        machine.setFrameBudget(.zero)
        #expect(throws: HugeTLBError(.notContained(HugePageIndex(0), .twoMebibytes))) {
            try machine.poison(PageFrameNumber(3))
        }
        #expect(Self.counts(machine) == [1, 1, 0])
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) { _ = try machine.allocate(.twoMebibytes) }
        machine.setFrameBudget(nil)
        try machine.dissolve(PageFrameNumber(3))
        #expect(machine.isPoisoned(PageFrameNumber(3)))
        try machine.expectWhole()
    }

    @Test("A free huge page with an error is not handed out, and a reservation is kept by a page beyond the pool")
    func poisonedIsNotHandedOut() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        let page = try machine.allocate(.twoMebibytes)
        try machine.poison(page.head.advanced(by: 4))
        try machine.free(page)
        let other = try machine.allocate(.twoMebibytes)
        #expect(other != page)
        #expect(throws: HugeTLBError(.poolEmpty(.twoMebibytes))) { _ = try machine.allocate(.twoMebibytes) }
        try machine.reserve(.twoMebibytes, HugePageCount(1))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        let surplus = try machine.allocate(.twoMebibytes, isReserved: true)
        let info = machine.hugePages(.twoMebibytes)
        #expect(surplus != page && info.surplus == HugePageCount(1) && info.reserved == .zero)
        try machine.expectWhole()
    }

    @Test("An error in free memory takes its page, and one on its way out of the pool or into it is not lost")
    func errorsOnTheWay() throws {
        let machine = try Self.boot {
            $0.release = .deferred
            $0.restoreFailure = .wait
        }
        let free = machine.memmap().freePages
        try machine.poison(PageFrameNumber(512 * 100 + 3))
        #expect(throws: HugeTLBError.self) { try machine.poison(PageFrameNumber(512 * 100 + 3)) }
        #expect(machine.memmap().freePages == free - 1)
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        machine.setFrameBudget(.zero)
        try machine.setPool(.twoMebibytes, to: .zero)
        // The tails of these are read-only until the worker gets memory.
        let errors = [0, 5, 300, 512 + 511, 1024 + 64].map { PageFrameNumber($0) }
        for error in errors { try machine.poison(error) }
        #expect(errors.allSatisfy { machine.hugePage(of: $0) == nil })
        machine.setFrameBudget(nil)
        machine.flush()
        #expect(errors.allSatisfy(machine.isPoisoned) && !machine.isPoisoned(PageFrameNumber(1)))
        #expect(machine.memmap().freePages == free - 6)
        try machine.expectWhole()
        // What could not be restored is the pool's again, and has the error.
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        machine.setFrameBudget(.zero)
        let page = try machine.allocate(.twoMebibytes)
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.free(page)
        try machine.poison(page.head.advanced(by: 9))
        machine.flush()
        #expect(machine.hugePages(.twoMebibytes).surplus == HugePageCount(1))
        #expect(try machine.structPage(of: page.head).rawErrorIndex == 9)
    }

    @Test("A machine that is let go of does what it has put off first")
    func lettingGo() throws {
        weak var kept: EmulatedMachine?
        do {
            let machine = try Self.boot {
                $0.release = .deferred
                $0.restoreFailure = .wait
            }
            try machine.setPool(.twoMebibytes, to: HugePageCount(2))
            machine.setFrameBudget(.zero)
            try machine.setPool(.twoMebibytes, to: .zero)
            kept = machine
        }
        let free = kept?.memmap().freePages
        kept?.setFrameBudget(nil)
        #expect(free == 510 * 512)
        #expect(HostProcess.eventually { kept == nil })
    }

    @Test("A free huge page that is promised to somebody is neither dissolved nor demoted")
    func promisedStays() throws {
        let machine = try Self.boot()
        for size in MachineSizes.x86.hugePages {
            try machine.setPool(size, to: HugePageCount(1))
            try machine.reserve(size, HugePageCount(1))
            let frame = try #require(
                machine.region(.twoMebibytes)?.layout.frames.first { machine.hugePage(of: $0) != nil })
            #expect(throws: HugeTLBError(.reserved(size))) { try machine.dissolve(frame) }
            #expect(throws: HugeTLBError(.reserved(size))) { try machine.demote(frame) }
            machine.unreserve(size, HugePageCount(1))
            try machine.dissolve(frame)
            #expect(machine.hugePages(size).total == .zero)
        }
        try machine.expectWhole()
    }

    @Test(
        "Dissolving waits for what was put off: a page that could not be restored is refused"
    )
    func dissolveFlushes() throws {
        let machine = try Self.boot {
            $0.memory = .mebibytes(8)
            $0.release = .deferred
            $0.restoreFailure = .wait
        }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        let frame = try #require(
            machine.region(.twoMebibytes)?.layout.frames.first { machine.hugePage(of: $0) != nil })
        machine.setFrameBudget(.zero)
        try machine.setPool(.twoMebibytes, to: .zero)
        // It is in no pool until the worker has waited in vain.
        #expect(machine.hugePage(of: frame) == nil)
        #expect(throws: HugeTLBError(.frameBudget(needed: PageCount(6), left: .zero))) { try machine.dissolve(frame) }
        machine.setFrameBudget(nil)
        try machine.dissolve(frame)
        #expect(machine.memmap().freePages == 4 * 512)
        try machine.expectWhole()
    }

    @Test("v5's restore reports after a while when no memory ever comes, and nothing is lost")
    func restoreWaitsInVain() throws {
        let machine = try Self.boot { $0.restoreFailure = .wait }
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        machine.setFrameBudget(PageCount(5))
        let change = try machine.setPool(.twoMebibytes, to: .zero)
        #expect(change.refusal?.cause == .frameBudget(needed: PageCount(6), left: PageCount(5)))
        let info = machine.hugePages(.twoMebibytes)
        #expect(info.total == HugePageCount(1) && info.surplus == info.total && info.optimized == info.total)
        try machine.expectWhole()
        machine.setFrameBudget(nil)
        #expect(try machine.empty(.twoMebibytes).refusal == nil)
        try machine.expectWhole()
    }

    @Test(
        "A gigantic page is demoted to 512 of 2 MiB, its neighbour left alone",
        .enabled(
            if: HostProcess.mappingLimit > 22_000, "optimizing 512 huge pages takes more mappings than there may be"),
        arguments: machines)
    func demote(_ configuration: MachineConfiguration) throws {
        let machine = try EmulatedMachine(configuration)
        try machine.setPool(.oneGibibyte, to: HugePageCount(2))
        let region = try #require(machine.region(.oneGibibyte))
        let head = region.layout.geometry.headFrame(of: HugePageIndex(1))
        try machine.demote(head)
        #expect(machine.hugePages(.oneGibibyte).total == HugePageCount(1))
        #expect(machine.hugePages(.oneGibibyte).optimized == HugePageCount(1))
        let small = machine.hugePages(.twoMebibytes)
        #expect(small.total == HugePageCount(512) && small.free == HugePageCount(512))
        #expect(small.optimized == HugePageCount(512))
        try machine.expectWhole()
        #expect(throws: HugeTLBError.self) { try machine.demote(head) }
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.setPool(.oneGibibyte, to: .zero)
        try machine.expectWhole()
    }

    @Test(
        "Without memory for page tables a huge page is used as it is, and in the manner of v5 its allocation fails",
        arguments: MachineConfiguration.RestoreFailure.allCases)
    func pageTableDeposit(_ manner: MachineConfiguration.RestoreFailure) throws {
        let machine = try Self.boot { $0.restoreFailure = manner }
        machine.setFrameBudget(.zero)
        let change = try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        #expect(machine.memmap().frameBudget == .zero)
        #expect(machine.hugePages(.twoMebibytes).optimized == .zero)
        switch manner {
        case .surplus: #expect(change.got == HugePageCount(2) && machine.memmap().optimizeFailures == 2)
        case .wait: #expect(change.got == .zero && change.refusal?.cause == .pageTables(needed: PageCount(1)))
        }
        try machine.expectWhole()
        machine.setFrameBudget(PageCount(1))
        try machine.setPool(.twoMebibytes, to: HugePageCount(4))
        // One page table for all; each page frees six frames and gets back the page table that it did not need.
        let optimized = machine.hugePages(.twoMebibytes).optimized.rawValue
        #expect(optimized == (manner == .surplus ? 2 : 4))
        #expect(machine.memmap().frameBudget == PageCount(6 * optimized))
        try machine.expectWhole()
    }

    @Test("The page tables of a split are shared by up to 64 huge pages of 2 MiB, and taken once")
    func pageTables() throws {
        let machine = try Self.boot()
        try machine.setPool(.twoMebibytes, to: HugePageCount(64))
        #expect(machine.memmap().splitPageTables == 1)
        try machine.setPool(.twoMebibytes, to: HugePageCount(65))
        #expect(machine.memmap().splitPageTables == 2)
        try machine.setPool(.twoMebibytes, to: .zero)
        // Only gigantic pages give them back.
        #expect(machine.memmap().splitPageTables == 2)
    }
}

extension EmulatedMachine {
    /// Makes all huge pages the pool's own, so that refused restores are tried again, and gives them back.
    @discardableResult
    func empty(_ size: HugePageSize) throws -> PoolChange {
        try setPool(size, to: pool(size).total)
        return try setPool(size, to: .zero)
    }

    /// Everything that must hold at any time: each struct page leads to the head that the pools make one expect, and as
    /// many frames stand behind the region as there are vmemmap pages with one.
    func expectWhole(_ location: SourceLocation = #_sourceLocation) throws {
        flush()
        let small = try #require(region(configuration.sizes.block), sourceLocation: location)
        var wrong: [PageFrameNumber] = []
        var freed = PageCount.zero
        var zones: [HugePageSize: Set<Int>] = [:]
        var absent = PageCount.zero
        let pages = small.plan.geometry.basePagesPerHugePage
        let offsets = [0, 1, 5, 63, 64, 65, 128, 200, pages - 64, pages - 1].filter { (0..<pages).contains($0) }
        for frame in stride(from: small.layout.frames.lowerBound, to: small.layout.frames.upperBound, by: pages) {
            guard observeHead(of: frame) != .absent else {
                absent += small.plan.geometry.vmemmapPagesPerHugePage
                continue
            }
            let page = hugePage(of: frame)
            let view = page.flatMap { region($0.size) } ?? small
            if let page, page.head == frame, try view.state(of: page.index) == .optimized {
                freed += PageCount(view.plan.freedPages.count)
                zones[page.size, default: []].insert(view.plan.zone(of: page.index))
            }
            for offset in offsets {
                let frame = frame.advanced(by: offset)
                let expected = view.layout.structPage(of: page?.head ?? frame)
                if view.compoundHead(of: frame) != expected { wrong.append(frame) }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(5))", sourceLocation: location)
        let templates = zones.reduce(PageCount.zero) { sum, used in
            sum + (region(used.key)?.plan.templatesPerZone ?? .zero) * used.value.count
        }
        let frames = try FrameCount.count(in: range).distinct
        #expect(
            frames == small.plan.hostFrames(small.plan.framesPopulated - absent - freed + templates),
            sourceLocation: location)
        #expect(frames == expectedFrames(), sourceLocation: location)
        let counted = memmap().allocatorPages + memmap().bootPages
        let all = sizes.reduce(PageCount.zero) { $0 + (region($1)?.plan.templates ?? .zero) }
        #expect(counted == small.plan.framesPopulated - absent - freed + all, sourceLocation: location)
    }
}
