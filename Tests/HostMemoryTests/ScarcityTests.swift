@testable import HostLab
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Things made scarce for real")
struct ScarcityTests {
    @Test(
        "A small file system is full when it is full, and not after", .enabled(if: geteuid() == 0, "only root mounts"))
    func fileSystem() throws {
        let pageSize = HostLimits.pageSize
        let fileSystem = try SmallFileSystem(size: pageSize * 8)
        let file = try MemoryFile(name: "small", length: pageSize * 16, in: .fileSystem(fileSystem))
        let source = try HostKernel.mapAnonymous(length: pageSize)
        defer { try? HostKernel.unmap(source) }
        func write(_ page: Int) -> HostError? {
            do throws(HostError) {
                try file.gather(
                    StridedPieces(first: source.start, stride: .zero, length: pageSize, count: 1),
                    at: pageSize * page)
                return nil
            } catch {
                return error
            }
        }
        for page in 0..<4 { #expect(write(page) == nil) }
        var filler: SmallFileSystem.Filler? = try fileSystem.fill(leaving: pageSize)
        #expect(write(4) == nil)
        #expect(write(5)?.code == .noSpace)
        withExtendedLifetime(filler) {}
        filler = nil
        #expect(write(5) == nil)
        #expect(try file.allocatedBytes() == pageSize * 6)
    }

    @Test("An ordinary user is told that mounting is not permitted", .enabled(if: geteuid() != 0, "root may"))
    func ordinaryUser() {
        let error = #expect(throws: HostError.self) { _ = try SmallFileSystem(size: HostLimits.pageSize * 8) }
        #expect(error?.code == .notPermitted)
    }

    @Test("Limits refuse while they are lowered, and are as they were after")
    func limits() async {
        await #expect(processExitsWith: .success) {
            let files = try LoweredLimit.openFiles(to: 3)
            let opened = #expect(throws: HostError.self) { _ = try HostKernel.open("/dev/null", .readOnly) }
            try files.lift()
            #expect(opened?.code == .tooManyFiles)
            try HostKernel.close(HostKernel.open("/dev/null", .readOnly))
            let space = try LoweredLimit.addressSpace(leaving: .zero)
            let mapped = #expect(throws: HostError.self) { _ = try HostKernel.mapAnonymous(length: .mebibytes(64)) }
            try space.lift()
            #expect(mapped?.code == .outOfMemory)
            try HostKernel.unmap(HostKernel.mapAnonymous(length: .mebibytes(64)))
        }
    }

    @Test("The heap that threads share has room where the address space has none")
    func heap() async {
        await #expect(processExitsWith: .success) {
            let isFound = Atomic(false)
            let isOver = Atomic(false)
            let missing = Atomic(0)
            var threads: [HostThread] = []
            // One of them shares the main thread's.
            while !isFound.load(ordering: .acquiring), threads.count < 1000 {
                let isLooked = Atomic(false)
                threads.append(
                    try HostThread {
                        if HeapReserve.fill(), let limit = try? LoweredLimit.addressSpace(leaving: .zero) {
                            for _ in 0..<128 {
                                // SAFETY: where they point is compared, nothing else; the process, and they, end soon.
                                let isThere = unsafe malloc(64 << 10).map { unsafe $0 < sbrk(0) }
                                if isThere != true { missing.add(1, ordering: .relaxed) }
                            }
                            try? limit.lift()
                            isFound.store(true, ordering: .releasing)
                        }
                        isLooked.store(true, ordering: .releasing)
                        while !isOver.load(ordering: .acquiring) { HostKernel.sleep(nanoseconds: 1_000_000) }
                    })
                while !isLooked.load(ordering: .acquiring) { HostKernel.yield() }
            }
            isOver.store(true, ordering: .releasing)
            for thread in threads { thread.join() }
            #expect(isFound.load(ordering: .relaxed) && missing.load(ordering: .relaxed) == 0)
        }
    }

    @Test("A thread that has no heap yet shares one where it can have none of its own")
    func heaplessThread() async {
        await #expect(processExitsWith: .success) {
            HeapReserve.fill()
            let isLimited = Atomic(false)
            let isRefused = Atomic(true)
            let thread = try HostThread {
                while !isLimited.load(ordering: .acquiring) { HostKernel.yield() }
                // SAFETY: the pointer goes back to where it is from.
                let room = unsafe malloc(1 << 10)
                isRefused.store(unsafe room == nil, ordering: .releasing)
                unsafe free(room)
            }
            let limit = try LoweredLimit.addressSpace(leaving: .zero)
            isLimited.store(true, ordering: .releasing)
            thread.join()
            try limit.lift()
            let wasRefused = isRefused.load(ordering: .relaxed)
            #expect(!wasRefused)
        }
    }

    @Test(
        "Ballast leaves as many mappings as it says, and is gone when it is removed",
        .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"))
    func ballast() async {
        await #expect(processExitsWith: .success) {
            let before = try ProcMaps.count()
            let ballast = try MappingBallast(leaving: MappingCount(100))
            let left = try HostLimits.maxMapCount() - ProcMaps.count()
            #expect((90...110).contains(left.rawValue))
            try ballast.remove()
            #expect(abs((try ProcMaps.count() - before).rawValue) < 8)
        }
    }

    @Test("An interrupted thread's sleep ends early")
    func interruption() throws {
        try HostKernel.enableInterruptions()
        let start = HostKernel.monotonicNanoseconds()
        let thread = try HostThread { HostKernel.sleep(nanoseconds: 60_000_000_000) }
        // Until it sleeps: a signal that comes before that ends nothing.
        let pest = try HostThread {
            for _ in 0..<200 {
                HostKernel.sleep(nanoseconds: 10_000_000)
                thread.interrupt()
                if HostKernel.monotonicNanoseconds() - start > 500_000_000 { return }
            }
        }
        pest.join()
        thread.join()
        #expect(HostKernel.monotonicNanoseconds() - start < 30_000_000_000)
    }

    @Test("Open files are counted, without what Dispatch opens and closes when it likes")
    func openFiles() async {
        await #expect(processExitsWith: .success) {
            let before = try OpenFiles.count()
            let file = try HostKernel.open("/dev/null", .readOnly)
            #expect(try OpenFiles.count() == before + 1)
            // An event queue is the runtime's own affair, wherever it comes from.
            // SAFETY: epoll_create1, which Swift's headers do not have, has this type in every C library.
            let queue = unsafe dlsym(nil, "epoll_create1").map { symbol in
                unsafe unsafeBitCast(symbol, to: (@convention(c) (CInt) -> CInt).self)(0)
            }
            #expect(try #require(queue) >= 0)
            #expect(try OpenFiles.count() == before + 1)
            // Dispatch has one of these open for a moment, once a second under load.
            let status = try HostKernel.open(FilePath("/proc/\(getpid())/stat"), .readOnly)
            #expect(try OpenFiles.count() == before + 1)
            try HostKernel.close(status)
            try HostKernel.close(file)
            #expect(try OpenFiles.count() == before)
        }
    }

    @Test(
        "What is the runtime's own is told by its name, and nothing else is",
        arguments: [
            ("anon_inode:[eventfd]", true), ("anon_inode:[eventpoll]", true), ("anon_inode:[timerfd]", true),
            ("/proc/4202/stat", true), ("/proc/4202/statm", false), ("/proc/4202/maps", false), ("/proc/stat", false),
            ("/proc/self/stat", false), ("/tmp/4202/stat", false), ("/x/proc/4202/stat", false),
            ("anon_inode:[signalfd]", false), ("/memfd:vmemmap (deleted)", false), ("pipe:[42]", false), ("", false),
        ])
    func runtimesOwn(target: String, isOwn: Bool) {
        #expect(OpenFiles.isRuntimesOwn(target) == isOwn)
    }
}
