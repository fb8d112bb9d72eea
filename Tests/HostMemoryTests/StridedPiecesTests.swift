@testable import HostLab
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Gathering and scattering")
struct StridedPiecesTests {
    private static let most = StridedPieces.mostInOneCall
    private let page = ScratchRegion.pageSize

    @Test(
        "Every piece arrives in its place, one call's worth or several",
        arguments: [1, most - 1, most, most + 1, 3 * most + 5], [1, 3])
    func roundTrip(count: Int, strideInPages: Int) throws {
        let region = try ScratchRegion(pages: count * strideInPages)
        let file = try MemoryFile(name: "pieces", length: page * (count + 2))
        region.stamp(0..<count * strideInPages, from: 1000)
        let pieces = StridedPieces(first: region.page(0), stride: page * strideInPages, length: page, count: count)
        #expect(pieces.total == page * count)

        try file.gather(pieces, at: page * 2)
        #expect(try file.allocatedBytes() == page * count)
        let shown = try ScratchRegion(pages: count + 2)
        try shown.map(file.readOnly, over: 0..<count + 2)
        #expect(shown.words(0..<2) == [0, 0])
        #expect(shown.words(2..<count + 2) == (0..<count).map { UInt64(1000 + $0 * strideInPages) })

        let target = try ScratchRegion(pages: count * strideInPages)
        target.stamp(0..<count * strideInPages, from: 5)
        var scattered = pieces
        scattered.first = target.page(0)
        try file.scatter(scattered, at: page * 2)
        for index in 0..<count * strideInPages {
            let expected = index % strideInPages == 0 ? 1000 + index : 5 + index
            #expect(target.load(page: index) == UInt64(expected))
        }
    }

    @Test("The calls are as few as the pieces allow", arguments: [(1, 1), (most, 1), (most + 1, 2), (3 * most + 5, 4)])
    func calls(count: Int, calls: Int) throws {
        let region = try ScratchRegion(pages: count)
        let file = try MemoryFile(name: "calls", length: page * count)
        let pieces = StridedPieces(first: region.page(0), stride: page, length: page, count: count)
        let counting = InjectedFault(first: .max, operations: [.write, .read])
        #expect(
            counting.during { #expect(throws: Never.self) { try file.gather(pieces, at: .zero) } }.outcome.calls
                == calls)
        #expect(
            counting.during { #expect(throws: Never.self) { try file.scatter(pieces, at: .zero) } }.outcome.calls
                == calls)
    }

    @Test("No pieces are no call")
    func none() throws {
        let region = try ScratchRegion(pages: 1)
        let file = try MemoryFile(name: "none", length: page)
        let pieces = StridedPieces(first: region.page(0), stride: page, length: page, count: 0)
        let fault = InjectedFault(first: 1)
        #expect(fault.during { #expect(throws: Never.self) { try file.gather(pieces, at: .zero) } }.outcome.calls == 0)
    }

    @Test("A failure in a later call is reported, with what came before written")
    func laterFailure() throws {
        let region = try ScratchRegion(pages: 2 * Self.most)
        region.stamp(0..<2 * Self.most, from: 1)
        let file = try MemoryFile(name: "later", length: region.range.length)
        let pieces = StridedPieces(first: region.page(0), stride: page, length: page, count: 2 * Self.most)
        let fault = InjectedFault(first: 2, errno: .noSpace, operations: [.write])
        let (error, _) = fault.during {
            HostError.thrown { () throws(HostError) in try file.gather(pieces, at: .zero) }
        }
        #expect(error == HostError(.noSpace, .write, .file("later")))
        #expect(try file.allocatedBytes() == page * Self.most)
    }

    @Test("A piece that cannot be read is refused with EFAULT, and the file takes what came before it")
    func unreadablePiece() throws {
        let region = try ScratchRegion(pages: 4)
        region.stamp(0..<4, from: 1)
        try HostKernel.protect(region.pages(2..<3), .none)
        let file = try MemoryFile(name: "fault", length: region.range.length)
        let pieces = StridedPieces(first: region.page(0), stride: page, length: page, count: 4)
        let error = HostError.thrown { () throws(HostError) in try file.gather(pieces, at: .zero) }
        #expect(error == HostError(.badAddress, .write, .file("fault")))
        let shown = try ScratchRegion(pages: 4)
        try shown.map(file.readOnly, over: 0..<4)
        #expect(shown.words(0..<4) == [1, 2, 0, 0])
    }

    @Test("A file that stops inside the last piece is not taken for a full read")
    func shortLastPiece() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try HostKernel.createMemoryFile(name: "short")
        defer { try? HostKernel.close(file) }
        try HostKernel.write([UInt8](repeating: 1, count: page.rawValue + 100), to: file, name: "short")
        let pieces = StridedPieces(first: region.page(0), stride: page, length: page, count: 2)
        let error = HostError.thrown { () throws(HostError) in
            try HostKernel.scatter(pieces, from: file, at: .zero, name: "short")
        }
        #expect(error == HostError(unreadable: "short"))
        #expect(region.load(page: 0) == 0x0101_0101_0101_0101)
    }
}
