import SystemPackage
import Testing

@testable import HostMemory

/// The contrast is the point: the same page, mapped PROT_READ through either descriptor, looks the same in maps.
@Suite("The read-only twin of a memory file")
struct ReadOnlyTwinTests {
    private let region: ScratchRegion
    private let file: MemoryFile

    init() throws {
        region = try ScratchRegion(pages: 2)
        file = try MemoryFile(name: "twin", length: ScratchRegion.pageSize)
        region.stamp(0..<1, from: 5)
        try file.gather(
            StridedPieces(
                first: region.page(0), stride: .zero, length: ScratchRegion.pageSize, count: 1),
            at: .zero)
    }

    private func makeWritable(_ index: Int) -> HostError? {
        HostError.thrown { () throws(HostError) in try HostKernel.protect(region.pages(index..<index + 1), .readWrite) }
    }

    @Test("A page mapped through the twin can never be made writable")
    func locked() throws {
        try region.map(file.readOnly, over: 0..<1)
        let error = makeWritable(0)
        #expect(error?.code == .notPermitted)
        #expect(error?.errno == .permissionDenied)
        #expect(region.store(6, page: 0) == .refused)
        #expect(region.load(page: 0) == 5)
    }

    @Test("A page mapped read-only through the writing descriptor can, so PROT_READ is no lock")
    func notLocked() throws {
        try region.map(file.writable, over: 0..<1)
        #expect(region.store(6, page: 0) == .refused)
        #expect(makeWritable(0) == nil)
        #expect(region.store(6, page: 0) == .done)
    }

    @Test("Both show one frame: a store through one is read through the other")
    func sameFrame() throws {
        try region.map(file.readOnly, over: 0..<1)
        try region.map(file.writable, over: 1..<2, .readWrite)
        #expect(region.words(0..<2) == [5, 5])
        region.store(7, page: 1)
        #expect(region.load(page: 0) == 7)
    }

    @Test("The twin neither maps writable nor writes")
    func twinRefuses() throws {
        let mapped = HostError.thrown { () throws(HostError) in
            try region.map(file.readOnly, over: 0..<1, .readWrite)
        }
        #expect(mapped?.errno == .permissionDenied)
        let written = HostError.thrown { () throws(HostError) in
            try HostKernel.write([1], to: file.readOnly, name: "twin")
        }
        #expect(written?.code == .badDescriptor)
        let punched = HostError.thrown { () throws(HostError) in
            try HostKernel.punchHole(file.readOnly, offset: .zero, length: ScratchRegion.pageSize, name: "twin")
        }
        #expect(punched?.errno == .badFileDescriptor)
    }
}
