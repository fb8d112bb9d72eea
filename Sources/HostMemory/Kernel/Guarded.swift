import CSystemShims
package import Synchronization

/// A value that one thread at a time has. It is `Mutex`, and the thread sanitizer can follow it.
///
/// On Linux `Mutex` is a futex in a library that is not instrumented: the sanitizer sees no lock and reports each
/// access under one as a race, in the smallest program too. A build with THREAD_SANITIZER defined (`scripts/check
/// --sanitize`) tells it. The lock is the same, so who forgets to take it is still found.
package struct Guarded<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let mutex: Mutex<Value>

    #if THREAD_SANITIZER
        /// Where the sanitizer keeps what it knows of this lock.
        private let tag = SanitizerTag()

        /// Guards `value`.
        package init(_ value: consuming sending Value) {
            mutex = Mutex(value)
        }

        /// Waits until nobody else has the value, and hands it to `body`.
        package borrowing func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            // Told under the lock: from whoever had it before to whoever has it next.
            try mutex.withLock { (value: inout sending Value) throws(Failure) in
                tag.acquire()
                defer { tag.release() }
                return try body(&value)
            }
        }
    #else
        /// Guards `value`.
        @inlinable
        package init(_ value: consuming sending Value) {
            mutex = Mutex(value)
        }

        /// Waits until nobody else has the value, and hands it to `body`.
        @inlinable @inline(__always)
        package borrowing func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            try mutex.withLock(body)
        }
    #endif
}

#if THREAD_SANITIZER
    /// A byte of its own for each lock: one for all of them would hide that two locks are not one.
    @safe private final class SanitizerTag: Sendable {
        // SAFETY: nobody reads or writes the byte; its address is a name.
        private nonisolated(unsafe) let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

        deinit { unsafe byte.deallocate() }

        func acquire() { unsafe __tsan_acquire(byte) }
        func release() { unsafe __tsan_release(byte) }
    }
#endif
