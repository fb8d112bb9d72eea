/// Mappings of a moment that the host refused to unmap, kept for another attempt.
package final class Orphans: Sendable {
    private let ranges = Guarded<[AddressRange]>([])

    package init() {}

    /// All of it.
    package var bytes: ByteCount { ranges.withLock { $0.reduce(.zero) { $0 + $1.length } } }

    /// Unmaps `range`, or keeps it.
    package func unmap(_ range: AddressRange) {
        if range.length > .zero, (try? HostKernel.unmap(range)) == nil { ranges.withLock { $0.append(range) } }
    }

    /// Makes another attempt at each, up to the first that is refused.
    package func unmapAll() throws(HostError) {
        while let range = ranges.withLock({ $0.popLast() }) {
            do throws(HostError) {
                try HostKernel.unmap(range)
            } catch {
                ranges.withLock { $0.append(range) }
                throw error
            }
        }
    }

    // Nobody is left to tell of a refusal.
    deinit { try? unmapAll() }
}
