@testable import HostLab
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("What a forked child gets")
struct ForkShieldTests {
    @Test(
        "Unshielded memory it can store to, and has mapped; shielded memory neither, and the parent's stays as it was")
    func memory() throws {
        let range = try HostKernel.mapAnonymous(length: HostLimits.pageSize * 4)
        defer { try? HostKernel.unmap(range) }
        // SAFETY: the page is this test's own.
        unsafe MemoryAccess.store(7, at: range.start)
        let bare = try ForkProbe(storingTo: [range.start])
        #expect(bare.storesMade == 1)
        #expect(try ProcMaps.count(of: .other(bare.processID), overlapping: range) == MappingCount(1))
        bare.end()
        let shield = try ForkShield(range)
        let shielded = try ForkProbe(storingTo: [range.start, range.end - ByteCount(8)])
        #expect(shielded.storesMade == 0)
        #expect(try ProcMaps.count(of: .other(shielded.processID), overlapping: range) == .zero)
        shielded.end()
        shield.remove()
        shield.remove()
        let after = try ForkProbe(storingTo: [range.start])
        #expect(after.storesMade == 1)
        after.end()
        // SAFETY: as above.
        #expect(unsafe MemoryAccess.load(range.start) == 7)
    }

    @Test("A memory file's descriptors are closed in it, and stay open in the parent")
    func files() throws {
        let file = try MemoryFile(name: "fork-shield", length: HostLimits.pageSize)
        let probe = try ForkProbe(storingTo: [Address(8)])
        #expect(probe.storesMade == 0)
        for number in [file.writable.rawValue, file.readOnly.rawValue] {
            #expect(Self.target(number, of: "\(probe.processID)")?.contains("fork-shield") != true)
            #expect(Self.target(number, of: "self")?.contains("fork-shield") == true)
        }
        probe.end()
    }

    @Test("A fork that is made to fail is not made, and one of no addresses neither", arguments: [true, false])
    func notForked(isInjected: Bool) async {
        await #expect(processExitsWith: .success) { [isInjected] in
            let fault = InjectedFault(
                first: isInjected ? 1 : .max, errno: .resourceTemporarilyUnavailable, operations: [.fork])
            let (error, outcome) = fault.during {
                HostError.thrown { () throws(HostError) in
                    _ = try ForkProbe(storingTo: isInjected ? [Address(8)] : [])
                }
            }
            #expect(outcome.calls == 1)
            #expect(error?.errno == (isInjected ? .resourceTemporarilyUnavailable : .invalidArgument))
            // No child, ended or not.
            let child = waitpid(-1, nil, WNOHANG)
            #expect(child == -1 && errno == ECHILD)
        }
    }

    @Test("A child ends with its probe")
    func dropped() throws {
        func fork() throws -> Int32 {
            let probe = try ForkProbe(storingTo: [Address(8)])
            return probe.processID
        }
        let child = try fork()
        #expect(kill(child, 0) == -1 && errno == ESRCH)
    }

    @Test("A child forked while other threads map can map and move itself: their turns are not inherited")
    func turns() async {
        await #expect(processExitsWith: .success) {
            let isOver = Atomic(false)
            let region = try ScratchRegion(pages: 4)
            let others = try (0..<2).map { other in
                try HostThread {
                    let page = region.pages(other..<other + 1)
                    while !isOver.load(ordering: .relaxed) { try? HostKernel.protect(page, .readWrite) }
                }
            }
            // Whatever is made ready on first use is ready before the first child needs it.
            try Self.mapAndMove(to: region.page(3))
            for _ in 0..<20 {
                let child = try #require(Self.fork())
                if child == 0 { _exit((try? Self.mapAndMove(to: region.page(3))) == nil ? 1 : 0) }
                try #require(Self.status(of: child) == 0)
            }
            isOver.store(true, ordering: .relaxed)
            for other in others { other.join() }
        }
    }

    private static func mapAndMove(to target: Address) throws(HostError) {
        let page = try HostKernel.mapAnonymous(length: HostLimits.pageSize)
        try HostKernel.move(page, to: target)
    }

    /// The corresponding C function is `fork`, which Swift's headers hide; nil where it fails.
    private static func fork() -> pid_t? {
        // SAFETY: fork has this type in every C library; the child above does nothing but make calls, and ends.
        let child = unsafe dlsym(nil, "fork").map { symbol in
            unsafe unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)()
        }
        return child.flatMap { $0 < 0 ? nil : $0 }
    }

    /// How a child ended, as `waitpid` puts it. One that waits for a turn nobody ends is killed after five seconds.
    private static func status(of child: pid_t) -> CInt {
        var status: CInt = -1
        for _ in 0..<5000 {
            // SAFETY: the status is this function's own.
            if unsafe waitpid(child, &status, WNOHANG) == child { return status }
            HostKernel.sleep(nanoseconds: 1_000_000)
        }
        kill(child, SIGKILL)
        // SAFETY: as above.
        while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }

    private static func target(_ number: Int32, of process: String) -> String? {
        var name = [UInt8](repeating: 0, count: 256)
        // SAFETY: readlink writes at most the buffer's own length into it.
        let length = unsafe name.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return -1 }
            return unsafe readlink("/proc/\(process)/fd/\(number)", start, buffer.count)
        }
        return length > 0 ? String(decoding: name[..<length], as: UTF8.self) : nil
    }
}
