import Testing
import VmemmapEmulator

@Suite("Blocks of free memory")
struct BlockAllocatorTests {
    private static func allocator(blocks: Int, giganticBlocks: Int = 4, first: Int = 0) -> BlockAllocator {
        BlockAllocator(
            PageFrameNumber(first)..<PageFrameNumber(first + blocks * 8), blockPages: 8,
            giganticPages: 8 * giganticBlocks)
    }

    @Test("All of it is handed out, in blocks, in gigantic stretches and in pages, and no more")
    func exhausts() {
        var blocks = Self.allocator(blocks: 10)
        #expect((0..<10).allSatisfy { _ in blocks.takeBlock() != nil })
        #expect(blocks.takeBlock() == nil && blocks.takePage() == nil && blocks.freePages == 0)
        var gigantic = Self.allocator(blocks: 10)
        #expect(gigantic.freeGigantic == 2)
        #expect(gigantic.takeGigantic() == PageFrameNumber(0))
        #expect(gigantic.takeGigantic() == PageFrameNumber(32))
        #expect(gigantic.takeGigantic() == nil && gigantic.freeWholeBlocks == 2)
        var pages = Self.allocator(blocks: 2)
        #expect(Set((0..<16).compactMap { _ in pages.takePage() }).count == 16)
        #expect(pages.takePage() == nil)
    }

    @Test("What is small is taken where least is left, so that gigantic stretches stay whole")
    func tight() {
        var memory = Self.allocator(blocks: 12)
        let block = memory.takeBlock()
        for _ in 0..<3 { _ = memory.takeBlock() }
        #expect(block == PageFrameNumber(0) && memory.freeGigantic == 2)
        let page = memory.takePage()
        for _ in 0..<7 { _ = memory.takePage() }
        #expect(memory.freeGigantic == 1 && memory.freeWholeBlocks == 7)
        memory.giveBack((page ?? PageFrameNumber(0))..<(page ?? PageFrameNumber(0)).advanced(by: 8))
        #expect(memory.freeGigantic == 2 && memory.freeWholeBlocks == 8)
    }

    @Test("A gigantic stretch that is given back in parts is whole again")
    func parts() {
        var memory = Self.allocator(blocks: 4, first: 64)
        let start = memory.takeGigantic() ?? PageFrameNumber(0)
        #expect(start == PageFrameNumber(64))
        memory.giveBack(start.advanced(by: 8)..<start.advanced(by: 16))
        memory.giveBack(start..<start.advanced(by: 3))
        memory.giveBack(start.advanced(by: 3)..<start.advanced(by: 8))
        #expect(memory.freeGigantic == 0 && memory.freePages == 16)
        memory.giveBack(start.advanced(by: 16)..<start.advanced(by: 32))
        #expect(memory.freeGigantic == 1)
    }

    @Test("An isolated frame is never handed out again, whether it was in use or free")
    func isolates() {
        var memory = Self.allocator(blocks: 4)
        let start = memory.takeGigantic() ?? PageFrameNumber(0)
        memory.isolate(start.advanced(by: 9))
        memory.giveBack(start..<start.advanced(by: 32))
        #expect(memory.freePages == 31 && memory.freeWholeBlocks == 3 && memory.freeGigantic == 0)
        memory.isolate(start)
        #expect(memory.freePages == 30 && memory.freeWholeBlocks == 2)
        let taken = (0..<40).compactMap { _ in memory.takePage() }
        #expect(taken.count == 30 && !taken.contains(start) && !taken.contains(start.advanced(by: 9)))
    }

    @Test("Random taking and giving back agrees with a bitmap", arguments: Seeds.all)
    func random(_ seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        var memory = Self.allocator(blocks: 22, first: 32)
        var used = Set<Int>()
        var held: [Range<PageFrameNumber>] = []
        for step in 0..<4000 {
            let (size, first): (Int, PageFrameNumber?) =
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: (32, memory.takeGigantic())
                case 1: (8, memory.takeBlock())
                case 2: (1, memory.takePage())
                default: (0, nil)
                }
            if let first {
                let range = first..<first.advanced(by: size)
                #expect(first.rawValue.isMultiple(of: size))
                #expect(range.allSatisfy { used.insert($0.rawValue).inserted }, "step \(step)")
                held.append(range)
            } else if size == 0, let index = held.indices.randomElement(using: &generator) {
                // Sometimes only a part, in two steps.
                let range = held.remove(at: index)
                let middle = PageFrameNumber(
                    Int.random(in: range.lowerBound.rawValue...range.upperBound.rawValue, using: &generator))
                memory.giveBack(range.lowerBound..<middle)
                if middle < range.upperBound { memory.giveBack(middle..<range.upperBound) }
                used.subtract(range.map(\.rawValue))
            }
            #expect(memory.freePages == 176 - used.count, "step \(step)")
            let whole = (0..<22).count { block in (0..<8).allSatisfy { !used.contains(32 + block * 8 + $0) } }
            #expect(memory.freeWholeBlocks == whole, "step \(step)")
        }
        for frame in memory.frames { #expect(memory.isFree(frame) != used.contains(frame.rawValue)) }
    }
}
