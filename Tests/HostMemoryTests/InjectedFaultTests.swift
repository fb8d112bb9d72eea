@testable import HostLab
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Injected faults")
struct InjectedFaultTests {
    @Test("A close that is made to fail has closed: on Linux every one has")
    func close() throws {
        let file = try HostKernel.createMemoryFile(name: "closed-all-the-same")
        let (error, outcome) = InjectedFault(first: 1, errno: .ioError, operations: [.close]).during {
            HostError.thrown { () throws(HostError) in try HostKernel.close(file) }
        }
        #expect(outcome.failed == 1)
        #expect(error?.errno == .ioError)
        // The number may be another test's file by now.
        #expect(Self.target(of: file.rawValue)?.contains("closed-all-the-same") != true)
    }

    private static func target(of number: Int32) -> String? {
        var name = [UInt8](repeating: 0, count: 256)
        // SAFETY: readlink writes at most the buffer's own length into it.
        let length = unsafe name.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return -1 }
            return unsafe readlink("/proc/self/fd/\(number)", start, buffer.count)
        }
        return length > 0 ? String(decoding: name[..<length], as: UTF8.self) : nil
    }

    private let region: ScratchRegion
    private let file: MemoryFile

    init() throws {
        region = try ScratchRegion(pages: 4)
        file = try MemoryFile(name: "injected", length: region.range.length)
    }

    private func protect() -> HostError? {
        HostError.thrown { () throws(HostError) in try HostKernel.protect(region.range, .readWrite) }
    }

    @Test("Exactly the n-th call fails, and those after it for as many as asked", arguments: 1...4, 0...3)
    func nthCall(first: Int, failures: Int) {
        let fault = InjectedFault(first: first, failures: failures, operations: [.protect])
        let (errors, outcome) = fault.during { (1...6).map { _ in protect() } }
        #expect(errors.map { $0 != nil } == (1...6).map { (first..<first + failures).contains($0) })
        #expect(outcome.calls == 6)
        #expect(outcome.failed == failures)
        #expect(protect() == nil, "disarmed")
    }

    @Test("The failed call is not made")
    func notMade() throws {
        region.store(1, page: 0)
        let fault = InjectedFault(first: 1, operations: [.mapFile])
        let (error, _) = fault.during {
            HostError.thrown { () throws(HostError) in try region.map(file.readOnly, over: 0..<1) }
        }
        #expect(error?.code == .outOfMemory)
        #expect(region.load(page: 0) == 1)
        #expect(region.store(2, page: 0) == .done)
    }

    @Test("Other operations are made and not counted")
    func otherOperations() {
        let fault = InjectedFault(first: 1, failures: .max, operations: [.move, .unmap])
        let (error, outcome) = fault.during { protect() }
        #expect(error == nil)
        #expect((outcome.calls, outcome.failed) == (0, 0))
    }

    @Test("Every operation counts unless some are chosen")
    func allOperations() throws {
        let (errors, outcome) = InjectedFault(first: 2, errno: .noSpace).during {
            [
                protect(),
                HostError.thrown { () throws(HostError) in _ = try file.allocatedBytes() },
                HostError.thrown { () throws(HostError) in try HostKernel.populate(region.range) },
            ]
        }
        #expect(errors.map { $0?.code } == [nil, .noSpace, nil])
        #expect(errors[1]?.operation == .status)
        #expect(outcome.calls == 3)
    }

    @Test("Another thread is left alone")
    func otherThread() throws {
        let seen = Mutex<HostError?>(HostError(unreadable: "the thread did not run"))
        let fault = InjectedFault(first: 1, failures: .max, operations: [.protect])
        let range = region.range
        let (thread, outcome) = fault.during {
            Result {
                let thread = try HostThread {
                    let error = HostError.thrown { () throws(HostError) in try HostKernel.protect(range, .readWrite) }
                    seen.withLock { $0 = error }
                }
                thread.join()
            }
        }
        try thread.get()
        #expect(seen.withLock { $0 } == nil)
        #expect(outcome.calls == 0)
    }

    @Test("Signals that interrupt a call on a file are absorbed")
    func interruptedFileCall() throws {
        region.stamp(0..<4, from: 70)
        let pieces = StridedPieces(
            first: region.page(0), stride: ScratchRegion.pageSize, length: ScratchRegion.pageSize, count: 4)
        let fault = InjectedFault(
            first: 1, failures: 3, errno: .interrupted, operations: [.write, .read, .status, .open, .punchHole])
        let (result, outcome) = fault.during { Result { try file.gather(pieces, at: .zero) } }
        try result.get()
        #expect((outcome.calls, outcome.failed) == (4, 3))
        #expect(try file.allocatedBytes() == region.range.length)
    }

    @Test("A signal is reported by a call on mappings, which the kernel never interrupts")
    func interruptedMappingCall() {
        let fault = InjectedFault(first: 1, errno: .interrupted, operations: [.protect])
        let (error, outcome) = fault.during { protect() }
        #expect(error?.code == .interrupted)
        #expect(outcome.calls == 1)
    }

    @Test("An interrupted close is not repeated: the descriptor may be another's by then")
    func interruptedClose() throws {
        let descriptor = try HostKernel.open("/dev/null", .readOnly)
        let fault = InjectedFault(first: 1, errno: .interrupted, operations: [.close])
        let (error, outcome) = fault.during {
            HostError.thrown { () throws(HostError) in try HostKernel.close(descriptor) }
        }
        #expect(error?.code == .interrupted)
        #expect(outcome.calls == 1)
    }
}
