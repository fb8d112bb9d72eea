package import HostMemory
import SystemPackage

/// Huge pages of the host's own pools that this process has: those that it uses, and those that it has only reserved.
///
/// A touch that finds no huge page is refused with EFAULT (MADV_POPULATE_WRITE, Linux 5.14), where a store would end
/// the process with SIGBUS.
package final class HugePageUser: Sendable {
    private struct State {
        /// Huge pages in use, each a mapping of its own or a part of one, by their numbers; and whether they were
        /// reserved.
        var used: [Int: (range: AddressRange, wasReserved: Bool)] = [:]
        /// How many have been taken so far.
        var taken = 0
        /// Huge pages reserved and not touched yet, by their sizes, in the order in which they were reserved.
        var reserved: [ByteCount: [AddressRange]] = [:]

        mutating func use(_ range: AddressRange, wasReserved: Bool) -> Int {
            taken += 1
            used[taken] = (range, wasReserved)
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
        return state.withLock { $0.use(range, wasReserved: false) }
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

    /// Touches the huge page that has been reserved longest, and where none is, one without a reservation. Returns its
    /// number.
    @discardableResult
    package func touch(pageOf size: ByteCount) throws(HostError) -> Int {
        guard let range = state.withLock({ $0.reserved[size]?.first }) else { return try allocate(pageOf: size) }
        try HostKernel.populate(range)
        return state.withLock { state in
            state.reserved[size]?.removeFirst()
            return state.use(range, wasReserved: true)
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

    /// Gives a huge page in use back: unmaps it, or, where it was reserved, empties it (MADV_DONTNEED, Linux 5.18),
    /// with which the pool promises it again unless it has surplus pages. Returns false where there is none of that
    /// number.
    package func free(_ number: Int) throws(HostError) -> Bool {
        guard let page = state.withLock({ $0.used[number] }) else { return false }
        var isReserved = false
        if page.wasReserved {
            let before = HugeTLBPool.current(ofPagesOf: page.range.length)?.reserved
            try HostKernel.advise(page.range, .dontNeed)
            isReserved = HugeTLBPool.current(ofPagesOf: page.range.length)?.reserved != before
        }
        if !isReserved { try HostKernel.unmap(page.range) }
        state.withLock { [isReserved] state in
            _ = state.used.removeValue(forKey: number)
            if isReserved { state.reserved[page.range.length, default: []].append(page.range) }
        }
        return true
    }

    /// Unmaps every huge page in use.
    package func freeAll() throws(HostError) {
        for number in numbers {
            guard let page = state.withLock({ $0.used[number] }) else { continue }
            try HostKernel.unmap(page.range)
            state.withLock { _ = $0.used.removeValue(forKey: number) }
        }
    }

    /// Unmaps everything. The next huge page taken is number 1 again.
    package func letGo() {
        state.withLock { state in
            for range in state.used.values.map(\.range) + state.reserved.values.flatMap({ $0 }) {
                try? HostKernel.unmap(range)
            }
            state = State()
        }
    }
}
