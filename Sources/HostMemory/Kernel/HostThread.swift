import CSystemShims
import Dispatch
import Glibc
import SystemPackage

/// A thread of the host's own.
///
/// Walkers and writers spin for seconds at a time; Swift's concurrency pool has one thread a core and must not be
/// blocked. A thread that nobody holds any more runs on, and its stack goes when it ends.
package final class HostThread: Sendable {
    private let handle: pthread_t
    /// Left when the work is done and let go.
    private let ended: DispatchGroup
    private let isJoined = Guarded(false)

    /// Starts `body` on a new thread, whose stack is mapped while no other thread moves a mapping. The corresponding C
    /// function is `pthread_create`.
    package init(_ body: @escaping @Sendable () -> Void) throws(HostError) {
        let work = Work(body)
        ended = work.ended
        do throws(HostError) {
            handle = try Self.start(work)
        } catch  where error.errno == .resourceTemporarilyUnavailable && ProcessLimits.refuseThreadStack() {
            // The C library has one word for a thread too many and for a stack that there is no room for.
            throw HostError(.noMemory, .startThread, .process)
        }
    }

    private static func start(_ work: Work) throws(HostError) -> pthread_t {
        var handle = pthread_t()
        _ = try HostKernel.mappingCall(.startThread, .process) {
            work.ended.enter()
            // SAFETY: the retained box is taken over by the thread that runs, or released below if none does.
            let error = unsafe pthread_create(
                &handle, nil,
                { box in
                    guard let box = unsafe box else { return nil }
                    unsafe Work.run(box).leave()
                    return nil
                }, Unmanaged.passRetained(work).toOpaque())
            if error != 0 {
                work.ended.leave()
                // SAFETY: as above.
                unsafe Unmanaged.passUnretained(work).release()
            }
            return Int64(-error)
        }
        return handle
    }

    deinit {
        if isJoined.withLock({ $0 }) { return }
        // The stack of a thread that has ended goes here and now.
        HostKernel.inMappingTurn { _ = pthread_detach(handle) }
    }

    /// Waits until the thread has ended, whoever else waits for it or has waited. On the thread itself it does nothing.
    /// The corresponding C function is `pthread_join`.
    package func join() {
        if pthread_equal(handle, pthread_self()) != 0 { return }
        // Not in the turn: the thread may be waiting for one itself.
        ended.wait()
        isJoined.withLock { isJoined in
            if isJoined { return }
            isJoined = true
            HostKernel.inMappingTurn { _ = pthread_join(handle, nil) }
        }
    }

    /// Sends the thread a signal whose handler does nothing: the call it is in ends early (EINTR). After ``join()`` it
    /// does nothing.
    ///
    /// To be preceded by ``HostKernel/enableInterruptions()``. The corresponding C function is `pthread_kill`.
    package func interrupt() {
        isJoined.withLock { isJoined in
            if isJoined { return }
            _ = try? HostKernel.call(.interrupt, .process) { Int64(-pthread_kill(handle, HostKernel.interruption)) }
        }
    }

    private final class Work: Sendable {
        let ended = DispatchGroup()
        private let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }

        /// Runs the work in `box` and lets it go: what goes with it may unmap memory, and so has to come before whoever
        /// joins.
        @inline(never)
        static func run(_ box: UnsafeMutableRawPointer) -> DispatchGroup {
            HostKernel.inMappingTurn { vme_heap_open() }
            // SAFETY: the box was retained for this thread, which takes that reference over.
            let work = unsafe Unmanaged<Work>.fromOpaque(box).takeRetainedValue()
            work.body()
            return work.ended
        }
    }
}

extension HostKernel {
    fileprivate static let interruption = SIGUSR1

    /// Puts the handler of ``HostThread/interrupt()`` in: SIGUSR1, without SA_RESTART; and lets the signal through to
    /// the calling thread and those it starts from then on. The corresponding C function is `sigaction`.
    package static func enableInterruptions() throws(HostError) {
        _ = try call(.interrupt, .process) {
            var action = sigaction()
            var signals = sigset_t()
            // SAFETY: both structures are this function's own, and the handler does nothing.
            unsafe action.__sigaction_handler.sa_handler = { _ in }
            if unsafe sigaction(interruption, &action, nil) != 0 { return -Int64(errno) }
            _ = unsafe (sigemptyset(&signals), sigaddset(&signals, interruption))
            return -Int64(unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil))
        }
    }

    /// Lets another thread run. The corresponding C function is `sched_yield`.
    package static func yield() { _ = sched_yield() }

    /// Sleeps at least this long, less if a signal comes. The corresponding C function is `nanosleep`.
    package static func sleep(nanoseconds: Int) {
        var request = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        // SAFETY: the request is this function's own.
        _ = unsafe nanosleep(&request, nil)
    }

    /// This process's number.
    package static var processID: Int32 { getpid() }

    /// Nanoseconds on the monotonic clock. The corresponding C function is `clock_gettime`.
    package static func monotonicNanoseconds() -> Int {
        var time = timespec()
        // SAFETY: the result is this function's own.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
