internal import CSystemShims
internal import Glibc
internal import SystemPackage

/// A thread of the host's own.
///
/// Walkers and writers spin for seconds at a time; Swift's concurrency pool has one thread a core and must not be
/// blocked.
public final class HostThread: Sendable {
    private let handle: pthread_t

    /// Starts `body` on a new thread. The corresponding C function is `pthread_create`.
    public init(_ body: @escaping @Sendable () -> Void) throws(HostError) {
        let work = Work(body)
        var handle = pthread_t()
        _ = try HostKernel.call(.startThread, .process) {
            // SAFETY: the retained box is taken over by the thread that runs, or released below if none does.
            let error = unsafe pthread_create(
                &handle, nil,
                { box in
                    guard let box = unsafe box else { return nil }
                    unsafe Unmanaged<Work>.fromOpaque(box).takeRetainedValue().body()
                    return nil
                }, Unmanaged.passRetained(work).toOpaque())
            if error != 0 { unsafe Unmanaged.passUnretained(work).release() }
            return Int64(-error)
        }
        self.handle = handle
    }

    /// Waits until the thread has ended. To be called once. The corresponding C function is `pthread_join`.
    public func join() {
        _ = pthread_join(handle, nil)
    }

    /// Sends the thread a signal whose handler does nothing: the call it is in ends early (EINTR). Not after ``join()``.
    ///
    /// To be preceded by ``HostKernel/enableInterruptions()``. The corresponding C function is `pthread_kill`.
    public func interrupt() { _ = pthread_kill(handle, vme_interruption_signal()) }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

extension HostKernel {
    /// Puts the handler of ``HostThread/interrupt()`` in: SIGUSR1, without SA_RESTART; and lets the signal through to the calling
    /// thread and those it starts from then on. The corresponding C function is `sigaction`.
    public static func enableInterruptions() throws(HostError) {
        _ = try call(.interrupt, .process) { vme_interruptions_enable() }
    }

    /// Lets another thread run. The corresponding C function is `sched_yield`.
    public static func yield() { _ = sched_yield() }

    /// Sleeps at least this long, less if a signal comes. The corresponding C function is `nanosleep`.
    public static func sleep(nanoseconds: Int) {
        var request = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        // SAFETY: the request is this function's own.
        _ = unsafe nanosleep(&request, nil)
    }

    /// This process's number.
    public static var processID: Int32 { getpid() }

    /// Nanoseconds on the monotonic clock. The corresponding C function is `clock_gettime`.
    public static func monotonicNanoseconds() -> Int {
        var time = timespec()
        // SAFETY: the result is this function's own.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
