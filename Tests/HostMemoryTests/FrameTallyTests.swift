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

    /// A swapped-out anonymous page; `place` 0 where the kernel does not tell it.
    private func swappedOut(_ place: UInt64) -> PageView {
        PageView(address: Address(0), entry: PageMapEntry(rawValue: Self.swapped | place), file: nil)
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
        #expect(entry.swapPlace == 0)
        // The low bits of a swapped page are its place in swap, and no frame.
        let swapped = PageMapEntry(rawValue: Self.swapped | 0x1234)
        #expect(swapped.isSwapped && !swapped.isPresent)
        #expect(swapped.pfn == 0 && swapped.swapPlace == 0x1234)
    }

    /// Soft-dirty, mapped exclusively, write-protected by userfaultfd, guard region.
    @Test("The bits between say nothing of presence, and are no part of a number", arguments: [55, 56, 57, 58, 59, 60])
    func otherBits(bit: UInt64) {
        let present = PageMapEntry(rawValue: Self.present | 1 << bit | 7)
        #expect(present.isPresent && !present.isSwapped && !present.isFileOrShared && present.pfn == 7)
        let swapped = PageMapEntry(rawValue: Self.swapped | 1 << bit | 7)
        // A guard region has the bit of a swapped page, and nothing in it.
        #expect(swapped.isSwapped == (bit != 58) && !swapped.isPresent)
        #expect(swapped.swapPlace == (bit != 58 ? 7 : 0))
        let neither = PageMapEntry(rawValue: 1 << bit)
        #expect(!neither.isPresent && !neither.isSwapped && !neither.isFileOrShared && neither.pfn == 0)
    }

    @Test("Nothing shows through a guard region, not even of a shared file; a present page is none")
    func guardRegion() throws {
        let mapping = try #require(Mapping(text: Fixtures.memoryFileLine))
        let guarded = PageView(mapping.range.start, PageMapEntry(rawValue: Self.swapped | 1 << 58), in: mapping)
        #expect(guarded.entry.isGuarded && guarded.file == nil && !guarded.entry.isSwapped)
        let present = PageView(mapping.range.start, PageMapEntry(rawValue: 1 << 63 | 1 << 58 | 7), in: mapping)
        #expect(!present.entry.isGuarded && present.file != nil)
    }

    @Test("No pages are no frames", arguments: methods)
    func nothing(method: FrameCount.Method) {
        let count = count(method, [])
        #expect((count.distinct, count.present, count.notFaulted) == (.zero, .zero, .zero))
        #expect(count.method == method)
    }

    @Test("Anonymous memory that was never touched, and a guard region, have no frame", arguments: methods)
    func absent(method: FrameCount.Method) {
        let untouched = PageView(address: Address(0), entry: PageMapEntry(rawValue: 0), file: nil)
        let count = count(method, [untouched, swappedOut(1 << 58), anonymous(9)])
        #expect((count.distinct, count.present, count.notFaulted) == (PageCount(1), PageCount(1), .zero))
        #expect(count.swapped == .zero)
    }

    @Test("A swapped-out page is one that the process still has: it counts, and is named", arguments: methods)
    func swappedOut(method: FrameCount.Method) {
        let all = count(method, [anonymous(9), anonymous(10), anonymous(11)])
        let some = count(method, [anonymous(9), swappedOut(10 << 5), swappedOut(11 << 5)])
        #expect(all.distinct == some.distinct && some.distinct == PageCount(3))
        #expect((all.swapped, some.swapped) == (.zero, PageCount(2)))
        #expect((some.present, some.presentAnonymous, some.notFaulted) == (PageCount(1), PageCount(1), .zero))
    }

    @Test("Places in swap tell swapped-out pages apart, and are no frames; places not told are one each")
    func swapPlaces() {
        let pages = [anonymous(32), swappedOut(32), swappedOut(32), swappedOut(64), swappedOut(0), swappedOut(0)]
        let byNumber = count(.pfn, pages)
        #expect((byNumber.distinct, byNumber.swapped) == (PageCount(5), PageCount(4)))
        let byOffset = count(.fileOffset, pages)
        #expect((byOffset.distinct, byOffset.swapped) == (PageCount(6), PageCount(5)))
    }

    @Test(
        "A page of a shared file that is being moved is the file's page, and nothing that is swapped out",
        arguments: methods)
    func movedFilePage(method: FrameCount.Method) {
        let entry = PageMapEntry(rawValue: Self.swapped | Self.fileOrShared | 50)
        let moved = PageView(address: Address(0), entry: entry, file: (Self.fileA, .zero))
        let count = count(method, [moved, page(0, of: Self.fileA, pfn: 50), page(1, of: Self.fileA, pfn: 51)])
        #expect((count.distinct, count.swapped, count.notFaulted) == (PageCount(2), .zero, PageCount(1)))
    }

    @Test("A present page whose frame number is not told is no other's frame")
    func unknownFrame() {
        // Three anonymous pages and two of a file, of whose frames nothing is known; one of them is known elsewhere.
        let pages = [
            anonymous(0), anonymous(0), anonymous(0), page(0, of: Self.fileA, pfn: 0), page(1, of: Self.fileA, pfn: 0),
            page(1, of: Self.fileA, pfn: 0), page(1, of: Self.fileA, pfn: 51),
        ]
        let count = count(.pfn, pages)
        #expect((count.distinct, count.present, count.presentAnonymous) == (PageCount(5), PageCount(7), PageCount(3)))
        #expect(count.notFaulted == .zero)
    }

    @Test("A frame that a file's page and an anonymous one show is one frame")
    func sharedBetween() {
        #expect(count(.pfn, [anonymous(50), page(0, of: Self.fileA, pfn: 50)]).distinct == PageCount(1))
        #expect(count(.pfn, [anonymous(51), page(0, of: Self.fileA, pfn: 50)]).distinct == PageCount(2))
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
