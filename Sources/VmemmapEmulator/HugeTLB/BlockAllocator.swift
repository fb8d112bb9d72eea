/// Which base pages of a zone are free: the page allocator, as far as huge pages need one. A pure value.
///
/// Memory is kept in blocks of the smaller huge page (of x86-64, 2 MiB: order 9). A block is free as a whole, in use as
/// a whole, or broken into base pages. A gigantic page takes as many free blocks in a row at a multiple of its size
/// (`alloc_contig_pages()`); a smaller one any free block (`alloc_pages()` of its order). Blocks and base pages are
/// taken where least is left, so that what is free stays in one piece as long as possible.
package struct BlockAllocator: Sendable {
    /// The frames that it hands out.
    package let frames: Range<PageFrameNumber>

    private let blockPages: Int
    private let giganticBlocks: Int
    /// Blocks of the first gigantic stretch that lie before the zone.
    private let blocksBefore: Int
    /// Free base pages of each block.
    private var free: [Int]
    /// Free whole blocks of each gigantic stretch.
    private var freeBlocks: [Int]
    /// Base pages in use, of each block that is broken.
    private var broken: [Int: Set<Int>] = [:]
    /// Frames that are in use and stay so: memory errors.
    private var isolated: Set<PageFrameNumber> = []
    /// The blocks that have any.
    private var isolatedBlocks: Set<Int> = []

    /// A zone of free memory.
    ///
    /// - Parameters:
    ///   - frames: from a multiple of a block's size on; of a block that they do not fill at the end, base pages are
    ///     handed out, and never the whole.
    ///   - blockPages: base pages of a block.
    ///   - giganticPages: base pages of a gigantic page.
    package init(_ frames: Range<PageFrameNumber>, blockPages: Int, giganticPages: Int) {
        self.blockPages = blockPages
        giganticBlocks = giganticPages / blockPages
        self.frames = frames
        let (blocks, rest) = frames.count.quotientAndRemainder(dividingBy: blockPages)
        blocksBefore = frames.lowerBound.rawValue / blockPages % giganticBlocks
        free = Array(repeating: blockPages, count: blocks)
        freeBlocks = Array(
            repeating: 0, count: (blocksBefore + blocks + (rest > 0 ? 1 : 0) + giganticBlocks - 1) / giganticBlocks)
        for block in 0..<blocks { freeBlocks[stretch(of: block)] += 1 }
        if rest > 0 {
            free.append(rest)
            broken[blocks] = Set(rest..<blockPages)
        }
    }

    /// Takes what is free and not to be handed out: firmware's, for example.
    package mutating func withhold(_ withheld: Range<PageFrameNumber>) {
        let withheld = withheld.clamped(to: frames)
        guard let last = withheld.last else { return }
        for block in place(of: withheld.lowerBound).block...place(of: last).block {
            let whole = frame(ofBlock: block)..<frame(ofBlock: block + 1)
            let part = withheld.clamped(to: whole)
            if part == whole, free[block] == blockPages {
                take(block)
            } else {
                for frame in part where isFree(frame) { takeOut(frame) }
            }
        }
    }

    // MARK: What is free

    /// Free base pages, in broken blocks and in whole ones.
    package var freePages: Int { free.reduce(0, +) }

    /// Blocks that are free as a whole.
    package var freeWholeBlocks: Int { freeBlocks.reduce(0, +) }

    /// Gigantic stretches that are free as a whole.
    package var freeGigantic: Int { freeBlocks.count { $0 == giganticBlocks } }

    /// Whether a frame is free.
    package func isFree(_ frame: PageFrameNumber) -> Bool {
        guard frames.contains(frame) else { return false }
        let (block, page) = place(of: frame)
        if free[block] == blockPages { return true }
        return broken[block].map { !$0.contains(page) } ?? false
    }

    private func place(of frame: PageFrameNumber) -> (block: Int, page: Int) {
        let (block, page) = frames.lowerBound.distance(to: frame).quotientAndRemainder(dividingBy: blockPages)
        return (block, page)
    }

    private func frame(ofBlock block: Int) -> PageFrameNumber { frames.lowerBound.advanced(by: block * blockPages) }

    private func stretch(of block: Int) -> Int { (blocksBefore + block) / giganticBlocks }

    private func blocks(ofGigantic stretch: Int) -> Range<Int> {
        let first = stretch * giganticBlocks - blocksBefore
        return max(0, first)..<min(free.count, first + giganticBlocks)
    }

    // MARK: Taking

    /// A base page; nil if there is none.
    package mutating func takePage() -> PageFrameNumber? {
        let block = broken.keys.filter { free[$0] > 0 }.min { (free[$0], $0) < (free[$1], $1) } ?? tightestFreeBlock()
        guard let block else { return nil }
        if free[block] == blockPages {
            freeBlocks[stretch(of: block)] -= 1
            broken[block] = []
        }
        guard let page = (0..<blockPages).first(where: { broken[block]?.contains($0) == false }) else { return nil }
        broken[block]?.insert(page)
        free[block] -= 1
        return frame(ofBlock: block).advanced(by: page)
    }

    /// A block for a huge page; nil if none is free as a whole.
    package mutating func takeBlock() -> PageFrameNumber? {
        guard let block = tightestFreeBlock() else { return nil }
        take(block)
        return frame(ofBlock: block)
    }

    /// As many blocks in a row as a gigantic page needs, at a multiple of its size; nil if they are free nowhere.
    package mutating func takeGigantic() -> PageFrameNumber? {
        guard let stretch = freeBlocks.firstIndex(of: giganticBlocks) else { return nil }
        for block in blocks(ofGigantic: stretch) { take(block) }
        return frame(ofBlock: blocks(ofGigantic: stretch).lowerBound)
    }

    /// A free block in the stretch that has the fewest.
    private func tightestFreeBlock() -> Int? {
        let stretch = freeBlocks.indices.filter { freeBlocks[$0] > 0 }.min { freeBlocks[$0] < freeBlocks[$1] }
        return stretch.flatMap { blocks(ofGigantic: $0).first { free[$0] == blockPages } }
    }

    private mutating func take(_ block: Int) {
        free[block] = 0
        freeBlocks[stretch(of: block)] -= 1
    }

    // MARK: Giving back

    /// Gives back what was taken: a page, a block, or a gigantic stretch, or a part of one of the latter two in whole
    /// pages. Isolated frames stay in use. Frames that are free already are a programmer's error.
    package mutating func giveBack(_ given: Range<PageFrameNumber>) {
        guard let last = given.last else { return }
        for block in place(of: given.lowerBound).block...place(of: last).block {
            let whole = frame(ofBlock: block)..<frame(ofBlock: block + 1)
            let part = given.clamped(to: whole)
            if part == whole, broken[block] == nil, !isolatedBlocks.contains(block) {
                precondition(free[block] == 0, "block \(block) is free already")
                free[block] = blockPages
                freeBlocks[stretch(of: block)] += 1
            } else {
                precondition(!part.contains(where: isFree), "a frame of \(part.numbers) is free already")
                for frame in part where !isolated.contains(frame) { giveBackPage(block, place(of: frame).page) }
            }
        }
    }

    private mutating func giveBackPage(_ block: Int, _ page: Int) {
        if broken[block] == nil { broken[block] = Set(0..<blockPages) }
        broken[block]?.remove(page)
        free[block] += 1
        if free[block] == blockPages {
            broken[block] = nil
            freeBlocks[stretch(of: block)] += 1
        }
    }

    /// Takes a frame out of use for good, in use or free: a memory error (`HWPoison`).
    ///
    /// - Returns: false for one that is none of the zone's, or was taken out before.
    @discardableResult
    package mutating func isolate(_ frame: PageFrameNumber) -> Bool {
        guard frames.contains(frame), isolated.insert(frame).inserted else { return false }
        isolatedBlocks.insert(place(of: frame).block)
        if isFree(frame) { takeOut(frame) }
        return true
    }

    /// Forgets memory errors: the memory is not there any more.
    package mutating func forgetErrors(in gone: Range<PageFrameNumber>) {
        isolated = isolated.filter { !gone.contains($0) }
        isolatedBlocks = Set(isolated.map { place(of: $0).block })
    }

    /// Frames that were taken out of use.
    package func errors(in part: Range<PageFrameNumber>) -> [PageFrameNumber] { isolated.filter(part.contains) }

    /// Takes a frame that is free.
    private mutating func takeOut(_ frame: PageFrameNumber) {
        let (block, page) = place(of: frame)
        if free[block] == blockPages {
            freeBlocks[stretch(of: block)] -= 1
            broken[block] = []
        }
        broken[block]?.insert(page)
        free[block] -= 1
    }
}
