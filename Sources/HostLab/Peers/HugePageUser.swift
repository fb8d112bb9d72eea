package import HostMemory
import SystemPackage

/// Huge pages of the host's own pools that this process has: those that it uses, and those that it has only reserved.
///
/// A touch that finds no huge page is refused with EFAULT (MADV_POPULATE_WRITE, Linux 5.14), where a store would end
/// the process with SIGBUS.
package final class HugePageUser: Sendable {
    private struct State {
        /// Huge pages in use, each a mapping of its own or a part of one, by their numbers.
        var used: [Int: AddressRange] = [:]
        /// How many have been taken so far.
        var taken = 0
        /// Huge pages reserved and not touched yet, by their sizes, in the order in which they were reserved.
        var reserved: [ByteCount: [AddressRange]] = [:]

        mutating func use(_ range: AddressRange) -> Int {
            taken += 1
            used[taken] = range
            return taken
        }
    }

    private let state = Guarded(State())

    /// A process that has no huge page.
    package init() {}

    /// The numbers of the huge pages in use, in order.
    package var numbers: [Int] { state.withLock { $0.used.keys.sorted() } }

    /// Maps a huge page without a reservation (MAP_NORESERVE) and touches it. Returns its number, from 1.
    @discardableResult
    package func allocate(pageOf size: ByteCount) throws(HostError) -> Int {
        let range = try HostKernel.mapHugePages(size: size, isReserved: false)
        do throws(HostError) {
            try HostKernel.populate(range)
        } catch {
            try? HostKernel.unmap(range)
            throw error
        }
        return state.withLock { $0.use(range) }
    }

    /// Maps `count` huge pages that the pool promises, and touches none.
    package func reserve(_ count: Int, pagesOf size: ByteCount) throws(HostError) {
        if count == 0 { return }
        let range = try HostKernel.mapHugePages(size: size, count: count)
        state.withLock { state in
            state.reserved[size, default: []] += (0..<count).map {
                AddressRange(start: range.start + size * $0, length: size)
            }
        }
    }

    /// Touches the huge page that has been reserved longest. Returns its number; nil where none is reserved.
    package func touch(pageOf size: ByteCount) throws(HostError) -> Int? {
        guard let range = state.withLock({ $0.reserved[size]?.first }) else { return nil }
        try HostKernel.populate(range)
        return state.withLock { state in
            state.reserved[size]?.removeFirst()
            return state.use(range)
        }
    }

    /// Unmaps `count` huge pages that are reserved and not touched, those reserved last, or as many as there are.
    package func unreserve(_ count: Int, pagesOf size: ByteCount) throws(HostError) {
        for _ in 0..<count {
            guard let range = state.withLock({ $0.reserved[size]?.last }) else { return }
            try HostKernel.unmap(range)
            state.withLock { _ = $0.reserved[size]?.popLast() }
        }
    }

    /// Unmaps a huge page in use. Returns false where there is none of that number.
    package func free(_ number: Int) throws(HostError) -> Bool {
        guard let range = state.withLock({ $0.used[number] }) else { return false }
        try HostKernel.unmap(range)
        state.withLock { _ = $0.used.removeValue(forKey: number) }
        return true
    }

    /// Unmaps everything. The next huge page taken is number 1 again.
    package func letGo() {
        state.withLock { state in
            for range in Array(state.used.values) + state.reserved.values.flatMap({ $0 }) {
                try? HostKernel.unmap(range)
            }
            state = State()
        }
    }
}
