@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Another process's memory")
struct ObservedProcessTests {
    private let page = ScratchRegion.pageSize

    @Test("Read by number, this process looks as it does to itself")
    func itself() throws {
        let region = try ScratchRegion(pages: 6)
        let file = try MemoryFile(name: "observed", length: page * 2)
        try region.map(file.readOnly, from: 1, over: 2..<4)
        region.stamp(0..<2, from: 1)
        let process = ObservedProcess.other(HostKernel.processID)
        #expect(try FrameCount.count(of: process, in: region.range) == FrameCount.count(in: region.range))
        #expect(
            try ProcMaps.count(of: process, overlapping: region.range)
                == ProcMaps.count(overlapping: region.range))
        #expect(try SmapsSum.of(process, in: region.range).rss == page * 2)
        #expect(try SmapsRollup.of(process).rss > .zero)
        #expect(try ProcessOwner.of(process) == ProcessOwner.current)
    }

    @Test("A process that is not there is reported, with the file that was asked for")
    func gone() {
        let error = HostError.thrown { () throws(HostError) in _ = try ProcMaps.count(of: .other(Int32.max)) }
        #expect(error == HostError(.noSuchFileOrDirectory, .open, .file("/proc/\(Int32.max)/maps")))
    }

    @Test("Mappings are found by a part of their name, which may have spaces in it")
    func named() throws {
        let region = try ScratchRegion(pages: 3)
        let file = try MemoryFile(name: "a name of three", length: page * 3)
        try region.map(file.readOnly, from: 2, over: 1..<2)
        var seen: [(AddressRange, String)] = []
        try ProcMaps.forEachNamed("a name of", of: .current) { (mapping, name) throws(HostError) in
            seen.append((mapping.range, name))
        }
        #expect(seen.map(\.0) == [region.pages(1..<2)])
        #expect(seen.map(\.1) == ["/memfd:a name of three (deleted)"])
    }

    @Test("A memory file is found among the open files, by name and inode")
    func memoryFile() throws {
        let region = try ScratchRegion(pages: 1)
        let file = try MemoryFile(name: "sought", length: page * 4)
        try region.map(file.writable, from: 1, over: 0..<1, .readWrite)
        region.store(1, page: 0)
        var inode: UInt64 = 0
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
            inode = mapping.file?.inode ?? 0
        }
        #expect(try ProcessFiles.allocatedBytes(of: .current, memoryFile: "sought", inode: inode) == page)
        #expect(try ProcessFiles.allocatedBytes(of: .current, memoryFile: "other", inode: inode) == nil)
        #expect(try ProcessFiles.allocatedBytes(of: .current, memoryFile: "sought", inode: inode + 1_000_000) == nil)
    }

    @Test("smaps is added up over the mappings of a range, and of those alone")
    func smaps() {
        let text = """
            7f0000000000-7f0000001000 rw-p 00000000 00:00 0
            Size:                  4 kB
            Rss:                   4 kB
            Pss:                   2 kB
            Pss_Dirty:             2 kB
            VmFlags: rd wr mr mw me ac sd
            7f0000001000-7f0000002000 r--s 00002000 00:01 1030 /memfd:a b (deleted)
            Rss:                   4 kB
            Pss:                   0 kB
            7f0000002000-7f0000003000 r--s 00002000 00:01 1030 /memfd:a b (deleted)
            Rss:                 400 kB
            Pss:                 100 kB
            """
        var sum = SmapsSum(AddressRange(start: Address(0x7f00_0000_0000), length: .kibibytes(8)))
        for line in text.split(separator: "\n") { sum.add(Array(line.utf8).span) }
        #expect(sum.mappings == MappingCount(2))
        #expect(sum.rss == .kibibytes(8))
        #expect(sum.pss == .kibibytes(2))
    }

    @Test(
        "A mapping is added to smaps' sum where it shares a byte with the range, and not where it only meets it",
        arguments: [
            (0x0fff, 0x1000, false), (0x0fff, 0x1001, true), (0x2fff, 0x3000, true), (0x3000, 0x4000, false),
            (0x0000, 0x9000, true),
        ])
    func clipped(_ start: Int, _ end: Int, _ isIn: Bool) {
        var sum = SmapsSum(AddressRange(start: Address(0x1000), length: ByteCount(0x2000)))
        let head = "\(String(start, radix: 16))-\(String(end, radix: 16)) rw-p 00000000 00:00 0"
        for line in [head, "Rss:  12 kB", "Pss:   7 kB", "Swap: 99 kB", "SwapPss: 99 kB"] {
            sum.add(Array(line.utf8).span)
        }
        #expect(sum.mappings == MappingCount(isIn ? 1 : 0))
        #expect((sum.rss, sum.pss) == (isIn ? (.kibibytes(12), .kibibytes(7)) : (.zero, .zero)))
    }

    @Test("The owner is the effective user, the second of four numbers")
    func owner() {
        #expect(ProcessOwner.effectiveUser("Name:\tx\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\n") == 1001)
        for text in ["", "Gid:\t1\t2\t3\t4\n", "Uid:\t1\t2\t3\n", "Uid:\t1\tx\t3\t4\n", "Uid:\t1\t-1\t3\t4\n"] {
            #expect(ProcessOwner.effectiveUser(text) == nil)
        }
    }

    @Test(
        "The proportional share counts a frame once, however often it is mapped",
        .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"))
    func proportionalShare() throws {
        let region = try ScratchRegion(pages: 7)
        let file = try MemoryFile(name: "shared", length: page)
        for index in 0..<7 { try region.map(file.readOnly, over: index..<index + 1) }
        #expect(region.words(0..<7) == Array(repeating: 0, count: 7))
        var frames: [UInt64] = []
        try PageMap.forEachPage(in: region.range) { (page) throws(HostError) in frames.append(page.entry.pfn) }
        let isKnown = try KernelPages.mapCounts(of: frames).allSatisfy { $0 != nil }
        #expect(try KernelPages.proportionalShare(of: frames) == (isKnown ? page : nil))
        // What smaps makes of it.
        #expect(try SmapsSum.of(.current, in: region.range).pss == .zero)
    }
}

@Suite("A process of one's own")
struct ChildProcessTests {
    @Test("Its output is read up to a line, it sees the end of its input, and its exit code is told")
    func cat() throws {
        let child = try ChildProcess("/bin/sh", ["-c", "echo one; echo two; read -r line; echo three; exit 7"])
        #expect(try child.readOutput(upTo: "two") == "one\ntwo\n")
        #expect(try child.end() == 7)
    }

    @Test("What ends without the line sought gives all it wrote; a signal is told as 128 and its number")
    func killed() throws {
        let child = try ChildProcess("/bin/sh", ["-c", "echo one; kill -TERM $$"])
        #expect(try child.readOutput(upTo: "two") == "one\n")
        #expect(try child.end() == 128 + SIGTERM)
    }

    @Test("It is ended once, goes on after a refusal, and tells the same when asked again", arguments: 1...4)
    func endedTwice(refused: Int) throws {
        let child = try ChildProcess("/bin/sh", ["-c", "read -r line; exit 7"])
        let fault = InjectedFault(first: refused, errno: .ioError, operations: [.close, .read, .wait])
        let (error, outcome) = fault.during {
            HostError.thrown { () throws(HostError) in try child.end() }
        }
        #expect(outcome.failed == 1 && error?.errno == .ioError)
        // Its descriptors are closed, and their numbers may be others' by now.
        let others = try (0..<2).map { _ in try HostKernel.open("/dev/null", .readOnly) }
        #expect(try child.end() == 7)
        #expect(try child.end() == 7)
        #expect(try child.readOutput(upTo: "") == "")
        for other in others { try HostKernel.close(other) }
    }

    @Test("One that nobody holds any more is killed")
    func dropped() throws {
        func start() throws -> Int32 {
            let child = try ChildProcess("/bin/sh", ["-c", "echo one; exec sleep 100"])
            #expect(try child.readOutput(upTo: "one") == "one\n")
            return child.pid
        }
        let pid = try start()
        #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }

    @Test("A program that is not there is reported")
    func missing() {
        let error = HostError.thrown { () throws(HostError) in _ = try ChildProcess("/nowhere/at/all", []) }
        #expect(error == HostError(.noSuchFileOrDirectory, .startProcess, .file("/nowhere/at/all")))
    }
}
