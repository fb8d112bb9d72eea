import Testing

@testable import HostMemory

/// Pictures of memory that cannot be had on demand, and the corners of those that can.
@Suite("Adding up frames")
struct FrameTallyTests {
    private static let present: UInt64 = 1 << 63
    private static let swapped: UInt64 = 1 << 62
    private static let fileOrShared: UInt64 = 1 << 61
    private static let pageSize = ByteCount(4096)

    private static let fileA = Mapping.FileIdentity(device: 1, inode: 7)
    private static let fileB = Mapping.FileIdentity(device: 2, inode: 7)

    private func anonymous(_ pfn: UInt64) -> PageView {
        PageView(address: Address(0), entry: PageMapEntry(rawValue: Self.present | pfn), file: nil)
    }

    /// A page of a file; `pfn` nil where it is not faulted in.
    private func page(_ index: Int, of file: Mapping.FileIdentity, pfn: UInt64?) -> PageView {
        let entry = pfn.map { Self.present | Self.fileOrShared | $0 } ?? 0
        return PageView(
            address: Address(0), entry: PageMapEntry(rawValue: entry), file: (file, Self.pageSize * index))
    }

    private func count(_ method: FrameCount.Method, _ pages: [PageView]) -> FrameCount {
        var tally = FrameTally(method: method, pageSize: Self.pageSize)
        for page in pages { tally.add(page) }
        return tally.count()
    }

    private static let methods: [FrameCount.Method] = [.pfn, .fileOffset]

    @Test("The bits of an entry")
    func entry() {
        let entry = PageMapEntry(rawValue: Self.present | Self.fileOrShared | 1 << 55 | 1 << 56 | 0x1234)
        #expect(entry.isPresent && entry.isFileOrShared && !entry.isSwapped)
        #expect(entry.pfn == 0x1234)
        #expect(PageMapEntry(rawValue: .max).pfn == 1 << 55 - 1)
        // The low bits of a swapped page are its place in swap, and no frame.
        let swapped = PageMapEntry(rawValue: Self.swapped | 0x1234)
        #expect(swapped.isSwapped && !swapped.isPresent)
        #expect(swapped.pfn == 0)
    }

    @Test("No pages are no frames", arguments: methods)
    func nothing(method: FrameCount.Method) {
        let count = count(method, [])
        #expect((count.distinct, count.present, count.notFaulted) == (.zero, .zero, .zero))
        #expect(count.method == method)
    }

    @Test("Anonymous memory that was never touched, or is swapped out, has no frame", arguments: methods)
    func absent(method: FrameCount.Method) {
        let untouched = PageView(address: Address(0), entry: PageMapEntry(rawValue: 0), file: nil)
        let swapped = PageView(address: Address(0), entry: PageMapEntry(rawValue: Self.swapped | 5), file: nil)
        let count = count(method, [untouched, swapped, anonymous(9)])
        #expect((count.distinct, count.present, count.notFaulted) == (PageCount(1), PageCount(1), .zero))
    }

    @Test("A page mapped many times is one frame", arguments: methods)
    func aliased(method: FrameCount.Method) {
        let count = count(method, (0..<7).map { _ in page(3, of: Self.fileA, pfn: 50) })
        #expect((count.distinct, count.present, count.presentAnonymous) == (PageCount(1), PageCount(7), .zero))
    }

    @Test("A page that is faulted in in one place and not in another is one frame, in any order", arguments: methods)
    func partlyFaulted(method: FrameCount.Method) {
        let pages = [
            page(0, of: Self.fileA, pfn: nil), page(0, of: Self.fileA, pfn: 50), page(0, of: Self.fileA, pfn: nil),
            page(1, of: Self.fileA, pfn: nil), page(1, of: Self.fileA, pfn: nil),
        ]
        for pages in [pages, pages.reversed()] {
            let count = count(method, pages)
            #expect((count.distinct, count.present, count.notFaulted) == (PageCount(2), PageCount(1), PageCount(4)))
        }
    }

    @Test("The same inode on two devices, and the same offset in two files, are different frames", arguments: methods)
    func files(method: FrameCount.Method) {
        let pages = [page(0, of: Self.fileA, pfn: nil), page(0, of: Self.fileB, pfn: nil)]
        #expect(count(method, pages).distinct == PageCount(2))
        let faulted = [page(0, of: Self.fileA, pfn: 1), page(0, of: Self.fileB, pfn: 2)]
        #expect(count(method, pages + faulted).distinct == PageCount(2))
    }

    @Test("Only frame numbers see anonymous pages that share a frame (the zero page, KSM)")
    func sharedAnonymous() {
        let pages = [anonymous(5), anonymous(5), anonymous(6)]
        #expect(count(.pfn, pages).distinct == PageCount(2))
        #expect(count(.fileOffset, pages).distinct == PageCount(3))
        #expect(count(.pfn, pages).presentAnonymous == PageCount(3))
    }

    @Test("Far offsets in a sparse file are different frames", arguments: methods)
    func farOffsets(method: FrameCount.Method) {
        let last = Int.max / Self.pageSize.rawValue
        let pages = [0, 1 << 48, last].flatMap { index in
            [page(index, of: Self.fileA, pfn: nil), page(index, of: Self.fileB, pfn: nil)]
        }
        #expect(count(method, pages).distinct == PageCount(6))
    }

    @Test("More files than 16 bits can number are different frames", arguments: methods)
    func manyFiles(method: FrameCount.Method) {
        let files = (1 << 16) + 1
        let pages = (0..<files).map { number in
            page(0, of: Mapping.FileIdentity(device: 1, inode: UInt64(number + 1)), pfn: nil)
        }
        #expect(count(method, pages).distinct == PageCount(files))
    }
}
