import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Frames behind real memory")
struct FrameCountTests {
    private static let methods: [FrameCount.Method] = Privilege.seesFrames ? [.pfn, .fileOffset] : [.fileOffset]
    private let page = ScratchRegion.pageSize

    @Test("Frame numbers are shown to those with CAP_SYS_ADMIN and no others")
    func showsFrameNumbers() throws {
        #expect(try PageMap.showsFrameNumbers() == Privilege.seesFrames)
    }

    @Test("An ordinary user who asks for frame numbers gets a count by file and offset")
    func fallsBack() throws {
        let region = try ScratchRegion(pages: 1)
        let method = try FrameCount.count(in: region.range, preferring: .pfn).method
        #expect(method == (Privilege.seesFrames ? .pfn : .fileOffset))
        #expect(try FrameCount.count(in: region.range, preferring: .fileOffset).method == .fileOffset)
    }

    @Test("Anonymous pages count when they are touched, each for itself", arguments: methods)
    func anonymous(method: FrameCount.Method) throws {
        let region = try ScratchRegion(pages: 100)
        #expect(try FrameCount.count(in: region.range, preferring: method).distinct == .zero)
        region.stamp(20..<50, from: 1)
        let count = try FrameCount.count(in: region.range, preferring: method)
        #expect(count.distinct == PageCount(30))
        #expect((count.present, count.presentAnonymous, count.notFaulted) == (PageCount(30), PageCount(30), .zero))
        #expect(try FrameCount.count(in: region.pages(0..<30), preferring: method).distinct == PageCount(10))
    }

    @Test("A page of a file mapped many times is one frame, faulted in or not", arguments: methods, [0, 1, 4, 7])
    func aliased(method: FrameCount.Method, faulted: Int) throws {
        let region = try ScratchRegion(pages: 7)
        let file = try MemoryFile(name: "aliased", length: page * 2)
        for index in 0..<7 { try region.map(file.readOnly, from: 1, over: index..<index + 1) }
        #expect(region.words(0..<faulted) == Array(repeating: 0, count: faulted))
        let count = try FrameCount.count(in: region.range, preferring: method)
        #expect(count.distinct == PageCount(1))
        #expect((count.present, count.notFaulted) == (PageCount(faulted), PageCount(7 - faulted)))
        #expect(count.presentAnonymous == .zero)
    }

    @Test(
        "Both methods agree on anonymous, aliased and partly faulted pages together", arguments: [1, 2, 3] as [UInt64])
    func agree(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let region = try ScratchRegion(pages: 256)
        let files = try (0..<3).map { try MemoryFile(name: "mixed \($0)", length: page * 16) }
        var frames: Set<[Int]> = []
        var present = 0
        var notFaulted = 0
        for index in 0..<region.pageCount {
            let touched = Bool.random(using: &generator)
            if Bool.random(using: &generator) {
                if touched { frames.insert([-1, index]) }
                present += touched ? 1 : 0
            } else {
                let file = Int.random(in: 0..<3, using: &generator)
                let place = Int.random(in: 0..<16, using: &generator)
                try region.map(files[file].writable, from: place, over: index..<index + 1, .readWrite)
                frames.insert([file, place])
                present += touched ? 1 : 0
                notFaulted += touched ? 0 : 1
            }
            if touched { region.store(1, page: index) }
        }
        for method in Self.methods {
            let count = try FrameCount.count(in: region.range, preferring: method)
            #expect(count.distinct == PageCount(frames.count), "seed \(seed), \(method)")
            // A neighbour's fault may map file pages around it, which moves pages from one to the other.
            #expect(count.present.rawValue >= present)
            #expect(count.present + count.notFaulted == PageCount(present + notFaulted))
        }
    }

    @Test("A private mapping of a file shows the file until it is written", arguments: methods)
    func privateFile(method: FrameCount.Method) throws {
        let region = try ScratchRegion(pages: 4)
        let file = try MemoryFile(name: "private", length: page)
        for index in 0..<3 {
            // SAFETY: the page is the region's own, and replaced by one of the same kind.
            let mapped = unsafe mmap(
                region.page(index).pointer(as: UInt8.self), page.rawValue, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_FIXED, file.writable.rawValue, 0)
            // SAFETY: the pointer is compared, not followed.
            try #require(unsafe mapped != MAP_FAILED)
        }
        #expect(region.load(page: 0) == 0)
        region.store(1, page: 2)
        let count = try FrameCount.count(in: region.range, preferring: method)
        // The file's page, seen in two places, and the copy in the third.
        #expect(count.distinct == PageCount(2))
        #expect(count.presentAnonymous == PageCount(1))
    }
}
