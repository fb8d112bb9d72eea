import CSystemShims
import HostMemory
import Testing
import VmemmapEmulator

@Suite("Templates of a zone on real memory")
struct SharedTemplateTests {
    static let shapes = Backing.allCases.flatMap { backing in
        [(HugePageSize.twoMebibytes, 5, 1), (.twoMebibytes, 5, 3), (.twoMebibytes, 5, 7), (.oneGibibyte, 3, 512)].map {
            Shape(size: $0, pages: $1, scheme: .sharedTail, backing: backing, tailFrames: $2)
        }
    }

    /// The frame that a vmemmap page shows: its place in a file, or none for anonymous memory.
    private func offsets(_ region: VmemmapRegion, _ page: Int) throws -> [ByteCount?] {
        var offsets: [ByteCount?] = []
        let tails = region.layout.tails(of: HugePageIndex(page))
        try PageMap.forEachPage(in: tails) { (view) throws(HostError) in offsets.append(view.file?.offset) }
        return offsets
    }

    @Test("All huge pages of a zone show the same frames, those of two zones none in common", arguments: shapes)
    func sameFrames(_ shape: Shape) throws {
        let region = try shape.region()
        try region.optimize(region.all, writers: .excluded)
        #expect(region.visitEveryStructPage().wrong == 0)
        // The first half and the odd one lie in the first zone.
        let half = (shape.pages + 1) / 2
        let first = try offsets(region, 0)
        let second = try offsets(region, half)
        for page in 0..<shape.pages {
            #expect(try offsets(region, page) == (page < half ? first : second), "huge page \(page)")
        }
        #expect(!first.contains(nil) && !second.contains(nil))
        #expect(Set(first).count == shape.tailFrames)
        #expect(Set(second).count == shape.tailFrames)
        #expect(Set(first).isDisjoint(with: second))
        // A head of its own for each huge page, and the templates of both zones.
        let frames = PageCount(shape.pages + 2 * shape.tailFrames)
        #expect(region.plan.framesOptimized == frames)
        #expect(try FrameCount.count(in: region.range).distinct == frames)
    }

    @Test("A run repeats: every so many vmemmap pages the same frame", arguments: shapes)
    func period(_ shape: Shape) throws {
        let region = try shape.region()
        try region.optimize(region.all, writers: .excluded)
        let offsets = try offsets(region, 0)
        #expect(offsets.count == region.lastVmemmapPage)
        let wrong = offsets.indices.filter { offsets[$0] != offsets[$0 % shape.tailFrames] }
        #expect(wrong.isEmpty)
    }

    @Test("Templates carry their zone's number in flags and nothing else that differs", arguments: shapes)
    func zones(_ shape: Shape) throws {
        let region = try shape.region()
        let half = (shape.pages + 1) / 2
        let order = region.plan.geometry.order
        for round in 0..<2 {
            if round == 1 { try region.optimize(region.all, writers: .excluded) }
            for page in 0..<shape.pages {
                for vmemmapPage in [1, 2, region.lastVmemmapPage] {
                    for number in [0, 1, 63] {
                        let frame = region.frame(inVmemmapPage: vmemmapPage, of: page).advanced(by: number)
                        let structPage = try region.structPage(frame)
                        // ZONE_NORMAL and ZONE_MOVABLE.
                        #expect(structPage.flags == UInt64(page < half ? 2 : 3) << 61)
                        #expect(
                            structPage.compound_head
                                == CompoundHead.tailWord(.mask, head: Address(0), order: order))
                        #expect(structPage.mapping == VME_TAIL_MAPPING && structPage.mapcount == -1)
                        #expect(structPage.refcount == 0 && structPage.index == 0 && structPage.private_data == 0)
                    }
                }
            }
        }
    }

    @Test("One huge page alone has one zone's templates", arguments: Backing.allCases)
    func single(_ backing: Backing) throws {
        let region = try Shape(size: .twoMebibytes, pages: 1, scheme: .sharedTail, backing: backing, tailFrames: 3)
            .region()
        try region.expectAll(.populated)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
        #expect(try FrameCount.count(in: region.range).distinct == PageCount(4))
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
    }
}
