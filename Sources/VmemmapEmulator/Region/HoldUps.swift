import HostMemory
import Synchronization

/// What comes between a walker's check and its add, as a hypervisor does that takes the processor away: it lasts until
/// huge pages have been optimized, the worst moment, or for a limit where that waits for the walker.
package final class HoldUps: Sendable {
    private let optimizations = Atomic(0)
    private let longestNanoseconds: Atomic<Int>
    /// Visits of a walker from one to the next, so many that it walks about as long as it is held up.
    let visitsBetween: Int

    private static let nanosecondsPerVisit = 400

    /// - Parameter longestNanoseconds: how long one lasts at most.
    package init(longestNanoseconds: Int) {
        self.longestNanoseconds = Atomic(longestNanoseconds)
        visitsBetween = max(16_384, longestNanoseconds / Self.nanosecondsPerVisit)
    }

    /// Optimizing what a walker was held up at has taken so long, nobody having waited for walkers. On a busy machine
    /// that is longer than was thought.
    package func took(nanoseconds: Int) {
        longestNanoseconds.max(4 * nanoseconds, ordering: .relaxed)
    }

    /// Huge pages have been optimized.
    package func optimized() { optimizations.add(1, ordering: .sequentiallyConsistent) }

    func wait() {
        let (before, start) = (optimizations.load(ordering: .sequentiallyConsistent), HostKernel.monotonicNanoseconds())
        while optimizations.load(ordering: .sequentiallyConsistent) == before,
            HostKernel.monotonicNanoseconds() - start < longestNanoseconds.load(ordering: .relaxed)
        { HostKernel.sleep(nanoseconds: 50_000) }
    }
}
