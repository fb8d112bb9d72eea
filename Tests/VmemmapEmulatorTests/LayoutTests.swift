import HostMemory
import Testing
import VmemmapEmulator

@Suite("Layout: pfn to struct page and back")
struct LayoutTests {
    static let base = Address(0x7f00_0100_0000)

    private func layout(_ expected: GeometryCase, pages: Int = 5) throws -> VmemmapLayout {
        VmemmapLayout(geometry: try expected.geometry(), base: Self.base, hugePages: HugePageCount(pages))
    }

    @Test("pfn to struct page and back is the identity, for every frame at the edges", arguments: GeometryCase.all)
    func roundTrip(_ expected: GeometryCase) throws {
        let layout = try layout(expected)
        let count = layout.frames.count
        #expect(count == 5 << expected.order)
        for number in [0, 1, count / 2, count - 2, count - 1] {
            let frame = PageFrameNumber(number)
            let address = layout.structPage(of: frame)
            #expect(address == Self.base + ByteCount(64 * number))
            #expect(layout.frame(describedAt: address) == frame)
        }
    }

    @Test("An address that is no struct page of the region describes no frame", arguments: GeometryCase.all)
    func noFrame(_ expected: GeometryCase) throws {
        let layout = try layout(expected)
        let end = layout.structPage(of: layout.frames.upperBound)
        for address in [Address(0), Self.base - ByteCount(64), Self.base + ByteCount(1), end, Address(.max)] {
            #expect(layout.frame(describedAt: address) == nil)
        }
        #expect(layout.frame(describedAt: end - ByteCount(64)) == layout.frames.upperBound.advanced(by: -1))
    }

    @Test("The head of every frame of a huge page is the huge page's first struct page", arguments: GeometryCase.all)
    func heads(_ expected: GeometryCase) throws {
        let layout = try layout(expected)
        for page in layout.allHugePages {
            let first = layout.geometry.headFrame(of: page)
            let head = layout.structPage(of: first)
            #expect(layout.vmemmap(of: page).start == head)
            for offset in [0, 1, layout.geometry.basePagesPerHugePage / 2, layout.geometry.basePagesPerHugePage - 1] {
                #expect(layout.head(of: first.advanced(by: offset)) == head)
            }
        }
    }

    @Test("The vmemmap of the huge pages is one gapless run, its tails all but the first page of each")
    func ranges() throws {
        let layout = try layout(GeometryCase.all[0])
        var expected = Self.base
        for page in layout.allHugePages {
            let vmemmap = layout.vmemmap(of: page)
            #expect(vmemmap.start == expected)
            #expect(vmemmap.length == .kibibytes(32))
            #expect(layout.tails(of: page).start == expected + .kibibytes(4))
            #expect(layout.tails(of: page).end == vmemmap.end)
            expected = vmemmap.end
        }
    }

    @Test("A tail's compound_head is the head's address with bit 0 set; any word without bit 0 is a head's own")
    func encoding() {
        let head = Self.base
        let tail = head + ByteCount(64 * 17)
        let word = CompoundHead.tailWord(.pointer, head: head, order: 9)
        #expect(word == UInt64(head.rawValue) + 1)
        #expect(CompoundHead.decoded(word, at: tail) == head)
        for own: UInt64 in [0, 2, 0xdead_0000_0000_0400, UInt64.max - 1] {
            #expect(CompoundHead.decoded(own, at: tail) == tail)
        }
        #expect(CompoundHead.decoded(.max, at: tail) == Address(UInt.max - 1))
    }
}
