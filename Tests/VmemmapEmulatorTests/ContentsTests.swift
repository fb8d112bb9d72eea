import CSystemShims
import HostMemory
import Testing
import VmemmapEmulator

@Suite("What the struct pages hold")
struct ContentsTests {
    @Test("The prep of a compound page, field by field: built, optimized and restored", arguments: Shape.all)
    func fields(_ shape: Shape) throws {
        let region = try shape.region()
        try expectPrepared(region)
        try region.optimize(region.all, writers: .excluded)
        try expectPrepared(region)
        try region.restore(region.all, writers: .excluded)
        try expectPrepared(region)
    }

    private func expectPrepared(_ region: VmemmapRegion) throws {
        #expect(region.wrongHeads().isEmpty)
        let geometry = region.plan.geometry
        for page in [region.all.lowerBound, region.all.upperBound.advanced(by: -1)] {
            let first = geometry.headFrame(of: page)
            let head = try region.structPage(first)
            // ZONE_NORMAL for the first half of the memory, ZONE_MOVABLE for the second.
            let zone: UInt64 = region.plan.zone(of: page) == 0 ? 2 << 61 : 3 << 61
            #expect(head.flags == 1 << 16 | zone)
            #expect(head.compound_head == 0)
            #expect(head.refcount == 1)
            #expect(head.mapping == 0)
            #expect(head.mapcount == -1)
            let firstTail = try region.structPage(first.advanced(by: 1))
            #expect(firstTail.compound_order == (geometry.hugePageSize == .twoMebibytes ? 9 : 18))
            #expect(firstTail.compound_dtor == 2)
            #expect(firstTail.compound_mapcount == -1)
            // compound_nr lies over the low half of mapping.
            #expect(firstTail.mapping & 0xffff_ffff == UInt64(geometry.basePagesPerHugePage))
            for offset in 1..<geometry.basePagesPerHugePage {
                let tail = try region.structPage(first.advanced(by: offset))
                guard tail.flags == zone, tail.refcount == 0, tail.mapcount == -1, tail.memcg_data == 0,
                    tail.compound_head == UInt64(region.layout.vmemmap(of: page).start.rawValue) | 1,
                    offset == 1 || tail.mapping == 0xdead_0000_0000_0400
                else {
                    Issue.record("the struct page at \(offset) of huge page \(page) is \(tail)")
                    return
                }
            }
        }
    }

    @Test(
        "A difference from what was prepared is found: page, vmemmap page and byte, up to the last struct page of one",
        arguments: [2, 63])
    func difference(_ offset: Int) throws {
        let region = try Shape(size: .twoMebibytes, pages: 3).region()
        #expect(region.differencesFromPrepared().isEmpty)
        let frame = region.frame(inVmemmapPage: 5, of: 1).advanced(by: offset)
        try region.addToRefcount(of: frame, 3)
        #expect(try region.refcount(of: frame) == 3)
        let differences = region.differencesFromPrepared()
        #expect(differences.map(\.page) == [HugePageIndex(1)])
        #expect(differences.map(\.vmemmapPage) == [VmemmapPageIndex(5)])
        #expect(differences.map(\.offset) == [ByteCount(offset * 64 + 52)])
        try region.addToRefcount(of: frame, -3)
        #expect(region.differencesFromPrepared().isEmpty)
    }

    @Test("What was written to page 1 while optimized is in every tail after the restore, as v5 patch 11 copies it")
    func firstTailIsCopied() throws {
        let region = try Shape(size: .twoMebibytes, pages: 2).region()
        try region.optimize(region.all, writers: .excluded)
        try region.addToRefcount(of: region.frame(inVmemmapPage: 1, of: 1).advanced(by: 7), 5)
        for state in ["optimized", "restored"] {
            for vmemmapPage in 1...region.lastVmemmapPage {
                let frame = region.frame(inVmemmapPage: vmemmapPage, of: 1).advanced(by: 7)
                #expect(try region.refcount(of: frame) == 5, "vmemmap page \(vmemmapPage), \(state)")
                #expect(try region.refcount(of: frame.advanced(by: 1)) == 0)
            }
            try region.restore(region.all, writers: .excluded)
        }
    }

    @Test(
        "The region is aligned for mask-encoded compound heads and lies between two guard pages", arguments: Shape.all)
    func placement(_ shape: Shape) throws {
        let region = try shape.region()
        #expect(region.range.start.rawValue.isMultiple(of: 16 << 20))
        #expect(region.range.length == region.plan.geometry.vmemmapBytesPerHugePage * shape.pages)
        let page = HostLimits.pageSize
        for guardPage in [region.range.start - page, region.range.end] {
            // SAFETY: the guard page belongs to the region; the store does not happen.
            #expect(unsafe MemoryAccess.tryStore(0, at: guardPage) == .refused)
            #expect(unsafe MemoryAccess.tryLoad(guardPage) == nil)
        }
    }

    @Test("Struct pages that fill no whole vmemmap page are prepared all the same, and optimizing leaves them alone")
    func smallHugePages() throws {
        for (kibibytes, pages) in [(8, 3), (64, 1), (128, 3), (128, 4), (256, 5), (512, 5)] {
            let size = try #require(HugePageSize(bytes: .kibibytes(kibibytes)))
            let region = try Shape(size: size, pages: pages).region()
            #expect(!region.plan.isWorthwhile)
            for _ in 0..<2 {
                #expect(region.wrongHeads().isEmpty, "\(pages) x \(kibibytes) KiB")
                #expect(try region.structPage(PageFrameNumber(0)).flags == 1 << 16 | 2 << 61)
                #expect(region.differencesFromPrepared().isEmpty)
                #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings)
                try region.optimize(region.all, writers: .excluded)
                try region.restore(region.all, writers: .excluded)
                #expect(region.states.allSatisfy { $0 == .populated })
            }
        }
    }
}
