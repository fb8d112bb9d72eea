import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("Memory that is plugged in and out")
struct HotplugTests {
    static let block = ByteCount.mebibytes(128)
    static let machines: [MachineConfiguration] = Backing.allCases.flatMap { backing in
        Scheme.ofHugeTLB.flatMap { scheme in
            [RegionMapping.pte, .pmd].map { mapping in
                var configuration = MachineConfiguration(
                    memory: .mebibytes(128 * 3), scheme: scheme, backing: backing, mapping: mapping,
                    optimizesAtBoot: true)
                configuration.pluggable = .mebibytes(128 * 2)
                return configuration
            }
        }
    }

    private static func boot(_ change: (inout MachineConfiguration) -> Void = { _ in }) throws -> EmulatedMachine {
        var configuration = machines[0]
        change(&configuration)
        return try EmulatedMachine(configuration)
    }

    @Test("Its vmemmap comes and goes with it, and huge pages of it are as others are", arguments: machines)
    func cycle(_ configuration: MachineConfiguration) throws {
        let machine = try EmulatedMachine(configuration)
        let before = machine.memmap()
        #expect(before.freePages == 32768)
        try machine.expectWhole()
        for _ in 0..<2 {
            let allocated = machine.memmap().allocatorPages
            let change = try machine.plug(Self.block * 2)
            #expect(change.frames == PageFrameNumber(32768)..<PageFrameNumber(3 * 32768))
            #expect(change.vmemmapPages == PageCount(1024) && change.selfHostedPages == .zero && change.isPresent)
            #expect(machine.memmap().allocatorPages == allocated + PageCount(1024))
            #expect(machine.memmap().freePages == 3 * 32768)
            let seen = machine.visitEveryStructPage()
            #expect(seen.reads == 3 * 32768 && seen.wrong == 0)
            try machine.setPool(.twoMebibytes, to: HugePageCount(150))
            #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(150))
            // Those of them that lie there are dissolved, and restored before.
            let gone = try machine.offline(waitsForReaders: true)
            #expect(gone.frames == change.frames && !gone.isPresent)
            #expect(machine.hugePages(.twoMebibytes).total < HugePageCount(150))
            try machine.expectWhole()
            try machine.setPool(.twoMebibytes, to: .zero)
            let after = machine.memmap()
            #expect(after.freePages == 32768)
            #expect(after.allocatorPages + after.bootPages == before.allocatorPages + before.bootPages)
            try machine.expectWhole()
        }
    }

    @Test("Self-hosted vmemmap is nobody's memory, and is left alone by the optimization")
    func selfHosted() throws {
        let machine = try Self.boot()
        let before = machine.memmap()
        try machine.setPool(.twoMebibytes, to: HugePageCount(64))
        let change = try machine.plug(Self.block, isSelfHosted: true)
        #expect(change.selfHostedPages == PageCount(512))
        // 63 huge pages are left of 64.
        #expect(machine.memmap().freePages == 63 * 512)
        #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(200)).got == HugePageCount(127))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(64))
        try machine.expectWhole()
        try machine.offline(waitsForReaders: true)
        try machine.setPool(.twoMebibytes, to: .zero)
        let after = machine.memmap()
        #expect(after.allocatorPages + after.bootPages == before.allocatorPages + before.bootPages)
        #expect(after.freePages == before.freePages)
    }

    @Test("What is in use keeps its memory there; what is promised does, too")
    func inUse() throws {
        let machine = try Self.boot()
        try machine.plug(Self.block)
        try machine.setPool(.twoMebibytes, to: HugePageCount(128))
        var pages: [HugePage] = []
        for _ in 0..<128 { pages.append(try machine.allocate(.twoMebibytes)) }
        let there = try #require(pages.first { $0.head.rawValue >= 32768 })
        for page in pages where page != there { try machine.free(page) }
        #expect(throws: HugeTLBError(.inUse(there.index, .twoMebibytes))) {
            try machine.offline(waitsForReaders: false)
        }
        try machine.free(there)
        try machine.reserve(.twoMebibytes, machine.pool(.twoMebibytes).free)
        #expect(throws: HugeTLBError(.reserved(.twoMebibytes))) { try machine.offline(waitsForReaders: false) }
        #expect(machine.visitEveryStructPage().reads == 2 * 32768)
        try machine.expectWhole()
        machine.unreserve(.twoMebibytes, machine.pool(.twoMebibytes).reserved)
        try machine.offline(waitsForReaders: false)
        try machine.expectWhole()
    }

    @Test("What cannot be is refused, and nothing has changed")
    func refused() throws {
        let machine = try Self.boot()
        #expect(throws: HugeTLBError(.noMemoryBlocks(.mebibytes(64), of: Self.block))) {
            try machine.plug(.mebibytes(64))
        }
        #expect(throws: HugeTLBError(.noMemoryBlocks(.zero, of: Self.block))) { try machine.plug(.zero) }
        #expect(throws: HugeTLBError(.noRoom(Self.block * 3, of: Self.block * 2))) { try machine.plug(Self.block * 3) }
        #expect(throws: HugeTLBError(.notPlugged(.zero, of: .zero))) { try machine.offline(waitsForReaders: false) }
        try machine.plug(Self.block)
        #expect(throws: HugeTLBError(.notPlugged(Self.block * 2, of: Self.block))) {
            try machine.offline(Self.block * 2, waitsForReaders: false)
        }
        machine.setFrameBudget(PageCount(511))
        #expect(throws: HugeTLBError(.frameBudget(needed: PageCount(512), left: PageCount(511)))) {
            try machine.plug(Self.block)
        }
        // Its own vmemmap takes none.
        try machine.plug(Self.block, isSelfHosted: true)
        #expect(machine.memmap().frameBudget == PageCount(511))
        try machine.offline(Self.block, waitsForReaders: false)
        #expect(machine.memmap().frameBudget == PageCount(511))
        try machine.offline(waitsForReaders: false)
        #expect(machine.memmap().frameBudget == PageCount(511 + 512))
        try machine.expectWhole()
    }

    @Test("Page tables of memory that is gone are given back, with a budget and without", arguments: [true, false])
    func pageTables(_ hasBudget: Bool) throws {
        let machine = try Self.boot()
        if hasBudget { machine.setFrameBudget(PageCount(100_000)) }
        for _ in 0..<2 {
            try machine.plug(Self.block)
            try machine.setPool(.twoMebibytes, to: HugePageCount(128))
            #expect(machine.memmap().splitPageTables == 2)
            try machine.offline(waitsForReaders: false)
            #expect(machine.memmap().splitPageTables == 1)
        }
        try machine.setPool(.twoMebibytes, to: .zero)
        if hasBudget { #expect(machine.memmap().frameBudget == PageCount(100_000 - 1)) }
    }

    @Test("A shared budget has the memory that is there, and no other", arguments: [true, false])
    func sharedBudget(_ isSelfHosted: Bool) throws {
        let machine = try Self.boot { $0.optimizesAtBoot = false }
        machine.setFrameBudget(PageCount(1000), isShared: true)
        for _ in 0..<2 {
            try machine.plug(Self.block, isSelfHosted: isSelfHosted)
            #expect(machine.memmap().frameBudget == PageCount(1000 + 32768 - 512))
            let pages = HugePageCount((1000 + 32768 - 512) / 512)
            #expect(try machine.setPool(.twoMebibytes, to: HugePageCount(128)).got == pages)
            try machine.setPool(.twoMebibytes, to: .zero)
            try machine.offline(waitsForReaders: false)
            #expect(machine.memmap().frameBudget == PageCount(1000))
        }
    }

    @Test("A memory error in vmemmap that lies in its memory is marked, refused, and gone with it")
    func poisonedVmemmap() throws {
        let machine = try Self.boot()
        try machine.plug(Self.block, isSelfHosted: true)
        let frame = PageFrameNumber(32770)
        #expect(throws: HugeTLBError(.keptMemory(frame))) { try machine.poison(frame) }
        #expect(machine.isPoisoned(frame))
        #expect(throws: HugeTLBError(.alreadyPoisoned(frame))) { try machine.poison(frame) }
        try machine.offline(waitsForReaders: false)
        try machine.plug(Self.block)
        #expect(!machine.isPoisoned(frame))
        try machine.setPool(.twoMebibytes, to: HugePageCount(128))
        for _ in 0..<128 { _ = try machine.allocate(.twoMebibytes) }
        try machine.expectWhole()
    }

    @Test("A pool that keeps its pages neither dissolves nor demotes them, and keeps the memory there")
    func keepsPages() throws {
        let machine = try Self.boot { $0.keepsPages = true }
        try machine.plug(Self.block)
        try machine.setPool(.twoMebibytes, to: HugePageCount(128))
        #expect(throws: HugeTLBError(.keepsPages)) { try machine.dissolve(PageFrameNumber(100)) }
        #expect(throws: HugeTLBError(.keepsPages)) { try machine.offline(waitsForReaders: false) }
        #expect(machine.hugePages(.twoMebibytes).total == HugePageCount(128))
        try machine.expectWhole()
    }

    @Test("A frame that is not there has no struct page, no memory error and no huge page")
    func absentFrames() throws {
        let machine = try Self.boot()
        let frame = PageFrameNumber(40000)
        for _ in 0..<2 {
            #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.structPage(of: frame) }
            #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.poison(frame) }
            #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.dissolve(frame) }
            #expect(!machine.isPoisoned(frame))
            // A memory error goes with the memory.
            try machine.plug(Self.block)
            #expect(try machine.structPage(of: frame).compoundHead == frame)
            #expect(machine.memmap().freePages == 2 * 32768)
            try machine.poison(frame)
            #expect(machine.isPoisoned(frame) && machine.memmap().freePages == 2 * 32768 - 1)
            try machine.offline(waitsForReaders: false)
        }
    }

    @Test(
        "Who has found a struct page and sleeps faults when it is gone, unless the removal waits",
        arguments: [true, false])
    func sleepers(_ waits: Bool) throws {
        let machine = try Self.boot()
        var seen = Walkers.Tally()
        // One removal may find none of them at it.
        for _ in 0..<(waits ? 5 : 50) where waits || seen.removed == 0 {
            try machine.plug(Self.block * 2)
            let walkers = try Walkers(8, over: machine, seed: 7, pauseNanoseconds: 2_000_000)
            try machine.offline(waitsForReaders: waits)
            seen = walkers.stop()
            #expect(seen.wrong == 0 && seen.reads > 0)
            if waits { #expect(seen.removed == 0) }
        }
        if !waits { #expect(seen.removed > 0) }
    }

    @Test("Walkers that do not sleep see nothing wrong while memory comes and goes")
    func walkers() throws {
        let machine = try Self.boot()
        let walkers = try Walkers(2, over: machine, seed: 9)
        for round in 0..<4 {
            _ = try machine.plug(Self.block * 2, isSelfHosted: round % 2 == 1)
            try machine.setPool(.twoMebibytes, to: HugePageCount(200))
            try machine.offline(waitsForReaders: true)
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0 && seen.removed == 0 && seen.reads > 0)
        try machine.expectWhole()
    }

    @Test(
        "A refusing host leaves everything as it was",
        arguments: machines.filter { $0.scheme == .firstTail && ($0.mapping == .pte || $0.backing == .memfd) })
    func hostRefuses(_ configuration: MachineConfiguration) throws {
        let machine = try EmulatedMachine(configuration)
        /// Fails each call in turn, in either manner, and undoes what was done all the same.
        func sweep(_ body: () throws -> Void, undo: () throws -> Void) throws {
            for manner in InjectedFault.Manner.allCases {
                for first in 1...50 {
                    let (isDone, outcome) = InjectedFault(first: first, manner: manner).during {
                        (try? body()) != nil
                    }
                    #expect(machine.visitEveryStructPage().wrong == 0)
                    try machine.expectWhole()
                    if isDone { try undo() }
                    if outcome.failed == 0 { break }
                    #expect(first < 50)
                }
            }
        }
        try sweep {
            try machine.plug(Self.block)
        } undo: {
            try machine.offline(waitsForReaders: false)
        }
        try machine.plug(Self.block)
        try sweep {
            try machine.offline(waitsForReaders: false)
        } undo: {
            try machine.plug(Self.block)
        }
        try machine.offline(waitsForReaders: false)
        try machine.expectWhole()
    }

    @Test("A gigantic page that lies in two zones is none, at boot and later")
    func zoneBorder() throws {
        var configuration = MachineConfiguration(memory: .gibibytes(3), scheme: .sharedTail, optimizesAtBoot: true)
        configuration.zoneBorder = .mebibytes(1536)
        let machine = try EmulatedMachine(configuration)
        // The first is whole, the second is taken and given back.
        let atBoot = try machine.setPoolAtBoot(.oneGibibyte, to: HugePageCount(2))
        #expect(atBoot.got == HugePageCount(1) && atBoot.discarded == HugePageCount(1))
        let later = try machine.setPool(.oneGibibyte, to: HugePageCount(3))
        #expect(later.got == HugePageCount(2) && later.discarded == .zero)
        #expect(later.refusal == HugeTLBError(.noContiguousMemory(.oneGibibyte)))
        #expect(machine.hugePages(.oneGibibyte).optimized == HugePageCount(2))
        #expect(try machine.structPage(of: PageFrameNumber(262144)).hugePage == nil)
        // Small pages of the two zones border on each other there.
        try machine.setPool(.twoMebibytes, to: HugePageCount(512))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(512))
        #expect(machine.visitEveryStructPage().wrong == 0)
        let zones = try [-1, 0].map { try machine.structPage(of: PageFrameNumber(393216 + $0)).zone }
        #expect(zones == [0, 1])
        try machine.expectWhole()
    }
}
