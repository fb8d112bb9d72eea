import Glibc
import SystemPackage
import Testing

@testable import HostMemory

/// The handler under the guarded accesses: it answers for their faults and for no others.
@Suite("The fault handler")
struct FaultHandlerTests {
    @Test("A fault outside a guarded access still kills, at the guard page before a region as at a wild address")
    func wildFault() async {
        await #expect(processExitsWith: .signal(SIGSEGV)) {
            let region = try installedHandler()
            // SAFETY: not safe, and meant so: the guard page is mapped without access, and the process dies here.
            _ = unsafe MemoryAccess.load(region.page(-1))
        }
        await #expect(processExitsWith: .signal(SIGSEGV)) {
            _ = try installedHandler()
            // SAFETY: not safe, and meant so: nothing is ever mapped in the first page, and the process dies here.
            _ = unsafe MemoryAccess.load(Address(8))
        }
    }

    @Test("A bus error outside a guarded access still kills by its own signal")
    func wildBusError() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            let region = try installedHandler()
            let file = try HostKernel.createMemoryFile(name: "empty")
            try region.map(file, over: 0..<1)
            // SAFETY: not safe, and meant so: the mapping has no file under it, and the process dies here.
            _ = unsafe MemoryAccess.load(region.page(0))
        }
    }

    @Test("A handler that was there before gets the faults that are not ours, with or without SA_SIGINFO")
    func previousHandler() async {
        await #expect(processExitsWith: .exitCode(42)) {
            var action = sigaction()
            action.sa_flags = SA_SIGINFO
            // SAFETY: the handler makes one call that is safe in handlers, and does not return.
            unsafe action.__sigaction_handler.sa_sigaction = { _, _, _ in _exit(42) }
            // SAFETY: the action is this function's own.
            unsafe sigaction(SIGSEGV, &action, nil)
            let region = try installedHandler()
            // SAFETY: not safe, and meant so: the guard page is mapped without access.
            _ = unsafe MemoryAccess.load(region.page(-1))
        }
        await #expect(processExitsWith: .exitCode(43)) {
            // The handler makes one call that is safe in handlers, and does not return.
            signal(SIGSEGV, { _ in _exit(43) })
            let region = try installedHandler()
            // SAFETY: not safe, and meant so: the guard page is mapped without access.
            _ = unsafe MemoryAccess.load(region.page(-1))
        }
    }

    @Test("A SIGSEGV that another process sends kills, as it does without the handler")
    func sentSignal() async {
        await #expect(processExitsWith: .signal(SIGSEGV)) {
            _ = try installedHandler()
            kill(getpid(), SIGSEGV)
            HostKernel.sleep(nanoseconds: 1_000_000_000)
        }
    }

    @Test("A sent SIGSEGV that is ignored stays ignored, and accesses stay guarded after it")
    func ignoredSignal() async {
        await #expect(processExitsWith: .success) {
            signal(SIGSEGV, SIG_IGN)
            let region = try installedHandler()
            raise(SIGSEGV)
            #expect(region.load(page: -1) == nil)
        }
    }

    @Test("A fault leaves the thread's signal mask as it was")
    func signalMask() async {
        await #expect(processExitsWith: .success) {
            let region = try installedHandler()
            for _ in 0..<3 { #expect(region.load(page: -1) == nil) }
            var mask = sigset_t()
            // SAFETY: the set is this function's own.
            unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
            // SAFETY: as above.
            let isBlocked = unsafe sigismember(&mask, SIGSEGV)
            #expect(isBlocked == 0)
        }
    }
}

/// A region, after one guarded access that faulted has put the handler in.
private func installedHandler() throws -> ScratchRegion {
    let region = try ScratchRegion(pages: 1)
    #expect(region.load(page: -1) == nil)
    #expect(region.store(1, page: 0) == .done)
    return region
}
