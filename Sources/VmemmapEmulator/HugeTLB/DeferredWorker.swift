import Dispatch
import HostMemory
import Synchronization

/// Work put off: a lock-free list of what is to be done, and a worker that is woken only when the list was empty
/// (`hpage_freelist` and `hpage_update_work`, v5 patch 10).
///
/// The worker is a thread, started when it is first needed. Where the host refuses one, the work is done at once.
final class DeferredWorker<Element: Sendable>: Sendable {
    private let shared = Shared()
    private let thread = Guarded<HostThread?>(nil)
    private let beforeWaking: @Sendable () -> Void

    private struct Work: Sendable {
        let element: Element
        let body: @Sendable (Element) -> Void
    }

    /// What the worker's thread holds.
    private final class Shared: Sendable {
        let list = LocklessList<Work>()
        let wakeUps = DispatchSemaphore(value: 0)
        let shouldStop = Atomic(false)
        /// One thread at a time does what is in the list, in its order.
        private let turn = Guarded(())

        func doAll() {
            turn.withLock { _ in
                for work in list.takeAll() { work.body(work.element) }
            }
        }

        func run() {
            while !shouldStop.load(ordering: .acquiring) {
                wakeUps.wait()
                doAll()
            }
        }
    }

    /// - Parameter beforeWaking: for tests: called between an addition to an empty list and the worker's waking.
    init(beforeWaking: @escaping @Sendable () -> Void = {}) { self.beforeWaking = beforeWaking }

    deinit {
        shared.shouldStop.store(true, ordering: .releasing)
        shared.wakeUps.signal()
        thread.withLock { $0 }?.join()
    }

    /// Adds an element; `work` gets it later, one by one, on the worker's thread. `llist_add()` and `schedule_work()`.
    func add(_ element: Element, _ work: @escaping @Sendable (Element) -> Void) {
        guard shared.list.add(Work(element: element, body: work)) else { return }
        beforeWaking()
        if isRunning() { shared.wakeUps.signal() } else { shared.doAll() }
    }

    /// Whether there is a thread, started now if need be.
    private func isRunning() -> Bool {
        thread.withLock { thread in
            if thread == nil { thread = try? HostThread { [shared] in shared.run() } }
            return thread != nil
        }
    }

    /// Waits until everything that was added before is done. `flush_work()`, v5 patch 16.
    ///
    /// What is still in the list is done here: whoever found it empty may not have woken the worker yet.
    func flush() { shared.doAll() }
}
