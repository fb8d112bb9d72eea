import HostMemory
import Testing
import VmemmapEmulator

/// The sizes of one geometry, worked out by hand.
struct GeometryCase: Sendable, CustomTestStringConvertible {
    let base: ByteCount
    let huge: HugePageSize
    let order: Int
    let structBytes: ByteCount
    let vmemmapPages: Int
    let freed: Int
    let isGigantic: Bool

    var testDescription: String { "base \(base.rawValue >> 10) KiB, huge \(huge.bytes.rawValue >> 20) MiB" }

    func geometry() throws -> Geometry { try #require(Geometry(basePageSize: base, hugePageSize: huge)) }

    static let all = [
        GeometryCase(
            base: .kibibytes(4), huge: .twoMebibytes, order: 9, structBytes: .kibibytes(32), vmemmapPages: 8, freed: 6,
            isGigantic: false),
        GeometryCase(
            base: .kibibytes(4), huge: .oneGibibyte, order: 18, structBytes: .mebibytes(16), vmemmapPages: 4096,
            freed: 4094, isGigantic: true),
        GeometryCase(
            base: .kibibytes(16), huge: .twoMebibytes, order: 7, structBytes: .kibibytes(8), vmemmapPages: 0, freed: 0,
            isGigantic: false),
        GeometryCase(
            base: .kibibytes(16), huge: .oneGibibyte, order: 16, structBytes: .mebibytes(4), vmemmapPages: 256,
            freed: 254, isGigantic: false),
        GeometryCase(
            base: .kibibytes(64), huge: .twoMebibytes, order: 5, structBytes: .kibibytes(2), vmemmapPages: 0, freed: 0,
            isGigantic: false),
        GeometryCase(
            base: .kibibytes(64), huge: .oneGibibyte, order: 14, structBytes: .mebibytes(1), vmemmapPages: 16,
            freed: 14, isGigantic: false),
    ]
}

@Suite("Geometry")
struct GeometryTests {
    @Test("Every base page and huge page has the sizes worked out by hand", arguments: GeometryCase.all)
    func sizes(_ expected: GeometryCase) throws {
        let geometry = try expected.geometry()
        #expect(geometry.order == expected.order)
        #expect(geometry.basePagesPerHugePage == 1 << expected.order)
        #expect(geometry.vmemmapBytesPerHugePage == expected.structBytes)
        #expect(geometry.vmemmapPagesPerHugePage == PageCount(expected.vmemmapPages))
        #expect(geometry.structPagesPerVmemmapPage == expected.base.rawValue / 64)
        #expect(geometry.isGigantic == expected.isGigantic)
        #expect(Scheme.firstTail.freedPages(geometry) == PageCount(expected.freed))
    }

    @Test("A base page that Linux does not have, or a huge page no larger than it, is no geometry")
    func impossible() {
        for base in [0, -4096, 1, 2048, 8192, 4095, 1 << 20, Int.max] {
            #expect(Geometry(basePageSize: ByteCount(base), hugePageSize: .twoMebibytes) == nil)
        }
        for bytes in [0, -1, Int.min, 3, (2 << 20) - 1, Int.max] {
            #expect(HugePageSize(bytes: ByteCount(bytes)) == nil)
        }
        let small = HugePageSize(bytes: .kibibytes(16))
        #expect(small.flatMap { Geometry(basePageSize: .kibibytes(16), hugePageSize: $0) } == nil)
        #expect(small.flatMap { Geometry(basePageSize: .kibibytes(4), hugePageSize: $0) } != nil)
    }

    @Test("The vmemmap of any count is exact or nil, and never traps", arguments: GeometryCase.all)
    func regionLength(_ expected: GeometryCase) throws {
        let geometry = try expected.geometry()
        #expect(geometry.regionLength(HugePageCount(1024)) == expected.structBytes * 1024)
        #expect(geometry.regionLength(.zero) == .zero)
        for count in [Int.max, Int.max / 2, Int.min] {
            #expect(geometry.regionLength(HugePageCount(count)) == nil)
        }
        let most = Int.max / expected.structBytes.rawValue
        #expect(geometry.regionLength(HugePageCount(most)) != nil)
        #expect(geometry.regionLength(HugePageCount(most + 1)) == nil)
    }

    @Test("A frame lies in one huge page and one vmemmap page", arguments: GeometryCase.all)
    func frames(_ expected: GeometryCase) throws {
        let geometry = try expected.geometry()
        let perVmemmapPage = geometry.structPagesPerVmemmapPage
        let last = geometry.basePagesPerHugePage - 1
        for page in [0, 1, 77].map({ HugePageIndex($0) }) {
            let head = geometry.headFrame(of: page)
            for offset in [0, 1, min(perVmemmapPage - 1, last), min(perVmemmapPage, last), last] {
                let frame = head.advanced(by: offset)
                #expect(geometry.hugePage(of: frame) == page)
                #expect(geometry.vmemmapPage(of: frame) == VmemmapPageIndex(offset / perVmemmapPage))
            }
        }
    }
}
