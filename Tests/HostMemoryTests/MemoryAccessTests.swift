import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Accesses that may fault")
struct MemoryAccessTests {
    private static let segmentationFault: Int32 = 11
    private static let busError: Int32 = 7
    /// BUS_ADRERR: no such place in the file.
    private static let noSuchPlace: Int32 = 2

    @Test("A store into writable memory is made, and loads agree")
    func done() throws {
        let region = try ScratchRegion(pages: 1)
        #expect(region.load(page: 0) == 0)
        #expect(region.store(0xdead_beef_0123_4567, page: 0) == .done)
        #expect(region.load(page: 0) == 0xdead_beef_0123_4567)
        // SAFETY: the page is this test's own, mapped and readable.
        let loaded = unsafe MemoryAccess.load(region.page(0))
        #expect(loaded == 0xdead_beef_0123_4567)
        // SAFETY: as above, and writable.
        unsafe MemoryAccess.store(7, at: region.page(0))
        #expect(region.load(page: 0) == 7)
    }

    @Test("A store into read-only memory is refused and changes nothing")
    func readOnly() throws {
        let region = try ScratchRegion(pages: 1)
        region.store(42, page: 0)
        try HostKernel.protect(region.range, .readOnly)
        #expect(region.store(43, page: 0) == .refused)
        #expect(region.add(1, page: 0) == .refused)
        #expect(region.load(page: 0) == 42)
        try HostKernel.protect(region.range, .readWrite)
        #expect(region.store(43, page: 0) == .done)
        #expect(region.load(page: 0) == 43)
    }

    @Test("Nothing is read or stored where nothing is allowed")
    func noAccess() throws {
        let region = try ScratchRegion(pages: 1)
        region.store(42, page: 0)
        try HostKernel.protect(region.range, .none)
        #expect(region.load(page: 0) == nil)
        #expect(region.store(43, page: 0) == .refused)
        #expect(region.add(1, page: 0) == .refused)
        try HostKernel.protect(region.range, .readOnly)
        #expect(region.load(page: 0) == 42)
    }

    @Test("Beyond a file's end is a bus error and not a refusal")
    func beyondEnd() throws {
        let region = try ScratchRegion(pages: 2)
        try region.mapShortFile(over: 0..<2)
        #expect(region.store(1, page: 0) == .done)
        #expect(region.store(1, page: 1) == .faulted(signal: Self.busError, code: Self.noSuchPlace))
        #expect(region.add(1, page: 1) == .faulted(signal: Self.busError, code: Self.noSuchPlace))
        #expect(region.load(page: 1) == nil)
    }

    @Test("An unmapped address faults as unmapped")
    func unmapped() async {
        // In a process of its own: here, another test's mapping could land in the hole.
        await #expect(processExitsWith: .success) {
            let region = try ScratchRegion(pages: 3)
            try HostKernel.unmap(region.pages(1..<2))
            #expect(region.store(1, page: 1) == .faulted(signal: 11, code: 1))
            #expect(region.load(page: 1) == nil)
        }
    }

    @Test("Address 0 is refused without a fault")
    func null() {
        // SAFETY: nothing is accessed at address 0; that is what is tested.
        let outcomes = unsafe [MemoryAccess.tryStore(1, at: Address(0)), MemoryAccess.tryAdd(1, at: Address(0))]
        #expect(outcomes == [.refused, .refused])
        // SAFETY: as above.
        let loaded = unsafe (MemoryAccess.tryLoad(Address(0)), MemoryAccess.load(Address(0)))
        #expect(loaded == (nil, 0))
    }

    @Test("Additions of several threads are all counted")
    func concurrentAdds() throws {
        let region = try ScratchRegion(pages: 1)
        let rounds = 50_000
        let failures = Atomic(0)
        let threads = try (1...4).map { delta throws(HostError) in
            try HostThread {
                for _ in 0..<rounds where region.add(Int32(delta), page: 0) != .done {
                    failures.add(1, ordering: .relaxed)
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(region.load(page: 0) == UInt64(rounds * (1 + 2 + 3 + 4)))
    }

    @Test("Threads that fault at once each get their own outcome")
    func concurrentFaults() throws {
        let region = try ScratchRegion(pages: 4)
        try region.mapShortFile(over: 0..<2)
        try HostKernel.protect(region.pages(2..<3), .readOnly)
        let expected: [AccessOutcome] = [
            .done, .faulted(signal: Self.busError, code: Self.noSuchPlace), .refused, .done,
        ]
        let wrong = Atomic(0)
        let rounds = Atomic(0)
        let threads = try (0..<4).map { number throws(HostError) in
            try HostThread {
                for round in 0..<2000 {
                    let page = (number + round) % expected.count
                    if region.store(UInt64(round), page: page) != expected[page] { wrong.add(1, ordering: .relaxed) }
                    rounds.add(1, ordering: .relaxed)
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(rounds.load(ordering: .relaxed) == 4 * 2000)
    }
}

extension ScratchRegion {
    /// Maps a file of one page, its length not sealed, over `indices`: from the second page on there is no file.
    fileprivate func mapShortFile(over indices: Range<Int>) throws(HostError) {
        let file = try HostKernel.createMemoryFile(name: "short")
        defer { try? HostKernel.close(file) }
        try HostKernel.setLength(file, Self.pageSize, name: "short")
        try map(file, over: indices, .readWrite)
    }
}
