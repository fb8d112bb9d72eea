import HostMemory
import Testing

@testable import KernelMemory

/// Struct pages of a huge page of 2 MiB that was given back, made up.
@Suite("Restored vmemmap pages")
struct RestoredVmemmapTests {
    private static let pfn: UInt64 = 0x3c00
    private static let head: UInt64 = 0x000f_ffff_c000_0040
    private static let plain: UInt64 = 0x000f_ffff_c000_0000
    private static let mark = HeadMark(pfn: pfn, size: .mebibytes(2), flags: 0x40)

    /// Eight vmemmap pages with a frame each, and what the struct pages hold: flags and the word that leads to a head.
    private func reader(
        frame: (Int) -> UInt64 = { 0x1000 + UInt64($0) }, entry: UInt64 = 0x8000_0000_0000_0063,
        _ contents: (Int, _ structPage: (Int) -> UInt64) -> (flags: UInt64, head: UInt64)
    ) -> HugePageReader {
        var kernel = FakeKernel()
        let layout = KernelLayout(
            tables: kernel.tables, vmemmap: kernel.vmemmap, structPageBytes: 64, headOffset: 8, hugeTLBType: nil,
            optimizedFlag: nil, evidence: [])
        func structPage(_ number: Int) -> UInt64 { layout.structPage(of: Self.pfn + UInt64(number)).rawValue }
        for page in 0..<8 {
            var words: [UInt64] = []
            for number in page * 64..<page * 64 + 64 {
                let (flags, head) = contents(number, structPage)
                words += [flags, head] + [UInt64](repeating: 0, count: 6)
            }
            let address = KernelAddress(structPage(page * 64))
            kernel.place(words, at: address, frame: frame(page))
            kernel.map(address, frame(page) << 12 | (page == 0 ? 0x8000_0000_0000_0063 : entry))
        }
        return HugePageReader(reader: kernel.memory, layout: layout)
    }

    private func stray(_ contents: (Int, (Int) -> UInt64) -> (flags: UInt64, head: UInt64)) throws -> Int? {
        let restored = try reader(contents).restored(Self.mark)
        #expect(restored == nil || restored?.pages == 7)
        return restored?.strayPages
    }

    @Test("Free memory, small pages, and huge pages of any order that somebody has by now break no rule")
    func right() throws {
        #expect(try stray { _, _ in (Self.plain, 0) } == 0)
        #expect(try stray { number, _ in (Self.plain | UInt64(number % 32) & ~0x40, 0xffff_8880_0000_0100) } == 0)
        for order in [1, 2, 6, 7, 9] {
            let size = 1 << order
            #expect(
                try stray { number, structPage in
                    number % size == 0 ? (Self.head, 0) : (Self.plain, structPage(number / size * size) | 1)
                } == 0, "order \(order)")
        }
        // Linux 7.1: a mask leads to the head.
        #expect(try stray { number, _ in number == 0 ? (Self.head, 0) : (Self.plain, 0xffff_ffff_ffff_8001) } == 0)
    }

    @Test("Copies of the head that lead nowhere, as Linux 6.12.117 leaves them")
    func loneHeads() throws {
        #expect(try stray { number, _ in (number % 64 == 0 ? Self.head : Self.plain, 0) } == 7)
        #expect(try stray { number, _ in (number == 320 ? Self.head : Self.plain, 0) } == 1)
    }

    @Test("Copies of the head, with copies of its tails that lead to it")
    func fakeHeads() throws {
        #expect(
            try stray { number, structPage in
                number % 64 == 0 ? (Self.plain, 0) : (Self.plain, structPage(0) | 1)
            } == 7)
        #expect(
            try stray { number, structPage in
                number == 0 || number == 128 ? (Self.head, 0) : (Self.plain, structPage(0) | 1)
            } == 1)
    }

    @Test("Nothing is said of a huge page that is optimized again")
    func optimizedAgain() throws {
        let again = reader(frame: { _ in 0x1000 }, entry: 0x8000_0000_0000_0061) { number, structPage in
            number % 64 == 0 ? (Self.head, 0) : (Self.plain, structPage(0) | 1)
        }
        #expect(try again.restored(Self.mark) == nil)
    }

    @Test("The mark is what the head's flags have and a tail's have not")
    func mark() throws {
        let reader = reader { number, _ in (number == 0 ? Self.head | 8 : Self.plain | 8, 0) }
        #expect(try reader.mark(pfn: Self.pfn, size: .mebibytes(2)) == Self.mark)
        let same = self.reader { _, _ in (Self.plain, 0) }
        #expect(try same.mark(pfn: Self.pfn, size: .mebibytes(2)) == nil)
    }
}
