import HostMemory
import Testing

@testable import KernelMemory

/// Walks over page tables that are made up.
struct PageTableTests {
    private static let address = KernelAddress(0xffff_ea00_8123_4000)

    private func walk(
        _ kernel: FakeKernel, _ address: KernelAddress = address, count: Int = 1
    ) throws -> [KernelMapping?] {
        try kernel.tables.mappings(from: address, count: count, by: kernel.memory)
    }

    @Test("A page, by 4 levels and by 5", arguments: [4, 5])
    func page(levels: Int) throws {
        var kernel = FakeKernel(levels: levels)
        kernel.map(Self.address, 0x8000_0001_2345_6163)
        let mapping = try #require(try walk(kernel)[0])
        #expect(mapping.frame == 0x12_3456 && mapping.level == .pte && mapping.entry == 0x8000_0001_2345_6163)
        #expect(mapping.isWritable && !mapping.isExecutable && mapping.isUser == false && mapping.isWriteBack)
        #expect(try walk(kernel, Self.address + 4096)[0] == nil)
        #expect(try kernel.tables.mapping(of: Self.address + 0x18, by: kernel.memory) == mapping)
    }

    @Test("Large pages: the frame of each page of 4 KiB in them", arguments: [(1, 0x1ff), (2, 0x3ffff)])
    func large(level: Int, mask: Int) throws {
        var kernel = FakeKernel()
        // Bit 12 of a large entry is no part of the address.
        kernel.map(Self.address, 0x8000_0001_c000_11e3, level: level)
        let mappings = try walk(kernel, count: 3).compactMap { $0 }
        let within = Self.address.rawValue >> 12 & UInt64(mask)
        #expect(mappings.map(\.frame) == (0..<3).map { 0x1c_0000 + within + $0 })
        #expect(mappings.allSatisfy { $0.level == KernelMapping.Level(level) })
    }

    @Test("A right that one level withholds is withheld")
    func rights() throws {
        for above: UInt64 in [0x65, 0x63, 0x8000_0000_0000_0067] {
            var kernel = FakeKernel()
            kernel.map(Self.address, 0x12_3456_7067, above: above)
            let mapping = try #require(try walk(kernel)[0])
            #expect(mapping.isWritable == (above & 2 != 0) && mapping.isUser == (above & 4 != 0))
            #expect(mapping.isExecutable == (above >> 63 == 0))
        }
        var kernel = FakeKernel()
        kernel.map(Self.address, 0x12_3456_7000 | 0x71)
        #expect(try walk(kernel)[0]?.isWriteBack == false)
    }

    @Test("Neighbours in several tables, present and absent")
    func neighbours() throws {
        var kernel = FakeKernel()
        let start = KernelAddress(0xffff_ea00_801f_e000)
        // The last two of one table, none of the next, and a large page after that.
        kernel.map(start, 0x1000 | 0x63)
        kernel.map(start + 4096, 0x2000 | 0x61)
        kernel.map(start + (2 + 512) * 4096, 0x4000_0000 | 0xe3, level: 1)
        let mappings = try walk(kernel, start, count: 2 + 512 + 2)
        #expect(mappings[0]?.frame == 1 && mappings[1]?.frame == 2 && mappings[1]?.isWritable == false)
        #expect(mappings[2..<514].allSatisfy { $0 == nil })
        #expect(mappings[514]?.frame == 0x4_0000 && mappings[515]?.frame == 0x4_0001)
        let ranges = try kernel.tables.mapped(from: start, pages: 600, level: 1, by: kernel.memory)
        #expect(ranges == [0..<2, 514..<600])
    }

    @Test("The bit of memory encryption is no part of an address", arguments: [45, 47, 51])
    func encryption(bit: UInt64) throws {
        var kernel = FakeKernel()
        kernel.encryption = 1 << bit
        kernel.map(Self.address, 0x12_3456_7063)
        #expect(try walk(kernel)[0]?.frame == 0x123_4567)
    }

    @Test("A table that leads back to itself has an end")
    func circle() throws {
        var kernel = FakeKernel()
        kernel.fill(kernel.root)
        for word in 0..<UInt64(512) { kernel[physical: kernel.root << 12 + word * 8] = kernel.root << 12 | 0x67 }
        #expect(try walk(kernel, count: 4096).count == 4096)
        #expect(throws: KernelMemoryError.malformed("page tables without end")) {
            try kernel.tables.mapped(from: KernelAddress(0), pages: 1 << 36, level: 1, by: kernel.memory, tables: 500)
        }
    }

    @Test("Entries and sizes that cannot be give an error")
    func malformed() throws {
        var kernel = FakeKernel()
        kernel.map(Self.address, 0x4000_0000 | 0xe3, level: 3)
        #expect(throws: KernelMemoryError.self) { try walk(kernel) }
        #expect(throws: KernelMemoryError.self) { try walk(kernel, KernelAddress(.max << 12), count: 2) }
        #expect(throws: KernelMemoryError.self) { try walk(kernel, count: .max) }
        #expect(try walk(kernel, count: 0).isEmpty)
        let tables = KernelPageTables(
            levels: 3, root: kernel.tables.root, directMap: kernel.directMap, addressMask: .max)
        #expect(throws: KernelMemoryError.self) { try tables.mapping(of: Self.address, by: kernel.memory) }
        #expect(try kernel.tables.mapped(from: Self.address, pages: 0, level: 1, by: kernel.memory).isEmpty)
    }

    @Test("A table beyond the end of memory is not read")
    func beyondMemory() throws {
        var kernel = FakeKernel()
        kernel.map(Self.address, 0x63)
        kernel[kernel.tables.root + (Self.address.rawValue >> 39 & 511) * 8] = 0x20_0000_0067
        let tables = KernelPageTables(
            levels: 4, root: kernel.tables.root, directMap: kernel.directMap, addressMask: .max, endFrame: 0x20_0000)
        let refused = KernelMemoryError.malformed("entry 0000002000000067 leads beyond the end of memory")
        let reader = kernel.memory
        #expect(throws: refused) { try tables.mapping(of: Self.address, by: reader) }
        #expect(throws: refused) { try tables.mapped(from: Self.address, pages: 1, level: 1, by: reader) }
    }

    @Test("A table that is not there is told with its address")
    func missing() throws {
        var kernel = FakeKernel()
        kernel.map(Self.address, 0x63)
        kernel.map(Self.address + 1 << 30, 0x63)
        kernel[kernel.tables.root + (Self.address.rawValue >> 39 & 511) * 8] = 0xabc_d067
        #expect(throws: KernelMemoryError.unreadable(kernel.directMap + 0xabc_d000 + 2 * 8)) { try walk(kernel) }
    }
}

/// What the mappings of a huge page's vmemmap amount to.
struct HugePageViewTests {
    private func state(_ pages: [(frame: UInt64, isWritable: Bool)?], level: KernelMapping.Level = .pte) -> VmemmapState
    {
        let mappings = pages.map { page in
            page.map {
                KernelMapping(
                    frame: $0.frame, level: level, isWritable: $0.isWritable, isExecutable: false, isUser: false,
                    entry: 0)
            }
        }
        return HugePageView(
            pfn: 512, size: .mebibytes(2), vmemmap: KernelAddress(0), pages: mappings, isMarkedOptimized: nil
        ).state
    }

    private func tails(_ frame: UInt64, _ count: Int) -> [(frame: UInt64, isWritable: Bool)?] {
        Array(repeating: (frame, false), count: count)
    }

    @Test("The three schemes")
    func schemes() {
        #expect(state([(1, true)] + tails(1, 7)) == .optimized(.head))
        #expect(state([(1, true), (2, true)] + tails(2, 6)) == .optimized(.firstTail))
        #expect(state([(1, true)] + tails(2, 7)) == .optimized(.sharedTail))
    }

    @Test("Every frame there: split or whole")
    func full() {
        let pages: [(frame: UInt64, isWritable: Bool)?] = (1...8).map { (UInt64($0), true) }
        #expect(state(pages) == .split)
        #expect(state(pages, level: .pmd) == .whole)
    }

    @Test("What is neither")
    func others() {
        let pages: [(frame: UInt64, isWritable: Bool)?] = (1...8).map { (UInt64($0), true) }
        // The head read-only, a tail writable, two tail frames, one frame twice, nothing mapped.
        #expect(state([(1, false)] + tails(1, 7)) == .other)
        #expect(state([(1, true)] + tails(1, 6) + [(1, true)]) == .other)
        #expect(state([(1, true)] + tails(2, 3) + tails(3, 4)) == .other)
        #expect(state(Array(pages.dropLast()) + [(1, true)]) == .other)
        #expect(state(Array(pages.dropLast()) + [(8, false)]) == .other)
        #expect(state(Array(pages.dropLast()) + [nil]) == .other)
        #expect(state([(1, true), (1, true)] + tails(1, 6)) == .other)
        #expect(state([(1, true), (2, true)] + tails(1, 6)) == .other)
        #expect(state([]) == .other)
    }
}
