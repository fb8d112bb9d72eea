import HostMemory
import Synchronization

/// Readers that must be done with what they have found before it may go: the part of RCU that a removal needs
/// (`rcu_read_lock()`, `synchronize_rcu()`).
///
/// Readers count themselves in one of two counters, whichever is the current one. Who waits makes the other one
/// current, and waits until the first is 0: everybody who was reading before is done then, and readers who come
/// meanwhile do not hold the wait up.
package final class ReadSideSections: Sendable {
    private let current = Atomic(0)
    private let even = Atomic(0)
    private let odd = Atomic(0)
    /// One waits at a time: the counter that becomes current must be 0.
    private let turn = Guarded(())

    /// Sections that nobody is in.
    package init() {}

    /// Begins a section. Returns what ``leave(_:)`` is to be given.
    func enter() -> Int {
        while true {
            let section = current.load(ordering: .sequentiallyConsistent) & 1
            counter(section) { $0.add(1, ordering: .sequentiallyConsistent) }
            // Who has made the other one current meanwhile may not have seen this reader.
            if current.load(ordering: .sequentiallyConsistent) & 1 == section { return section }
            leave(section)
        }
    }

    /// Ends a section.
    func leave(_ section: Int) { counter(section) { $0.subtract(1, ordering: .sequentiallyConsistent) } }

    /// Waits until every section that has begun before has ended.
    package func wait() {
        turn.withLock { _ in
            let before = current.add(1, ordering: .sequentiallyConsistent).oldValue & 1
            var waited = 0
            while counter(before, { $0.load(ordering: .sequentiallyConsistent) }) != 0 {
                HugePageStates.backOff(&waited)
            }
        }
    }

    @discardableResult
    private func counter<Value>(_ section: Int, _ body: (borrowing Atomic<Int>) -> Value) -> Value {
        section == 0 ? body(even) : body(odd)
    }
}
