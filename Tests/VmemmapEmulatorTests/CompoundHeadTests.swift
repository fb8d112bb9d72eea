import HostMemory
import Testing
import VmemmapEmulator

@Suite("From any struct page to its head")
struct CompoundHeadTests {
    private static let pageSize = ByteCount.kibibytes(4)
    /// Aligned to the struct pages of a 1 GiB huge page, as every region is.
    private static let base = Address(0x7f00_0100_0000)

    private func head(_ index: Int, order: Int) -> Address { Self.base + ByteCount(index << (order + 6)) }

    // MARK: Shared tail

    @Test("The shared-tail mask is one for all huge pages of an order", arguments: [9, 18])
    func mask(_ order: Int) {
        let expected: UInt64 = order == 9 ? 0xffff_ffff_ffff_8001 : 0xffff_ffff_ff00_0001
        for index in [0, 1, 7] {
            #expect(CompoundHead.tailWord(.mask, head: head(index, order: order), order: order) == expected)
        }
    }

    @Test("Under the mask every struct page of a huge page leads to its head", arguments: [9, 18])
    func masked(_ order: Int) {
        let word = CompoundHead.tailWord(.mask, head: Self.base, order: order)
        for index in [0, 1, 3] {
            let head = head(index, order: order)
            let wrong = (0..<(1 << order)).filter {
                CompoundHead.masked(word, at: head + StructPage.size * $0) != head
            }
            #expect(wrong.isEmpty, "\(wrong.prefix(3))")
            // The first struct page behind it belongs to the next.
            let next = head + StructPage.size * (1 << order)
            #expect(CompoundHead.masked(word, at: next) == next)
        }
    }

    @Test(
        "A word without bit 0 leaves a struct page its own head", arguments: [UInt64(0), 2, 0xdead_0000_0000_0400, ~1])
    func maskedHead(_ word: UInt64) {
        for number in [0, 1, 63, 64, 511] {
            let address = Self.base + StructPage.size * number
            #expect(CompoundHead.masked(word, at: address) == address)
        }
    }

    // MARK: Fake heads

    /// What a reader finds of a struct page at the start of a vmemmap page.
    struct Found: Sendable {
        /// Its compound_head.
        var word: UInt64
        var flags: UInt64
        /// The compound_head of the struct page after it.
        var next: UInt64

        private static let zone = UInt64(2) << 61

        /// A tail vmemmap page with its own frame: all of it tails.
        static func restored(_ head: Address) -> Found {
            let tail = CompoundHead.tailWord(.pointerBesideFakeHeads, head: head, order: 9)
            return Found(word: tail, flags: zone, next: tail)
        }

        /// The head's vmemmap page, or one that shows it. The head's own word is a list pointer, or nothing.
        static func head(_ head: Address, word: UInt64) -> Found {
            Found(
                word: word, flags: zone | StructPage.headFlag,
                next: CompoundHead.tailWord(.pointerBesideFakeHeads, head: head, order: 9))
        }
    }

    private static let headWords: [UInt64] = [0, 0x7f00_dead_bee8]

    private func throughFakeHead(_ first: Found, _ second: Found, at address: Address) -> Address {
        CompoundHead.throughFakeHead(first.word, at: address, pageSize: Self.pageSize) { second.next }
    }

    /// `_compound_head()` with `page_fixed_fake_head()` as the kernel has it: PG_head decides if the next one is asked.
    private func kernel(_ first: Found, _ flags: Found, _ second: Found, at address: Address) -> Address {
        if first.word & 1 == 1 { return Address(UInt(first.word - 1)) }
        guard address.rawValue & UInt(Self.pageSize.rawValue - 1) == 0, flags.flags & StructPage.headFlag != 0 else {
            return address
        }
        return second.next & 1 == 1 ? Address(UInt(second.next - 1)) : address
    }

    @Test("True tails, the real head, and the fake head of each vmemmap page lead to the head", arguments: headWords)
    func fakeHeads(_ word: UInt64) {
        for index in [0, 2] {
            let head = head(index, order: 9)
            let fake = Found.head(head, word: word)
            let tail = Found.restored(head)
            #expect(throughFakeHead(fake, fake, at: head) == head)
            for number in 1..<512 {
                let address = head + StructPage.size * number
                #expect(throughFakeHead(tail, tail, at: address) == head)
                // Every 64th begins a vmemmap page.
                if number.isMultiple(of: 64) { #expect(throughFakeHead(fake, fake, at: address) == head) }
            }
        }
    }

    @Test("Only at the start of a vmemmap page is the next struct page asked, and only without bit 0")
    func asks() {
        let tail = CompoundHead.tailWord(.pointerBesideFakeHeads, head: Self.base, order: 9)
        for number in 0..<512 {
            for word in [tail, 0] {
                var asked = 0
                let address = Self.base + StructPage.size * number
                let found = CompoundHead.throughFakeHead(word, at: address, pageSize: Self.pageSize) {
                    asked += 1
                    return tail
                }
                #expect(asked == (word == 0 && number.isMultiple(of: 64) ? 1 : 0))
                #expect(found == (word == 0 && asked == 0 ? address : Self.base))
            }
        }
    }

    @Test("A struct page of no compound page is its own head, whatever own word the next one holds")
    func single() {
        for next: UInt64 in [0, 2, 0x7f00_dead_bee8] {
            let found = CompoundHead.throughFakeHead(0, at: Self.base, pageSize: Self.pageSize) { next }
            #expect(found == Self.base)
        }
    }

    @Test("Whichever side of an optimize or a restore each load falls on, the head is right", arguments: headWords)
    func race(_ word: UInt64) {
        let fake = Found.head(Self.base, word: word)
        let tail = Found.restored(Self.base)
        for number in stride(from: 64, to: 512, by: 64) {
            let address = Self.base + StructPage.size * number
            for first in [tail, fake] {
                for second in [tail, fake] {
                    #expect(throughFakeHead(first, second, at: address) == Self.base)
                }
            }
        }
    }

    @Test("The kernel's test of PG_head is wrong where a restore falls behind the first load", arguments: headWords)
    func kernelRace(_ word: UInt64) {
        let fake = Found.head(Self.base, word: word)
        let tail = Found.restored(Self.base)
        let address = Self.base + Self.pageSize
        #expect(kernel(tail, tail, tail, at: address) == Self.base)
        #expect(kernel(tail, fake, fake, at: address) == Self.base)
        #expect(kernel(fake, fake, fake, at: address) == Self.base)
        // The fake head has become a tail: no PG_head, and the struct page is taken for its own head.
        #expect(kernel(fake, tail, tail, at: address) == address)
        // Behind the second load it does no harm any more.
        #expect(kernel(fake, fake, tail, at: address) == Self.base)
    }
}
