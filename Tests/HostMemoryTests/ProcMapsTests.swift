@testable import HostLab
import SystemPackage
import Testing

@testable import HostMemory

@Suite("The list of mappings")
struct ProcMapsTests {
    @Test("Protecting a page inside a region splits it in three, and undoing that joins it again")
    func split() throws {
        let region = try ScratchRegion(pages: 8)
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
        try HostKernel.protect(region.pages(3..<5), .readOnly)
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(3))
        #expect(try ProcMaps.count(overlapping: region.pages(0..<3)) == MappingCount(1))
        #expect(try ProcMaps.count(overlapping: region.pages(2..<4)) == MappingCount(2))
        try HostKernel.protect(region.pages(3..<5), .readWrite)
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
    }

    @Test("A mapping tells its rights, its file and its place in it")
    func contents() throws {
        let region = try ScratchRegion(pages: 4)
        let file = try MemoryFile(name: "contents", length: ScratchRegion.pageSize * 8)
        try region.map(file.readOnly, from: 6, over: 1..<3)
        try HostKernel.protect(region.pages(3..<4), .none)
        var seen: [Mapping] = []
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in seen.append(mapping) }
        #expect(seen.map(\.range) == [region.pages(0..<1), region.pages(1..<3), region.pages(3..<4)])
        #expect(seen.map(\.isReadable) == [true, true, false])
        #expect(seen.map(\.isWritable) == [true, false, false])
        #expect(seen.map(\.isShared) == [false, true, false])
        #expect(seen.map(\.offset) == [.zero, ScratchRegion.pageSize * 6, .zero])
        #expect(seen.map { $0.file != nil } == [false, true, false])
    }

    @Test("Every mapping is seen where their lines fill many reads")
    func manyLines() throws {
        let pages = 3001
        let region = try ScratchRegion(pages: pages)
        for page in stride(from: 1, to: pages, by: 2) {
            try HostKernel.protect(region.pages(page..<page + 1), .readOnly)
        }
        var next = 0
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
            #expect(mapping.range == region.pages(next..<next + 1))
            #expect(mapping.isWritable == next.isMultiple(of: 2))
            next += 1
        }
        #expect(next == pages)
        // One buffer holds 64 KiB of them.
        let length = try ProcMaps.lines(overlapping: region.range).reduce(0) { $0 + $1.utf8.count + 1 }
        #expect(length > 2 << 16)
    }

    @Test("Mappings come in order, never overlap, and are the process's own")
    func order() throws {
        var last = Address(0)
        try ProcMaps.forEach { (mapping) throws(HostError) in
            #expect(mapping.range.start >= last)
            #expect(mapping.range.end.rawValue >> 63 == 0)
            last = mapping.range.end
        }
        #expect(last > Address(0))
    }

    @Test("The vsyscall page is no mapping of the process; what is no line is an error")
    func vsyscall() throws {
        let vsyscall = Array(Fixtures.vsyscallLine.utf8)
        #expect(try ProcMaps.mapping(vsyscall.span, .current) == nil)
        let (line, cut) = (Array(Fixtures.memoryFileLine.utf8), Array(Fixtures.memoryFileLine.utf8.prefix(9)))
        #expect(try ProcMaps.mapping(line.span, .current)?.file?.inode == 2055)
        let error = HostError.thrown { () throws(HostError) in _ = try ProcMaps.mapping(cut.span, .current) }
        #expect(error == HostError(unreadable: "/proc/self/maps"))
    }

    @Test("An error of the caller's ends the walk, and it alone")
    func callerThrows() throws {
        var calls = 0
        let error = HostError.thrown { () throws(HostError) in
            try ProcMaps.forEach { (_) throws(HostError) in
                calls += 1
                throw HostError(.deadlock, .wait, .process)
            }
        }
        #expect(error?.errno == .deadlock)
        #expect(calls == 1)
    }

    @Test("A refused step is reported: open, read, close", arguments: [HostOperation.open, .read, .close])
    func refused(operation: HostOperation) {
        let (error, _) = InjectedFault(first: 1, errno: .ioError, operations: [operation]).during {
            HostError.thrown { () throws(HostError) in _ = try ProcMaps.count() }
        }
        #expect(error == HostError(.ioError, operation, operation == .close ? .process : .file("/proc/self/maps")))
    }

    @Test("The count of the whole process is the number of lines without vsyscall")
    func whole() async {
        await #expect(processExitsWith: .success) {
            let text = try HostKernel.readText("/proc/self/maps")
            let lines = text.split(separator: "\n").filter { !$0.hasSuffix("[vsyscall]") }
            // Buffers may come and go between the two.
            #expect(abs(try ProcMaps.count().rawValue - lines.count) <= 4)
        }
    }
}
