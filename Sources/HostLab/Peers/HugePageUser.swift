package import HostMemory
import SystemPackage

/// Huge pages of the host's own pools that this process has: those that it uses, and those that it has only reserved.
///
/// A touch that finds no huge page is refused with EFAULT (MADV_POPULATE_WRITE, Linux 5.14), where a store would end
/// the process with SIGBUS.
package final class HugePageUser: Sendable {
    /// A file of huge pages, which is gone with the last page of it.
    private final class File: Sendable {
        let descriptor: FileDescriptor

        init(_ count: Int, pagesOf size: ByteCount) throws(HostError) {
            descriptor = try HostKernel.createMemoryFile(name: HugePageUser.fileName, hugePageSize: size)
            do throws(HostError) {
                try HostKernel.setLength(descriptor, size * count, name: HugePageUser.fileName)
            } catch {
                try? HostKernel.close(descriptor)
                throw error
            }
        }

        // A close that fails has closed (Linux).
        deinit { try? HostKernel.close(descriptor) }
    }

    /// A huge page, in use or reserved: a mapping of its own or a part of one.
    private struct Page {
        let range: AddressRange
        /// The file that it is of, and where it lies in it; nil: it is of private memory.
        let place: (file: File, offset: ByteCount)?
        var wasReserved: Bool

        /// Unmaps a huge page in use, and takes it out of its file.
        func giveBack() throws(HostError) {
            try HostKernel.unmap(range)
            guard let place else { return }
            try HostKernel.punchHole(
                place.file.descriptor, offset: place.offset, length: range.length, name: HugePageUser.fileName)
        }

        /// Unmaps one that was not touched, and neither was what its file has behind it. A hole in a file would keep
        /// what is reserved for it.
        func giveUp() throws(HostError) {
            try HostKernel.unmap(range)
            guard let place else { return }
            try HostKernel.setLength(place.file.descriptor, place.offset, name: HugePageUser.fileName)
        }
    }

    private struct State {
        /// Huge pages in use, by their numbers.
        var used: [Int: Page] = [:]
        /// How many have been taken so far.
        var taken = 0
        /// Huge pages reserved and not touched yet, by their sizes, in the order in which they were reserved.
        var reserved: [ByteCount: [Page]] = [:]

        mutating func use(_ page: Page) -> Int {
            taken += 1
            used[taken] = page
            return taken
        }
    }

    private static let fileName = "vmemmap-huge-pages"

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
        return state.withLock { $0.use(Page(range: range, place: nil, wasReserved: false)) }
    }

    /// Maps `count` huge pages that the pool promises, and touches none.
    ///
    /// - Parameters:
    ///   - count: how many.
    ///   - size: their size.
    ///   - isShared: whether they are a memory file's (MAP_SHARED), or private memory.
    package func reserve(_ count: Int, pagesOf size: ByteCount, isShared: Bool = false) throws(HostError) {
        if count == 0 { return }
        let file = isShared ? try File(count, pagesOf: size) : nil
        let range =
            if let file {
                try HostKernel.mapFile(file.descriptor, length: size * count)
            } else { try HostKernel.mapHugePages(size: size, count: count) }
        state.withLock { state in
            state.reserved[size, default: []] += (0..<count).map { index in
                Page(
                    range: AddressRange(start: range.start + size * index, length: size),
                    place: file.map { ($0, size * index) }, wasReserved: true)
            }
        }
    }

    /// Touches the huge page that has been reserved longest, and where none is, one without a reservation. Returns its
    /// number.
    @discardableResult
    package func touch(pageOf size: ByteCount) throws(HostError) -> Int {
        guard let page = state.withLock({ $0.reserved[size]?.first }) else { return try allocate(pageOf: size) }
        try HostKernel.populate(page.range)
        return state.withLock { state in
            state.reserved[size]?.removeFirst()
            return state.use(page)
        }
    }

    /// Gives up `count` huge pages that are reserved and not touched, those reserved last, or as many as there are.
    package func unreserve(_ count: Int, pagesOf size: ByteCount) throws(HostError) {
        for _ in 0..<count {
            guard let page = state.withLock({ $0.reserved[size]?.last }) else { return }
            try page.giveUp()
            state.withLock { _ = $0.reserved[size]?.popLast() }
        }
    }

    /// Gives a huge page in use back. One of a file is taken out of it (fallocate). One of private memory is unmapped,
    /// or, where it was reserved, emptied (MADV_DONTNEED, Linux 5.18), with which the pool promises it again unless it
    /// has surplus pages. Returns false where there is none of that number.
    package func free(_ number: Int) throws(HostError) -> Bool {
        guard let page = state.withLock({ $0.used[number] }) else { return false }
        var isReserved = false
        if page.wasReserved, page.place == nil {
            let before = HugeTLBPool.current(ofPagesOf: page.range.length)?.reserved
            try HostKernel.advise(page.range, .dontNeed)
            isReserved = HugeTLBPool.current(ofPagesOf: page.range.length)?.reserved != before
        }
        if !isReserved { try page.giveBack() }
        state.withLock { [isReserved] state in
            _ = state.used.removeValue(forKey: number)
            if isReserved { state.reserved[page.range.length, default: []].append(page) }
        }
        return true
    }

    /// Gives every huge page in use back.
    package func freeAll() throws(HostError) {
        for number in numbers {
            guard let page = state.withLock({ $0.used[number] }) else { continue }
            try page.giveBack()
            state.withLock { _ = $0.used.removeValue(forKey: number) }
        }
    }

    /// Unmaps everything. The next huge page taken is number 1 again.
    package func letGo() {
        state.withLock { state in
            for page in Array(state.used.values) + state.reserved.values.flatMap({ $0 }) {
                try? HostKernel.unmap(page.range)
            }
            // The files go with their last pages.
            state = State()
        }
    }
}
