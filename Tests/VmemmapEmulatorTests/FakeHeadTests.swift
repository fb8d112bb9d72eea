import CSystemShims
import HostMemory
import Testing
import VmemmapEmulator

@Suite("Fake heads on real memory")
struct FakeHeadTests {
    static let shapes = Backing.allCases.flatMap { backing in
        [
            Shape(size: .twoMebibytes, pages: 3, scheme: .head, backing: backing),
            Shape(size: .oneGibibyte, pages: 1, scheme: .head, backing: backing),
        ]
    }

    /// The frames whose struct page is the first of a tail vmemmap page.
    private func starts(_ region: VmemmapRegion) -> [PageFrameNumber] {
        region.all.flatMap { page in
            (1...region.lastVmemmapPage).map { region.frame(inVmemmapPage: $0, of: page.rawValue) }
        }
    }

    private func looksLikeHead(_ page: vme_page) -> Bool {
        page.flags & StructPage.headFlag != 0 && page.compound_head & 1 == 0
    }

    private func looksLikeTail(_ page: vme_page) -> Bool {
        page.flags & StructPage.headFlag == 0 && page.compound_head & 1 == 1
    }

    /// The eight words of a struct page.
    private func words(_ region: VmemmapRegion, _ frame: PageFrameNumber) -> [UInt64] {
        let start = region.layout.structPage(of: frame)
        // SAFETY: the struct page lies in the region, which is mapped readable and alive.
        return (0..<8).map { unsafe MemoryAccess.load(start + ByteCount(8 * $0)) }
    }

    @Test(
        "The first struct page of each tail vmemmap page looks like a head while optimized, like a tail otherwise",
        arguments: shapes)
    func looks(_ shape: Shape) throws {
        let region = try shape.region()
        let starts = starts(region)
        for _ in 0..<2 {
            #expect(try starts.allSatisfy { try looksLikeTail(region.structPage($0)) })
            try region.optimize(region.all, writers: .excluded)
            #expect(try starts.allSatisfy { try looksLikeHead(region.structPage($0)) })
            // Who takes it for what it looks like is wrong; the scheme's own reader is not.
            let fooled = try starts.filter { frame in
                let word = try region.structPage(frame).compound_head
                let address = region.layout.structPage(of: frame)
                return CompoundHead.decoded(word, at: address) == address
            }
            #expect(fooled == starts)
            #expect(region.wrongHeads().isEmpty)
            try region.restore(region.all, writers: .excluded)
            #expect(try starts.allSatisfy { try looksLikeTail(region.structPage($0)) })
            #expect(region.wrongHeads().isEmpty)
        }
    }

    @Test("Of 512 struct pages of an optimized huge page 8 look like heads: the real one and 7 fakes")
    func count() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1, scheme: .head).region()
        func heads() throws -> [Int] {
            try region.layout.frames.filter { try looksLikeHead(region.structPage($0)) }.map(\.rawValue)
        }
        #expect(try heads() == [0])
        try region.optimize(region.all, writers: .excluded)
        #expect(try heads() == [0, 64, 128, 192, 256, 320, 384, 448])
        try region.restore(region.all, writers: .excluded)
        #expect(try heads() == [0])
    }

    @Test("What the head's struct pages in use hold does not reach the restored tails", arguments: shapes)
    func reset(_ shape: Shape) throws {
        let region = try shape.region()
        try region.optimize(region.all, writers: .excluded)
        for page in region.all {
            let head = region.plan.geometry.headFrame(of: page)
            // Struct pages 0 to 4; number 5, of which the reset makes the others, stays as it was.
            for number in 0..<StructPage.usedSubpages {
                try region.addToRefcount(of: head.advanced(by: number), Int32(100 + number))
            }
        }
        // They are seen through every tail vmemmap page.
        for start in starts(region) { #expect(try region.refcount(of: start.advanced(by: 4)) == 104) }
        try region.restore(region.all, writers: .excluded)
        for start in starts(region) {
            let pattern = words(region, start.advanced(by: StructPage.usedSubpages))
            for number in 0..<StructPage.usedSubpages {
                #expect(words(region, start.advanced(by: number)) == pattern, "\(start) + \(number)")
            }
            #expect(try region.refcount(of: start.advanced(by: 4)) == 0)
        }
        for page in region.all {
            let head = region.plan.geometry.headFrame(of: page)
            let counts = try (0..<StructPage.usedSubpages).map { try region.refcount(of: head.advanced(by: $0)) }
            #expect(counts == [101, 101, 102, 103, 104])
        }
    }
}
