import HostMemory
import Testing
import VmemmapEmulator

/// Machines with base pages and huge pages of other architectures than x86-64.
@Suite("Machines of other architectures")
struct MachineSizesTests {
    /// An architecture, and memory for gigantic pages: two zones of one where that costs little.
    struct Kind: Sendable, CustomTestStringConvertible {
        let architecture: Architecture
        let memory: ByteCount

        static let arm64With64K = Kind(architecture: .arm64With64K, memory: .gibibytes(18))
        static let arm64With16K = Kind(architecture: .arm64With16K, memory: .mebibytes(2208))
        static let s390 = Kind(architecture: .s390, memory: .mebibytes(2080))
        static let powerpc = Kind(architecture: .powerpc, memory: .mebibytes(2562))
        static let loongarch = Kind(architecture: .loongarch, memory: .mebibytes(320))

        var testDescription: String { architecture.rawValue }

        func sizes() throws -> MachineSizes { try #require(architecture.machineSizes) }

        func machine(_ change: (inout MachineConfiguration) -> Void = { _ in }) throws -> EmulatedMachine {
            var configuration = MachineConfiguration(memory: memory, optimizesAtBoot: true)
            configuration.sizes = try sizes()
            change(&configuration)
            return try EmulatedMachine(configuration)
        }
    }

    /// Three architectures under every scheme on every backing. Of the others, arm64-4k and riscv have x86-64's sizes,
    /// and the rest have tests of their own below.
    static let all: [(Kind, Scheme, Backing)] = [Kind.arm64With64K, .arm64With16K, .s390].flatMap { kind in
        Scheme.ofHugeTLB.flatMap { scheme in Backing.allCases.map { (kind, scheme, $0) } }
    }

    @Test("The pool grows and shrinks, and is demoted: heads are right, and frames as planned", arguments: all)
    func growDemoteShrink(_ kind: Kind, _ scheme: Scheme, _ backing: Backing) throws {
        let machine = try kind.machine {
            $0.scheme = scheme
            $0.backing = backing
        }
        let sizes = machine.configuration.sizes
        let (block, gigantic) = (sizes.block, try #require(sizes.gigantic))
        let before = machine.memmap()
        #expect(before.freePages * sizes.basePage.rawValue == kind.memory.rawValue)
        try machine.expectWhole()
        #expect(try machine.setPool(gigantic, to: 1).got == 1)
        #expect(try machine.setPool(block, to: 3).got == 3)
        #expect(machine.hugePages(gigantic).optimized == 1 && machine.hugePages(block).optimized == 3)
        // Every frame once; elsewhere ten of each block.
        if scheme == .firstTail { try Self.expectHeads(machine) } else { try machine.expectWhole() }
        let plans = try machine.sizes.map { try #require(machine.configuration.plan($0)) }
        let freed = plans[0].freedPages.count * 3 + plans[1].freedPages.count
        #expect(freed > 0 && machine.memmapPages == before.sum - freed)
        // A vmemmap page is several of this host's.
        let templates = plans.reduce(0) { $0 + $1.templatesPerZone.rawValue }
        let inRegion = (machine.vmemmapBytes.rawValue / sizes.basePage.rawValue - freed + templates)
        let hostPages = sizes.basePage.rawValue / HostLimits.pageSize.rawValue
        #expect(try FrameCount.count(in: machine.range).distinct == PageCount(inRegion * hostPages))
        try machine.demote(HugePageCount(1))
        let parts = gigantic.bytes.rawValue / block.bytes.rawValue
        #expect(machine.hugePages(gigantic).total == .zero)
        #expect(machine.hugePages(block).optimized == HugePageCount(3 + parts))
        try machine.expectWhole()
        #expect(try machine.setPool(block, to: .zero).got == .zero)
        try machine.expectWhole()
        #expect(machine.memmap().freePages == before.freePages && machine.memmapPages == before.sum)
    }

    @Test("Walkers see nothing but right heads while huge pages come and go", arguments: [Kind.arm64With64K, .s390])
    func walkers(_ kind: Kind) throws {
        let machine = try kind.machine()
        let sizes = machine.configuration.sizes
        let gigantic = try #require(sizes.gigantic)
        let walkers = try Walkers(1, over: machine, seed: 7)
        for _ in 0..<2 {
            try machine.setPool(gigantic, to: 1)
            try machine.demote(HugePageCount(1))
            try machine.setPool(sizes.block, to: .zero)
        }
        let seen = walkers.stop()
        #expect(seen.reads > 0 && seen.wrong == 0, "\(String(describing: seen.firstWrong))")
    }

    @Test("A memory error costs a base page, whatever its size", arguments: [Kind.arm64With64K, .arm64With16K, .s390])
    func poison(_ kind: Kind) throws {
        let machine = try kind.machine()
        let block = machine.configuration.sizes.block
        let free = machine.memmap().freePages
        try machine.setPool(block, to: 2)
        let page = try machine.allocate(block)
        let pages = block.bytes.rawValue / machine.configuration.sizes.basePage.rawValue
        let last = page.head.advanced(by: pages - 1)
        try machine.poison(last)
        #expect(try machine.structPage(of: page.head).rawErrorIndex == pages - 1)
        try machine.free(page)
        try machine.dissolve(last)
        #expect(machine.isPoisoned(last) && machine.hugePages(block).total == 1)
        try machine.setPool(block, to: .zero)
        #expect(machine.memmap().freePages == free - 1)
        try Self.expectHeads(machine)
    }

    @Test("Memory comes and goes in the architecture's sections", arguments: [Kind.arm64With64K, .arm64With16K, .s390])
    func hotplug(_ kind: Kind) throws {
        for backing in Backing.allCases {
            let section = try kind.sizes().memoryBlock
            #expect(section == (kind.architecture == .arm64With64K ? .mebibytes(512) : .mebibytes(128)))
            let machine = try kind.machine {
                $0.memory = section * 3
                $0.pluggable = section * 2
                $0.backing = backing
            }
            let block = machine.configuration.sizes.block
            #expect(throws: HugeTLBError(.noMemoryBlocks(.mebibytes(64), of: section))) {
                try machine.plug(.mebibytes(64))
            }
            let most = HugePageCount(section.rawValue / block.bytes.rawValue)
            try machine.expectWhole()
            try machine.plug(section)
            try machine.plug(section, isSelfHosted: true)
            #expect(try machine.setPool(block, to: most * 3).got < most * 3)
            // Self-hosted memory is left alone.
            #expect(machine.hugePages(block).optimized == most * 2)
            try machine.expectWhole()
            try machine.offline(waitsForReaders: true)
            #expect(machine.hugePages(block).total == most)
            try machine.expectWhole()
        }
    }

    @Test("Where vmemmap is mapped page by page, optimizing splits nothing and needs no page table")
    func pageTables() throws {
        for (kind, splits) in [(Kind.arm64With64K, false), (.arm64With16K, false), (.s390, true)] {
            let machine = try kind.machine()
            machine.setFrameBudget(PageCount(0))
            let change = try machine.setPool(machine.configuration.sizes.block, to: 1)
            #expect((change.notOptimized == .zero) == !splits)
            machine.setFrameBudget(nil)
            // Beyond the last blocks, whose vmemmap fills no PMD.
            try machine.setPool(machine.configuration.sizes.block, to: HugePageCount(40))
            #expect((machine.memmap().splitPageTables > 0) == splits)
        }
    }

    @Test("A size of which nothing is freed is used as it is, beside one that is optimized")
    func notOptimizable() throws {
        let machine = try Kind.powerpc.machine()
        let sizes = machine.configuration.sizes
        #expect(machine.configuration.plan(sizes.block)?.isWorthwhile == false)
        try machine.setPool(.oneGibibyte, to: 1)
        #expect(try machine.setPool(.twoMebibytes, to: 40).notOptimized == .zero)
        #expect(machine.hugePages(.twoMebibytes).optimized == .zero)
        #expect(machine.hugePages(.oneGibibyte).optimized == 1)
        try Self.expectHeads(machine)
        let page = try machine.allocate(.twoMebibytes)
        try machine.poison(page.head.advanced(by: 31))
        try machine.free(page)
        try machine.demote(HugePageCount(1))
        #expect(machine.hugePages(.twoMebibytes).total == HugePageCount(40 + 512))
        try Self.expectHeads(machine)
        try machine.setPool(.twoMebibytes, to: .zero)
        try Self.expectHeads(machine)
    }

    @Test("With one size of huge page there is nothing to demote, and no other pool")
    func oneSize() throws {
        let machine = try Kind.loongarch.machine()
        let block = machine.configuration.sizes.block
        #expect(machine.sizes == [block])
        #expect(try machine.setPool(block, to: 20).got == 10)
        #expect(machine.hugePages(block).optimized == 10)
        try Self.expectHeads(machine)
        #expect(throws: HugeTLBError(.noDemotion(block, to: block))) { try machine.demote(HugePageCount(1)) }
        #expect(throws: HugeTLBError(.notAHugePage(PageFrameNumber(0)))) { try machine.demote(PageFrameNumber(0)) }
        #expect(throws: HugeTLBError(.noSuchSize(.oneGibibyte))) { try machine.setPool(.oneGibibyte, to: 1) }
        #expect(machine.configuration.plan(.twoMebibytes) == nil)
        try machine.setPool(block, to: .zero)
        try Self.expectHeads(machine)
    }

    @Test("Every pair of an architecture's sizes makes a machine, which grows, demotes and shrinks")
    func pairs() throws {
        for architecture in Architecture.allCases where architecture.basePageSize >= HostLimits.pageSize {
            let sizes = architecture.hugePageSizes
            for (number, block) in sizes.enumerated() {
                for gigantic in sizes[(number + 1)...] where gigantic.bytes < .gibibytes(16) {
                    let pair = try #require(architecture.machineSizes([block, gigantic]))
                    var configuration = MachineConfiguration(
                        memory: max(.mebibytes(256), gigantic.bytes * 2), optimizesAtBoot: true)
                    configuration.sizes = pair
                    let machine = try EmulatedMachine(configuration)
                    #expect(try machine.setPool(gigantic, to: 1).got == 1, "\(architecture) \(block) \(gigantic)")
                    try machine.demote(HugePageCount(1))
                    let parts = gigantic.bytes.rawValue / block.bytes.rawValue
                    #expect(machine.hugePages(block).total == HugePageCount(parts))
                    try machine.expectWhole()
                    #expect(try machine.setPool(block, to: .zero).got == .zero)
                    try machine.expectWhole()
                }
            }
        }
    }

    @Test("Sizes that no machine can have are none")
    func none() {
        #expect(MachineSizes(basePage: .kibibytes(8), block: .twoMebibytes) == nil)
        #expect(MachineSizes(basePage: .kibibytes(64), block: .twoMebibytes, gigantic: .twoMebibytes) == nil)
        #expect(MachineSizes(basePage: .kibibytes(4), block: .oneGibibyte, gigantic: .twoMebibytes) == nil)
        for kibibytes in [4, 8, 16] {
            let size = HugePageSize(bytes: .kibibytes(kibibytes))
            #expect(size != nil && size.flatMap { MachineSizes(basePage: .kibibytes(4), block: $0) } == nil)
        }
        #expect(MachineSizes.x86.hugePages == [.twoMebibytes, .oneGibibyte])
    }

    /// Every frame there is leads to where it must, and figures agree.
    private static func expectHeads(_ machine: EmulatedMachine) throws {
        let seen = machine.visitEveryStructPage()
        #expect(seen.wrong == 0 && seen.reads == machine.walkedFrames, "\(String(describing: seen.firstWrong))")
        try machine.expectWhole()
    }
}

extension EmulatedMachine {
    fileprivate var memmapPages: Int { memmap().sum }
    fileprivate var vmemmapBytes: ByteCount { range.length }
    /// Whole blocks are walked.
    fileprivate var walkedFrames: Int { region(configuration.sizes.block)?.layout.frames.count ?? 0 }
}

extension MemmapInfo {
    fileprivate var sum: Int { allocatorPages.rawValue + bootPages.rawValue }
}
