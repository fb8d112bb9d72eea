import HostMemory
import Testing
import VmemmapEmulator

@Suite("The mapping plan")
struct MappingPlanTests {
    private func plan(_ size: HugePageSize, _ count: Int, base: ByteCount = .kibibytes(4)) throws -> MappingPlan {
        let geometry = try #require(Geometry(basePageSize: base, hugePageSize: size))
        return try MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: HugePageCount(count))
    }

    @Test("The first zone has the first half of the huge pages, rounded up")
    func zones() throws {
        let plan = try plan(.twoMebibytes, 5)
        #expect((0..<5).map { plan.zone(of: HugePageIndex($0)) } == [0, 0, 0, 1, 1])
        #expect(plan.zones == 2)
    }

    @Test("Huge pages are counted and named with their unit")
    func units() {
        #expect("\(HugePageCount(1)), \(HugePageCount(64))" == "1 huge page, 64 huge pages")
        #expect("\(HugePageIndex(3)), \(VmemmapPageIndex(7))" == "huge page 3, vmemmap page 7")
        #expect("\(PageFrameNumber(512))" == "pfn 512")
    }

    @Test("What a scheme says of itself: others ask for that, and not for its name")
    func facts() {
        #expect(Scheme.ofHugeTLB == [.firstTail, .head, .sharedTail])
        #expect(Scheme.allCases.filter { !$0.takesTailFrames } == [.head])
        #expect(Scheme.allCases.filter(\.usesTemplates) == [.sharedTail])
        #expect(Scheme.allCases.filter { $0.construction == .optimized } == [.deviceDax])
    }

    @Test("What each scheme keeps and frees of a huge page")
    func keptPages() throws {
        let geometry = try plan(.twoMebibytes, 1).geometry
        #expect(Scheme.ofHugeTLB.map(\.keptPages.rawValue) == [2, 1, 1])
        #expect(Scheme.ofHugeTLB.map { $0.freedPages(geometry).rawValue } == [6, 7, 7])
    }

    @Test(
        "First tail: page 1 keeps its frame and stays writable, every later page shows it, one mapping each, in order")
    func replacements() throws {
        for (size, pages) in [(HugePageSize.twoMebibytes, 8), (.oneGibibyte, 4096)] {
            let plan = try plan(size, 3)
            #expect(plan.isWorthwhile)
            #expect(plan.replacements.map(\.first.rawValue) == Array(1..<pages))
            #expect(plan.replacements.allSatisfy { $0.count == PageCount(1) && $0.frame == .own(0) })
            #expect(plan.replacements.first?.protection == .readWrite)
            #expect(plan.replacements.dropFirst().allSatisfy { $0.protection == .readOnly })
            #expect(plan.sharedFramesPerHugePage == PageCount(1))
        }
    }

    @Test("Frames and mappings of 10240 x 2 MiB, the v5 benchmark")
    func benchmark() throws {
        let plan = try plan(.twoMebibytes, 10240)
        #expect(plan.framesPopulated == PageCount(81920))
        #expect(plan.framesFreed == PageCount(61440))
        #expect(plan.framesOptimized == PageCount(20480))
        #expect(plan.fileFrames(optimized: plan.hugePages) == PageCount(10240))
        #expect(plan.mappings(.populated) == .zero)
        #expect(plan.mappings(.optimized) == MappingCount(8))
        #expect(plan.mappings(.restored) == .zero)
        #expect(plan.regionMappings(.populated) == MappingCount(1))
        #expect(plan.regionMappings(.optimized) == MappingCount(81920))
        // One for each 64 that are moved in together.
        #expect(plan.regionMappings(.restored) == MappingCount(160))
    }

    @Test("1 TiB of 2 MiB huge pages: 12 GiB gross, and what 4194304 mappings cost comes off it")
    func tebibyteOfSmall() throws {
        let plan = try plan(.twoMebibytes, 524_288)
        #expect(plan.framesPopulated.bytes(pageSize: .kibibytes(4)) == .gibibytes(16))
        #expect(plan.grossSaving == .gibibytes(12))
        // 8 x 524288 mappings instead of 1, at 256 bytes: 1 GiB less 256 bytes.
        #expect(plan.overhead(.assumed) == .gibibytes(1) - ByteCount(256))
        #expect(plan.netSaving(.assumed) == .gibibytes(11) + ByteCount(256))
    }

    @Test("1 TiB of 1 GiB huge pages: 4094 vmemmap pages each, 16 GiB less 8 MiB gross")
    func tebibyteOfGigantic() throws {
        let plan = try plan(.oneGibibyte, 1024)
        #expect(plan.framesFreed == PageCount(4094 * 1024))
        #expect(plan.grossSaving == .gibibytes(16) - .mebibytes(8))
        #expect(plan.mappings(.optimized) == MappingCount(4096))
        // As many mappings as 1 TiB of 2 MiB pages: 4096 x 1024.
        #expect(plan.overhead(.assumed) == .gibibytes(1) - ByteCount(256))
        #expect(plan.netSaving(.assumed) == .gibibytes(15) - .mebibytes(8) + ByteCount(256))
    }

    @Test("A single huge page: 24 KiB and 16376 KiB, the kernel's own words for this scheme")
    func single() throws {
        #expect(try plan(.twoMebibytes, 1).grossSaving == .kibibytes(24))
        #expect(try plan(.oneGibibyte, 1).grossSaving == .kibibytes(16376))
        // 7 mappings more than the one there was.
        #expect(try plan(.twoMebibytes, 1).overhead(.assumed) == ByteCount(7 * 256))
    }

    @Test("Where the struct pages do not fill two vmemmap pages there is nothing to replace, free or pay for")
    func notWorthwhile() throws {
        for base in [ByteCount.kibibytes(16), .kibibytes(64)] {
            let plan = try plan(.twoMebibytes, 100, base: base)
            #expect(!plan.isWorthwhile)
            #expect(plan.replacements.isEmpty)
            #expect(plan.framesFreed == .zero)
            #expect(plan.fileFrames(optimized: plan.hugePages) == .zero)
            #expect(plan.grossSaving == .zero)
            #expect(plan.netSaving(.assumed) == .zero)
            for state in [HugePageState.populated, .optimized, .restored] {
                #expect(plan.mappings(state) == .zero)
                #expect(plan.regionMappings(state) == MappingCount(1))
            }
        }
    }

    @Test("Three vmemmap pages are the fewest that save anything")
    func threshold() throws {
        // 4 KiB base pages: 256, 512 and 1024 KiB of huge page have 1, 2 and 4 vmemmap pages.
        for (kibibytes, freed) in [(256, 0), (512, 0), (1024, 2)] {
            let size = try #require(HugePageSize(bytes: .kibibytes(kibibytes)))
            let plan = try plan(size, 1)
            #expect(plan.framesFreed == PageCount(freed))
            #expect(plan.isWorthwhile == (freed > 0))
            #expect(plan.replacements.count == (freed > 0 ? 3 : 0))
        }
    }

    @Test("Larger base pages: 254 and 14 frames for 1 GiB")
    func largerBasePages() throws {
        #expect(try plan(.oneGibibyte, 2, base: .kibibytes(16)).framesFreed == PageCount(508))
        #expect(try plan(.oneGibibyte, 2, base: .kibibytes(16)).grossSaving == .kibibytes(508 * 16))
        #expect(try plan(.oneGibibyte, 2, base: .kibibytes(64)).framesFreed == PageCount(28))
    }

    @Test("Names that go into reports do not change")
    func names() throws {
        #expect(Scheme.firstTail.rawValue == "first-tail")
        #expect(Scheme(rawValue: "first-tail") == .firstTail)
        #expect(Scheme(rawValue: "firstTail") == nil)
        #expect(MappingPlan.ReplacementProtection.readWrite.rawValue == "readWrite")
        #expect(MappingPlan.ReplacementProtection.readOnly.rawValue == "readOnly")
        #expect(HugePageIndex(rawValue: 7).advanced(by: -2) == HugePageIndex(5))
        #expect(HugePageIndex(3).distance(to: HugePageIndex(10)) == 7)
        #expect(MappingCost.assumed.bytesPerMapping == ByteCount(256))
    }
}
