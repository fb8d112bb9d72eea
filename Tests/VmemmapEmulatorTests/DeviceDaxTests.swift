import CSystemShims
import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("Device DAX: built shared, writable, never restored")
struct DeviceDaxTests {
    private static func plan(
        _ size: HugePageSize = .twoMebibytes, _ pages: Int = 3, _ backing: Backing = .anonymous, run: Int = 1,
        base: ByteCount = HostLimits.pageSize
    ) throws -> MappingPlan {
        let geometry = try #require(Geometry(basePageSize: base, hugePageSize: size))
        return try MappingPlan(
            geometry: geometry, scheme: .deviceDax, backing: backing, hugePages: HugePageCount(pages),
            tailFrames: .frames(PageCount(run)))
    }

    @Test("Frames, mappings and contents are as planned, and readers find every head", arguments: Backing.allCases)
    func built(_ backing: Backing) throws {
        for (size, pages, run) in [(HugePageSize.twoMebibytes, 5, 1), (.twoMebibytes, 3, 3), (.oneGibibyte, 1, 16)] {
            let region = try VmemmapRegion(Self.plan(size, pages, backing, run: run), .optimized)
            try region.expectAll(.optimized)
            #expect(region.visitEveryStructPage().wrong == 0)
        }
    }

    @Test("The same of every architecture's sizes", arguments: Backing.allCases)
    func architectures(_ backing: Backing) throws {
        var built = 0
        for (base, size) in Architecture.hugePages {
            let plan = try Self.plan(size, 1, backing, base: base)
            guard plan.isWorthwhile else { continue }
            let region = try VmemmapRegion(plan, .optimized)
            try region.expectAll(.optimized, "\(base) \(size)")
            #expect(region.visitEveryStructPage().wrong == 0)
            built += 1
        }
        #expect(built == Set(Shape.architectures.map { [$0.base, $0.size.bytes] }).count)
    }

    @Test("1 TiB keeps 4 GiB with 2 MiB pages; 8 MiB with 1 GiB pages, 40 MiB with their page tables")
    func tebibyte() throws {
        let small = try Self.plan(.twoMebibytes, 524_288)
        #expect(small.framesPopulated.bytes(pageSize: .kibibytes(4)) == .gibibytes(16))
        #expect(small.framesOptimized.bytes(pageSize: .kibibytes(4)) == .gibibytes(4))
        let large = try Self.plan(.oneGibibyte, 1024)
        let kept = large.framesOptimized.bytes(pageSize: .kibibytes(4))
        // A page table for each 2 MiB of struct pages.
        let tables = ByteCount.kibibytes(4) * (ByteCount.gibibytes(16).rawValue >> 21)
        #expect(kept == .mebibytes(8) && kept + tables == .mebibytes(40))
    }

    @Test("A store through one tail shows in every vmemmap page but the first, and breaks the heads of them all")
    func aliases() throws {
        let region = try VmemmapRegion(Self.plan(), .optimized)
        let frame = region.frame(inVmemmapPage: 4, of: 1).advanced(by: 9)
        try region.addToRefcount(of: frame, 3)
        let shown = (0..<8).map { page in
            try? region.refcount(of: region.frame(inVmemmapPage: page, of: 1).advanced(by: 9))
        }
        #expect(shown == [0] + Array(repeating: 3, count: 7))
        try region.addToRefcount(of: frame, -3)
        try region.expectAll(.optimized)
        // What HugeTLB's read-only tails would stop with a fault goes through here.
        let word = region.layout.structPage(of: frame) + StructPage.compoundHeadOffset
        // SAFETY: the word lies in the region, which is mapped read-write.
        #expect(unsafe MemoryAccess.tryStore(0xbad1, at: word) == .done)
        #expect(region.wrongHeads().count == 7)
        #expect(region.wrongHeads().allSatisfy { region.plan.geometry.hugePage(of: $0) == HugePageIndex(1) })
    }

    @Test("It is not built populated, and neither optimized nor restored")
    func neverRemapped() throws {
        let built = #expect(throws: VmemmapError.self) { _ = try VmemmapRegion(Self.plan()) }
        #expect(built?.cause == .neverRemapped(.deviceDax))
        let region = try VmemmapRegion(Self.plan(), .optimized)
        let optimized = #expect(throws: VmemmapError.self) { try region.optimize() }
        #expect(optimized?.cause == .neverRemapped(.deviceDax))
        let restored = #expect(throws: VmemmapError.self) { try region.restore() }
        #expect(restored?.cause == .neverRemapped(.deviceDax))
        #expect(try region.mend(region.all).isEmpty)
        try region.expectAll(.optimized)
    }

    @Test("A client's region is built optimized, and walked without a wrong head", arguments: Backing.allCases)
    func ofClient(_ backing: Backing) throws {
        let region = try VmemmapRegion(hugePages: 3, scheme: .deviceDax, backing: backing)
        try region.expectAll(.optimized)
        #expect(region.visitEveryStructPage().wrong == 0)
        #expect(try region.memory().frames == region.plan.framesOptimized)
    }

    @Test("It is a compound page and no HugeTLB page: heads and tails, none of them huge")
    func flags() throws {
        let region = try VmemmapRegion(Self.plan(), .optimized)
        let flags = region.kernelPageFlags(ofHugePage: HugePageIndex(2))
        let tail = KernelPageFlag.compoundTail.mask
        #expect(flags == [KernelPageFlag.compoundHead.mask] + Array(repeating: tail, count: 511))
        #expect(region.kernelPageCounts(ofHugePage: HugePageIndex(2)) == Array(repeating: 0, count: 512))
    }

    @Test("An altmap is refused, and so is what has two vmemmap pages or fewer")
    func refusals() throws {
        let geometry = try Self.plan().geometry
        #expect(DeviceVmemmap.refusal(geometry, isAltmap: false) == nil)
        #expect(DeviceVmemmap.refusal(geometry, isAltmap: true)?.contains("vmemmap_can_optimize()") == true)
        let small = try #require(HugePageSize(bytes: .kibibytes(512)))
        let short = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: small))
        #expect(DeviceVmemmap.refusal(short, isAltmap: false) == "a compound page has 2 vmemmap pages, of which 2 stay")
    }
}
