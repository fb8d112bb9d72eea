import Glibc
import Synchronization

/// Ends a benchmark early, from any thread: with the pairs that it has, one at least of what it has begun.
final class BenchControl: Sendable {
    private let number = Atomic<Int32>(0)

    /// Has it end; a signal's number says why.
    func end(by signal: Int32) { number.store(signal, ordering: .releasing) }

    /// The signal that ends it; nil if none has come.
    var signal: Int32? {
        let number = number.load(ordering: .acquiring)
        return number == 0 ? nil : number
    }

    /// What a peer's row says that had not begun.
    static let reason = "ended by a signal before it began"
}
