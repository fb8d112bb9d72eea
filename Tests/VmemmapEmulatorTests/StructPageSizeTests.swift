import HostMemory
import Testing
import VmemmapEmulator

@Suite("Sizes of struct page")
struct StructPageSizeTests {
    private static func geometry(_ size: HugePageSize, _ structPage: Int) throws -> Geometry {
        try #require(
            Geometry(basePageSize: .kibibytes(4), hugePageSize: size, structPageSize: ByteCount(structPage)))
    }

    @Test(
        "Vmemmap pages and frames given back follow from the size; nothing where it is no power of two",
        arguments: [
            (56, 7, 3584, false), (64, 8, 4096, true), (72, 9, 4608, false), (80, 10, 5120, false),
            (96, 12, 6144, false), (128, 16, 8192, true),
        ])
    func sizes(_ structPage: Int, _ small: Int, _ gigantic: Int, _ isPowerOfTwo: Bool) throws {
        for (size, pages) in [(HugePageSize.twoMebibytes, small), (.oneGibibyte, gigantic)] {
            let geometry = try Self.geometry(size, structPage)
            #expect(geometry.vmemmapPagesPerHugePage == PageCount(pages))
            #expect(geometry.hasPowerOfTwoStructPage == isPowerOfTwo)
            for scheme in Scheme.ofHugeTLB {
                let kept = scheme == .firstTail ? 2 : 1
                #expect(scheme.freedPages(geometry) == PageCount(isPowerOfTwo ? pages - kept : 0))
                let plan = try MappingPlan(geometry: geometry, scheme: scheme, hugePages: HugePageCount(3))
                #expect(plan.isWorthwhile == isPowerOfTwo)
                #expect(plan.framesPopulated == PageCount(3 * pages))
            }
        }
    }

    @Test("A size that no struct page has is no geometry", arguments: [0, -64, 48, 60, 63, 100, 136, 256, Int.max])
    func impossible(_ size: Int) {
        let geometry = Geometry(
            basePageSize: .kibibytes(4), hugePageSize: .twoMebibytes, structPageSize: ByteCount(size))
        #expect(geometry == nil)
    }

    @Test("A frame's struct page is found and leads back, and begins in the vmemmap page that the bytes say")
    func layout() throws {
        for size in Geometry.structPageSizes {
            let geometry = try Self.geometry(.twoMebibytes, size.rawValue)
            let layout = VmemmapLayout(geometry: geometry, base: Address(0x7f00_0000_0000), hugePages: HugePageCount(3))
            for frame in layout.frames {
                let address = layout.structPage(of: frame)
                #expect(layout.frame(describedAt: address) == frame)
                #expect(layout.frame(describedAt: address + ByteCount(8)) == nil)
                let offset = (address - layout.head(of: frame)).rawValue
                #expect(geometry.vmemmapPage(of: frame) == VmemmapPageIndex(offset / 4096))
            }
        }
    }

    @Test("The mask of 128 bytes leads every struct page of a huge page to its head", arguments: [9, 18])
    func mask(_ order: Int) {
        let size = ByteCount(128)
        let base = Address(0x7f00_0200_0000)
        let word = CompoundHead.tailWord(.mask, head: base, order: order, structPageSize: size)
        #expect(word == (order == 9 ? 0xffff_ffff_ffff_0001 : 0xffff_ffff_fe00_0001))
        let wrong = (0..<(1 << order)).filter { CompoundHead.masked(word, at: base + size * $0) != base }
        #expect(wrong.isEmpty)
    }

    private static func machine(_ size: Int, _ scheme: Scheme, _ backing: Backing) throws -> EmulatedMachine {
        try EmulatedMachine(
            MachineConfiguration(
                memory: .gibibytes(1), scheme: scheme, backing: backing,
                tailFrames: .frames(PageCount(scheme == .head ? 1 : 16)), structPageSize: ByteCount(size),
                optimizesAtBoot: true))
    }

    @Test(
        "128 bytes are optimized for real: frames, heads and contents are as planned",
        arguments: Scheme.ofHugeTLB, Backing.allCases)
    func padded(_ scheme: Scheme, _ backing: Backing) throws {
        let machine = try Self.machine(128, scheme, backing)
        let region = try #require(machine.region(.twoMebibytes))
        #expect(region.range.length == .mebibytes(32))
        try machine.setPool(.twoMebibytes, to: HugePageCount(70))
        #expect(machine.hugePages(.twoMebibytes).optimized == HugePageCount(70))
        // A page table maps the vmemmap of 32 of them.
        #expect(machine.memmap().splitPageTables == 3)
        try machine.expectWhole()
        let page = try machine.allocate(.twoMebibytes)
        for offset in [1, 511] { try? machine.poison(page.head.advanced(by: offset)) }
        try machine.free(page)
        try machine.dissolve(page.head)
        #expect([0, 1, 2, 511].filter { machine.isPoisoned(page.head.advanced(by: $0)) } == [1, 511])
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.expectWhole()
    }

    @Test("A gigantic page of 128-byte struct pages has 8192 vmemmap pages", arguments: Backing.allCases)
    func paddedGigantic(_ backing: Backing) throws {
        let machine = try Self.machine(128, .sharedTail, backing)
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        #expect(machine.hugePages(.oneGibibyte).optimized == HugePageCount(1))
        #expect(machine.memmap().splitPageTables == 16)
        try machine.expectWhole()
        try machine.setPool(.oneGibibyte, to: .zero)
        try machine.expectWhole()
    }

    @Test(
        "A size that is no power of two works, with every vmemmap page kept", arguments: [56, 72, 80, 96],
        Scheme.ofHugeTLB)
    func straddling(_ size: Int, _ scheme: Scheme) throws {
        let machine = try Self.machine(size, scheme, .anonymous)
        let region = try #require(machine.region(.twoMebibytes))
        #expect(region.range.length == ByteCount(512 * 512 * size))
        for (size, count) in [(HugePageSize.oneGibibyte, 1), (.twoMebibytes, 9)] {
            #expect(try machine.setPool(size, to: HugePageCount(count)).got == HugePageCount(count))
            #expect(machine.hugePages(size).optimized == .zero)
            try machine.expectWhole()
            if size == .twoMebibytes {
                let page = try machine.allocate(size)
                try machine.poison(page.head.advanced(by: 73))
                try machine.free(page)
                try machine.dissolve(page.head)
                #expect(machine.isPoisoned(page.head.advanced(by: 73)))
            }
            #expect(try machine.setPool(size, to: .zero).refusal == nil)
        }
        #expect(try ProcMaps.count(overlapping: machine.range) == MappingCount(1))
        #expect(machine.memmap().splitPageTables == 0 && machine.memmap().optimizeFailures == 0)
        try machine.expectWhole()
    }

    @Test(
        "Struct pages of any size are built byte for byte, and walked without a wrong head", arguments: Scheme.ofHugeTLB
    )
    func region(_ scheme: Scheme) throws {
        for size in Geometry.structPageSizes {
            let geometry = try Self.geometry(.twoMebibytes, size.rawValue)
            let region = try VmemmapRegion(
                try MappingPlan(geometry: geometry, scheme: scheme, hugePages: HugePageCount(5)))
            for _ in 0..<2 {
                #expect(region.visitEveryStructPage().wrong == 0, "\(size)")
                #expect(region.differencesFromPrepared().isEmpty, "\(size)")
                try region.optimize(region.all, writers: .excluded)
            }
            #expect((region.plan.framesFreed > .zero) == geometry.hasPowerOfTwoStructPage)
            #expect(try FrameCount.count(in: region.range).distinct == region.plan.framesOptimized)
            try region.restore(region.all, writers: .excluded)
            #expect(region.differencesFromPrepared().isEmpty, "\(size)")
        }
    }
}
