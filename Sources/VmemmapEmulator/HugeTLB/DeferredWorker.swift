internal import Dispatch

/// Work put off: a lock-free list of what is to be done, and a worker that is woken only when the list was empty
/// (`hpage_freelist` and `hpage_update_work`, v5 patch 10).
final class DeferredWorker<Element: Sendable>: Sendable {
    private let list = LocklessList<Element>()
    private let queue = DispatchQueue(label: "hugetlb-vmemmap")

    /// Adds an element; `work` gets it later, one by one, on the worker's thread. `llist_add()` and `schedule_work()`.
    func add(_ element: Element, _ work: @escaping @Sendable (Element) -> Void) {
        if list.add(element) {
            queue.async { [list] in
                for element in list.takeAll() { work(element) }
            }
        }
    }

    /// Waits until everything that was added before is done. `flush_work()`, v5 patch 16.
    func flush() { queue.sync {} }
}
