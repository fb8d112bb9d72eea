@testable import HostLab
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Operations on mappings")
struct MappingOperationTests {
    private let page = ScratchRegion.pageSize

    @Test("Moving pages brings their contents and their frames, and leaves nothing behind")
    func move() async {
        // In a process of its own: here, another test's mapping could land where the source was.
        await #expect(processExitsWith: .success) {
            let region = try ScratchRegion(pages: 8)
            region.stamp(0..<8, from: 100)
            let staging = try ScratchRegion(pages: 4)
            staging.stamp(0..<4, from: 200)
            try HostKernel.move(staging.pages(0..<3), to: region.page(2))
            #expect(region.words(0..<8) == [100, 101, 200, 201, 202, 105, 106, 107])
            #expect(try ProcMaps.count(overlapping: staging.pages(0..<3)) == .zero)
            #expect(staging.load(page: 3) == 203)
            let count = try FrameCount.count(in: region.range, preferring: .fileOffset)
            #expect(count.distinct == PageCount(8))
        }
    }

    @Test("Moving over file pages replaces them, and leaves the file as it was")
    func moveOverFile() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try MemoryFile(name: "under", length: page)
        try region.map(file.readOnly, over: 0..<1)
        let staging = try HostKernel.mapAnonymous(length: page)
        try HostKernel.move(staging, to: region.page(0))
        #expect(region.store(9, page: 0) == .done)
        try region.map(file.readOnly, over: 1..<2)
        #expect(region.load(page: 1) == 0)
    }

    @Test("A move that is refused leaves both sides as they were")
    func moveRefused() throws {
        let region = try ScratchRegion(pages: 4)
        region.stamp(0..<4, from: 100)
        let overlapping = HostError.thrown { () throws(HostError) in
            try HostKernel.move(region.pages(0..<2), to: region.page(1))
        }
        #expect(overlapping == HostError(.invalidArgument, .move, .addresses(region.pages(1..<3))))
        let (injected, _) = InjectedFault(first: 1, operations: [.move]).during {
            HostError.thrown { () throws(HostError) in try HostKernel.move(region.pages(0..<1), to: region.page(3)) }
        }
        #expect(injected?.code == .outOfMemory)
        #expect(region.words(0..<4) == [100, 101, 102, 103])
    }

    @Test("Populating makes every page present and keeps what was there")
    func populate() throws {
        let region = try ScratchRegion(pages: 64)
        region.store(5, page: 10)
        #expect(try FrameCount.count(in: region.range).present == PageCount(1))
        try HostKernel.populate(region.range)
        let count = try FrameCount.count(in: region.range)
        #expect((count.present, count.distinct) == (PageCount(64), PageCount(64)))
        #expect(region.load(page: 10) == 5)
    }

    @Test("Populating for reading faults file pages in")
    func populateForReading() throws {
        let region = try ScratchRegion(pages: 4)
        let file = try MemoryFile(name: "read", length: page * 4)
        try region.map(file.readOnly, over: 0..<4)
        #expect(try FrameCount.count(in: region.range).notFaulted == PageCount(4))
        try HostKernel.advise(region.range, .populateRead)
        #expect(try FrameCount.count(in: region.range).present == PageCount(4))
    }

    @Test("Populating read-only pages is refused and no crash")
    func populateReadOnly() throws {
        let region = try ScratchRegion(pages: 2)
        try HostKernel.protect(region.range, .readOnly)
        let (error, outcome) = InjectedFault(first: .max).during {
            HostError.thrown { () throws(HostError) in try HostKernel.advise(region.range, .populateWrite) }
        }
        #expect(error != nil)
        #expect(error?.operation == .advise)
        #expect(outcome.calls == 1)
    }

    @Test("A kernel without the advice is no failure, any other refusal is", arguments: [true, false])
    func adviceUnknown(populates: Bool) throws {
        let region = try ScratchRegion(pages: 1)
        func refused(_ errno: Errno) -> HostError? {
            InjectedFault(first: 1, errno: errno, operations: [.advise]).during {
                HostError.thrown { () throws(HostError) in
                    if populates {
                        try HostKernel.populate(region.range)
                    } else {
                        try HostKernel.forbidHugePages(region.range)
                    }
                }
            }.value
        }
        #expect(refused(.invalidArgument) == nil)
        #expect(refused(.noMemory) == HostError(.noMemory, .advise, .addresses(region.range)))
    }

    @Test("A file mapped over part of a region replaces that part and no more")
    func mapFile() throws {
        let region = try ScratchRegion(pages: 6)
        region.stamp(0..<6, from: 10)
        let file = try MemoryFile(name: "part", length: page * 6)
        try file.gather(StridedPieces(first: region.page(0), stride: page, length: page, count: 6), at: .zero)
        region.stamp(0..<6, from: 20)
        try region.map(file.readOnly, from: 4, over: 1..<3)
        #expect(region.words(0..<6) == [20, 14, 15, 23, 24, 25])
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(3))
    }

    @Test("A mapping of a file that is refused leaves the old page in place")
    func mapFileRefused() throws {
        let region = try ScratchRegion(pages: 1)
        region.store(3, page: 0)
        let file = try MemoryFile(name: "refused", length: page)
        let error = HostError.thrown { () throws(HostError) in
            try HostKernel.mapFile(file.readOnly, at: region.range, offset: ByteCount(100), .readOnly)
        }
        #expect(error?.code == .invalid)
        #expect(region.store(4, page: 0) == .done)
    }
}
