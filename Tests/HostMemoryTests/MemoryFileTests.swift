@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Memory files")
struct MemoryFileTests {
    private let page = ScratchRegion.pageSize

    private func pieces(_ region: ScratchRegion, _ first: Int, count: Int) -> StridedPieces {
        StridedPieces(first: region.page(first), stride: page, length: page, count: count)
    }

    @Test("A new file is all hole and reads as zeros")
    func new() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try MemoryFile(name: "new", length: page * 8)
        #expect(file.length == page * 8)
        #expect(try file.allocatedBytes() == .zero)
        region.stamp(0..<2, from: 1)
        try file.scatter(pieces(region, 0, count: 2), at: page * 6)
        #expect(region.words(0..<2) == [0, 0])
    }

    @Test("It occupies what is written, page for page, and no more for writing it again")
    func grows() throws {
        let region = try ScratchRegion(pages: 5)
        region.stamp(0..<5, from: 10)
        let file = try MemoryFile(name: "grows", length: page * 32)
        try file.gather(pieces(region, 0, count: 5), at: page * 3)
        #expect(try file.allocatedBytes() == page * 5)
        try file.gather(pieces(region, 0, count: 5), at: page * 3)
        #expect(try file.allocatedBytes() == page * 5)
        try file.gather(pieces(region, 0, count: 2), at: page * 20)
        #expect(try file.allocatedBytes() == page * 7)
    }

    @Test(
        "Where a write of one page takes a huge page, small ones are written, and given back",
        .enabled(if: geteuid() == 0, "only root mounts"), arguments: [false, true])
    func hugePages(_ isBeforePopulate: Bool) throws {
        if try TransparentHugePages.size() == nil { try Test.cancel("no transparent huge pages") }
        let fileSystem = try SmallFileSystem(size: .mebibytes(16), hasHugePages: true)
        let file = try MemoryFile(name: "huge", length: .mebibytes(4), in: .fileSystem(fileSystem))
        #expect(file.mayHaveHugePages)
        let region = try ScratchRegion(pages: 5)
        region.stamp(0..<5, from: 10)
        // The second advice is MADV_POPULATE_WRITE, which Linux before 5.14 does not know.
        let fault = InjectedFault(
            first: 2, failures: isBeforePopulate ? 1 : 0, errno: .invalidArgument, operations: [.advise])
        let (error, outcome) = fault.during {
            HostError.thrown { () throws(HostError) in try file.gather(pieces(region, 0, count: 5), at: page * 3) }
        }
        #expect(error == nil && outcome.calls == 2)
        #expect(try file.allocatedBytes() == page * 5)
        try file.releaseFromHugePages(offset: page * 4, length: page * 2)
        #expect(try file.allocatedBytes() == page * 3)
        #expect(
            try !MemoryFile(name: "small", length: .mebibytes(4), in: .fileSystem(SmallFileSystem(size: page * 8)))
                .mayHaveHugePages)
    }

    @Test("Released pages are given back and read as zeros; their neighbours stay")
    func releases() throws {
        let region = try ScratchRegion(pages: 6)
        region.stamp(0..<6, from: 10)
        let file = try MemoryFile(name: "releases", length: page * 6)
        try file.gather(pieces(region, 0, count: 6), at: .zero)
        try file.release(offset: page * 2, length: page * 3)
        #expect(try file.allocatedBytes() == page * 3)
        try file.scatter(pieces(region, 0, count: 6), at: .zero)
        #expect(region.words(0..<6) == [10, 11, 0, 0, 0, 15])
    }

    @Test("The length is sealed both ways, and the seals themselves hold", arguments: [4, 12])
    func sealed(pages: Int) throws {
        let file = try MemoryFile(name: "sealed", length: page * 8)
        let error = HostError.thrown { () throws(HostError) in
            try HostKernel.setLength(file.writable, page * pages, name: file.name)
        }
        #expect(error == HostError(.notPermitted, .setLength, .file("sealed")))
    }

    @Test("Nothing is written beyond the sealed length")
    func writeBeyondEnd() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try MemoryFile(name: "end", length: page * 4)
        let error = HostError.thrown { () throws(HostError) in
            try file.gather(pieces(region, 0, count: 1), at: page * 4)
        }
        #expect(error?.code == .notPermitted)
        #expect(error?.operation == .write)
        #expect(try file.allocatedBytes() == .zero)
    }

    @Test("Reading beyond the end is an error and no short success")
    func readBeyondEnd() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try MemoryFile(name: "end", length: page * 4)
        let error = HostError.thrown { () throws(HostError) in
            try file.scatter(pieces(region, 0, count: 2), at: page * 3)
        }
        #expect(error == HostError(unreadable: "end"))
    }

    @Test("It has two descriptors, which go with it")
    func descriptors() throws {
        let file = try MemoryFile(name: "two descriptors", length: page)
        #expect(openDescriptors(ofMemoryFile: file.name) == 2)
        #expect(file.writable != file.readOnly)
        do { _ = try MemoryFile(name: "gone", length: page) }
        #expect(openDescriptors(ofMemoryFile: "gone") == 0)
    }

    @Test("Every step of creation that fails is reported, and leaves no descriptor behind")
    func failingSteps() throws {
        var failed: [HostOperation] = []
        for first in 1...10 {
            // The file, where one is made, goes only after the fault is disarmed: its closing must not fail.
            let fault = InjectedFault(first: first, errno: .tooManyOpenFiles)
            let (made, outcome) = fault.during { Result { try MemoryFile(name: "step", length: page) } }
            guard outcome.failed == 1 else { break }
            let error = try #require(throws: HostError.self) { try made.get() }
            #expect(error.code == .tooManyFiles)
            #expect(openDescriptors(ofMemoryFile: "step") == 0, "after \(error.operation)")
            failed.append(error.operation)
        }
        #expect(failed == [.createFile, .setLength, .seal, .status, .open, .fork])
    }

    @Test("An impossible length is refused and leaves no descriptor behind")
    func impossibleLength() {
        let error = HostError.thrown { () throws(HostError) in
            _ = try MemoryFile(name: "impossible", length: ByteCount(-1))
        }
        #expect(error == HostError(.invalidArgument, .setLength, .file("impossible")))
        #expect(openDescriptors(ofMemoryFile: "impossible") == 0)
    }
}
