@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Regions")
struct RegionTests {
    private static let alignment = ByteCount.mebibytes(16)

    @Test(
        "A region is aligned, has its whole length and a guard page on each side",
        arguments: [1, 2, 7, 512, 4095, 4096, 4097, 16384])
    func aligned(pages: Int) throws {
        let region = try ScratchRegion(pages: pages, alignment: Self.alignment)
        #expect(region.range.start.rawValue % UInt(Self.alignment.rawValue) == 0)
        #expect(region.range.length == ScratchRegion.pageSize * pages)
        #expect(region.store(1, page: 0) == .done)
        #expect(region.store(1, page: pages - 1) == .done)
        for guardPage in [-1, pages] {
            #expect(region.load(page: guardPage) == nil)
            #expect(region.store(1, page: guardPage) == .refused)
        }
    }

    @Test("Regions and other anonymous memory beside each other do not merge")
    func noMerge() throws {
        let regions = try (0..<8).map { _ in try ScratchRegion(pages: 16, alignment: ScratchRegion.pageSize) }
        let beside = try HostKernel.mapAnonymous(length: ScratchRegion.pageSize)
        defer { try? HostKernel.unmap(beside) }
        for region in regions {
            #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
            try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
                #expect(mapping.range == region.range)
            }
            #expect(try ProcMaps.count(overlapping: region.pages(-1..<17)) == MappingCount(3))
        }
    }

    @Test("Unmapping leaves neither the region, nor its guards, nor what was mapped over it")
    func unmapped() async {
        await #expect(processExitsWith: .success) {
            let page = HostLimits.pageSize
            let range = try HostKernel.mapRegion(length: page * 8, alignment: .mebibytes(16))
            let file = try MemoryFile(name: "over", length: page)
            let middle = AddressRange(start: range.start + page * 3, length: page)
            try HostKernel.mapFile(file.readOnly, at: middle, offset: .zero, .readOnly)
            try HostKernel.unmapRegion(range)
            let withGuards = AddressRange(start: range.start + page * -1, length: page * 10)
            #expect(try ProcMaps.count(overlapping: withGuards) == .zero)
        }
    }

    @Test(
        "An absurd length is refused and leaves nothing mapped",
        arguments: [1 << 47, 1 << 62, Int.max - 4095, Int.max, -4096, -1, 0, 5000])
    func absurdLength(length: Int) async {
        await #expect(processExitsWith: .success) { [length = length as Int] in
            let before = try addressSpace()
            // Often enough that even the reservation of a short one would show.
            for _ in 0..<100 {
                let error = HostError.thrown { () throws(HostError) in
                    _ = try HostKernel.mapRegion(length: ByteCount(length), alignment: .mebibytes(16))
                }
                let isLength = length > 0 && length.isMultiple(of: HostLimits.pageSize.rawValue)
                #expect(error?.code == (isLength ? .outOfMemory : .invalid))
                #expect(error?.operation == .mapRegion)
            }
            #expect(try addressSpace() - before < noise)
        }
    }

    @Test("An injected failure leaves nothing mapped")
    func injected() async {
        await #expect(processExitsWith: .success) {
            let before = try addressSpace()
            let fault = InjectedFault(first: 1, operations: [.mapRegion])
            let (error, _) = fault.during {
                HostError.thrown { () throws(HostError) in
                    _ = try HostKernel.mapRegion(length: .gibibytes(1), alignment: .mebibytes(16))
                }
            }
            #expect(error?.code == .outOfMemory)
            #expect(try addressSpace() - before < noise)
        }
    }

    @Test(
        "A refusal after the address space was reserved gives the reservation back",
        .enabled(if: Overcommit.isLimited, "this host promises any amount of memory"))
    func refusedLate() async {
        await #expect(processExitsWith: .success) {
            let before = try addressSpace()
            for _ in 0..<3 { #expect(Overcommit.mapRegion()?.code == .outOfMemory) }
            #expect(try addressSpace() - before < noise)
        }
    }

    @Test(
        "A refusal never unmaps what another thread has mapped meanwhile",
        .enabled(if: Overcommit.isLimited, "this host promises any amount of memory"))
    func refusedBesideOthers() async {
        await #expect(processExitsWith: .success) {
            // Large enough to fit no gap but one that a reservation's trimming leaves, and short-lived. A reservation
            // that is given back whole takes it along.
            let neighbour = try HostThread {
                for round in 0..<1200 {
                    guard let memory = try? HostKernel.mapAnonymous(length: .mebibytes(64)) else { continue }
                    for _ in 0..<5 {
                        HostKernel.yield()
                        // SAFETY: the memory is this thread's own until it is unmapped below.
                        let outcome = unsafe MemoryAccess.tryStore(UInt64(round), at: memory.start)
                        if outcome != .done { _exit(1) }
                    }
                    try? HostKernel.unmap(memory)
                }
                _exit(0)
            }
            while Overcommit.mapRegion() != nil {}
            neighbour.join()
        }
    }
}

/// A region that is larger than any memory: its address space can be reserved, its use cannot be promised.
private enum Overcommit {
    /// vm.overcommit_memory: 1 promises everything.
    static let isLimited = (try? HostKernel.readNumber("/proc/sys/vm/overcommit_memory")) != 1

    static func mapRegion() -> HostError? {
        HostError.thrown { () throws(HostError) in
            _ = try HostKernel.mapRegion(length: ByteCount(1 << 44), alignment: .gibibytes(1))
        }
    }
}

/// What the process's own threads may map beside a test: a few stacks and malloc arenas.
private let noise = ByteCount.mebibytes(512)

/// What is mapped in all.
private func addressSpace() throws(HostError) -> ByteCount {
    var total = ByteCount.zero
    try ProcMaps.forEach { (mapping) throws(HostError) in total += mapping.range.length }
    return total
}
