@testable import HostLab
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Threads of the host")
struct HostThreadTests {
    @Test("A thread runs its work once, and is done when it is joined")
    func runs() throws {
        let runs = Atomic(0)
        let threads = try (0..<16).map { _ throws(HostError) in
            try HostThread {
                HostKernel.sleep(nanoseconds: 1_000_000)
                runs.add(1, ordering: .relaxed)
            }
        }
        for thread in threads { thread.join() }
        #expect(runs.load(ordering: .relaxed) == 16)
    }

    @Test("It is another thread, of the same process")
    func another() throws {
        let seen = Mutex<(thread: pthread_t, process: Int32)?>(nil)
        let thread = try HostThread { seen.withLock { $0 = (pthread_self(), HostKernel.processID) } }
        thread.join()
        let other = try #require(seen.withLock { $0 })
        #expect(other.thread != pthread_self())
        #expect(other.process == getpid())
    }

    @Test("Its work is let go when it is done, and when no thread could be started")
    func releasesWork() throws {
        final class Load: Sendable {}
        var load: Load? = Load()
        weak let kept = load
        do {
            let thread = try HostThread { [load] in withExtendedLifetime(load) {} }
            thread.join()
        }
        let fault = InjectedFault(first: 1, errno: .resourceTemporarilyUnavailable, operations: [.startThread])
        let (error, _) = fault.during {
            HostError.thrown { () throws(HostError) in
                _ = try HostThread { [load] in withExtendedLifetime(load) {} }
            }
        }
        #expect(error == HostError(.resourceTemporarilyUnavailable, .startThread, .process))
        load = nil
        #expect(kept == nil)
    }

    @Test("A thread that the kernel refuses is reported as out of memory")
    func refused() async {
        await #expect(processExitsWith: .success) {
            // Address space for a few stacks and no more; unlike RLIMIT_NPROC it binds root too.
            let size = try Statm.current().size.bytes(pageSize: HostLimits.pageSize)
            let most = rlim_t((size + .mebibytes(100)).rawValue)
            var limit = rlimit(rlim_cur: most, rlim_max: most)
            // SAFETY: the limit is this function's own.
            try #require(unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
            var threads: [HostThread] = []
            let mayEnd = Atomic(false)
            let error = HostError.thrown { () throws(HostError) in
                for _ in 0..<1000 {
                    let thread = try HostThread {
                        while !mayEnd.load(ordering: .acquiring) { HostKernel.sleep(nanoseconds: 1_000_000) }
                    }
                    threads.append(thread)
                }
            }
            mayEnd.store(true, ordering: .releasing)
            #expect(error?.code == .outOfMemory)
            #expect(error?.operation == .startThread)
            for thread in threads { thread.join() }
        }
    }

    @Test("Sleeping takes at least as long as asked")
    func sleeps() {
        let start = HostKernel.monotonicNanoseconds()
        HostKernel.sleep(nanoseconds: 3_000_000)
        HostKernel.yield()
        #expect(HostKernel.monotonicNanoseconds() - start >= 3_000_000)
    }

    @Test("Whoever joins it waits until it has ended, however many do and have done")
    func joinedTwice() throws {
        let mayEnd = Atomic(false)
        let hasEnded = Atomic(false)
        let thread = try HostThread {
            while !mayEnd.load(ordering: .acquiring) { HostKernel.sleep(nanoseconds: 100_000) }
            hasEnded.store(true, ordering: .releasing)
        }
        let joined = Atomic(0)
        let early = Atomic(0)
        let joiners = try (0..<3).map { _ in
            try WatchedThread {
                thread.join()
                if !hasEnded.load(ordering: .acquiring) { early.add(1, ordering: .relaxed) }
                joined.add(1, ordering: .releasing)
            }
        }
        // Each waits in its join, or one has not waited.
        for joiner in joiners { joiner.waitUntilItSleepsOrEnds() }
        #expect(joined.load(ordering: .acquiring) == 0)
        mayEnd.store(true, ordering: .releasing)
        for joiner in joiners { joiner.thread.join() }
        thread.join()
        thread.interrupt()
        #expect(joined.load(ordering: .relaxed) == 3)
        #expect(early.load(ordering: .relaxed) == 0)
    }

    @Test("A thread that joins itself goes on")
    func joinsItself() throws {
        let own = Mutex<HostThread?>(nil)
        let isThere = Atomic(false)
        let isThrough = Atomic(false)
        let thread = try HostThread {
            while !isThere.load(ordering: .acquiring) { HostKernel.yield() }
            own.withLock { $0 }?.join()
            isThrough.store(true, ordering: .releasing)
        }
        own.withLock { $0 = thread }
        isThere.store(true, ordering: .releasing)
        thread.join()
        #expect(isThrough.load(ordering: .acquiring) == true)
        own.withLock { $0 = nil }
    }

    @Test("The stack of a thread that nobody holds any more goes when it ends")
    func dropped() async {
        await #expect(processExitsWith: .success) {
            func turn() throws {
                let hasEnded = Atomic(false)
                _ = try HostThread { hasEnded.store(true, ordering: .releasing) }
                while !hasEnded.load(ordering: .acquiring) { HostKernel.yield() }
            }
            try turn()
            let before = try Statm.current().size
            for _ in 0..<200 { try turn() }
            // A few may be about to end, and the C library keeps five stacks of 8 MiB at hand.
            #expect(try Statm.current().size - before < PageCount(51_200))
        }
    }
}
