package import HostMemory

/// What each block of a machine's memory is used as, for those who check what readers see.
///
/// A frame that is in a huge page must lead to its head at every moment, whether its vmemmap is optimized or not; a
/// frame that is in none must lead to itself. Only while struct pages are rewritten, as memory becomes a huge page or
/// is taken apart, may a frame lead to either. Whoever rewrites a block's struct pages holds the block alone, and says
/// so here before the first and after the last store. What the stores leave is not looked at: a store that was
/// forgotten is found by the readers.
package final class BlockUses: Sendable {
    /// What a block may be read as.
    package struct Uses: OptionSet, Hashable, Sendable {
        package let rawValue: UInt64

        package init(rawValue: UInt64) { self.rawValue = rawValue }

        /// Not there: its struct pages cannot be read.
        package static let absent: Uses = []
        /// In no huge page: each frame leads to itself.
        package static let plain = Uses(rawValue: 1)
        /// A huge page of the block's size.
        package static let huge = Uses(rawValue: 2)
        /// A part of a gigantic page.
        package static let gigantic = Uses(rawValue: 4)
    }

    /// The uses of a block at a moment. Two equal ones: nothing was rewritten between them.
    package struct Moment: Hashable, Sendable {
        fileprivate let word: UInt64

        /// What the block may be read as.
        package var uses: Uses { Uses(rawValue: word & BlockUses.usesMask) }
    }

    private static let usesMask: UInt64 = 7
    private static let step = usesMask + 1

    /// A word a block: its uses in the low bits, and how often they have changed above them.
    private let words: Address
    private let count: Int

    /// So many blocks, none of them in a huge page.
    init(_ count: Int) {
        self.count = count
        // SAFETY: as many words as are set here; they are this object's own until it ends.
        let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        unsafe memory.initialize(repeating: Uses.plain.rawValue, count: count)
        words = Address(UInt(bitPattern: memory))
    }

    deinit {
        // SAFETY: the memory that init allocated; nobody has this object any more.
        unsafe words.pointer(as: UInt64.self)?.deallocate()
    }

    /// The uses of a block now.
    @inline(__always)
    package func moment(ofBlock block: Int) -> Moment {
        precondition(block >= 0 && block < count)
        // SAFETY: the block has a word, see above.
        return Moment(word: unsafe MemoryAccess.load(words + ByteCount(8 * block)))
    }

    /// Rewrites the struct pages of blocks that the caller holds: `body` stores in them what they are to be read as
    /// from then on.
    func rewrite(_ blocks: Range<Int>, as use: Uses, _ body: () -> Void) {
        change(blocks) { $0.union(use) }
        body()
        change(blocks) { _ in use }
    }

    /// Says what blocks are to be read as from now on: absent ones before their struct pages go, and others once their
    /// struct pages say so.
    func declare(_ blocks: Range<Int>, as use: Uses) { change(blocks) { _ in use } }

    private func change(_ blocks: Range<Int>, _ new: (Uses) -> Uses) {
        for block in blocks {
            let word = moment(ofBlock: block).word
            let changed = (word & ~Self.usesMask &+ Self.step) | new(Uses(rawValue: word & Self.usesMask)).rawValue
            // SAFETY: as above. A release store: whoever sees it sees what was stored before, and the stores after it
            // are release stores too, so that whoever sees one of those sees this one.
            unsafe MemoryAccess.store(changed, at: words + ByteCount(8 * block))
        }
    }
}

extension EmulatedMachine {
    /// The blocks of a huge page.
    func blocks(of page: HugePageIndex, _ size: HugePageSize) -> Range<Int> {
        let count = configuration.sizes.blocks(in: size)
        return page.rawValue * count..<(page.rawValue + 1) * count
    }

    /// What the blocks of a huge page are used as.
    func use(_ size: HugePageSize) -> BlockUses.Uses { size == configuration.sizes.block ? .huge : .gigantic }

    /// What a reader of a frame's struct page finds, held against what the frame is used as.
    package enum HeadSeen: Hashable, Sendable {
        /// Where it must lead.
        case right
        /// Anywhere else, by the word that was read; nil: it could not be read.
        case wrong(word: UInt64?, expected: Address)
        /// Its struct page was rewritten so often meanwhile that nothing can be said.
        case notObserved
        /// The memory is not there, so its struct page was not read (`pfn_to_online_page()`).
        case absent
        /// The memory was taken away between the two, and the read faulted.
        case removed
    }

    /// Reads a frame's compound head by `read`, and judges it.
    ///
    /// A frame in a huge page for the whole of the reading must lead to that page's head, one in none to itself. Where
    /// the frame's struct page was rewritten meanwhile, the reading is held against all that it can ever be, and is
    /// made again.
    @inline(__always)
    package func observeHead(
        of frame: PageFrameNumber, _ read: (Address) -> (head: Address, word: UInt64)?
    ) -> HeadSeen {
        let block = frame.rawValue / smallView.layout.geometry.basePagesPerHugePage
        let address = smallView.layout.structPage(of: frame)
        for _ in 0..<1000 {
            let before = uses.moment(ofBlock: block)
            if before.uses == .absent { return .absent }
            let seen = read(address)
            let after = uses.moment(ofBlock: block)
            let isStable = after == before
            if seen == nil, !isStable, after.uses == .absent { return .removed }
            let allowed = isStable ? before.uses : [.plain, .huge, .gigantic]
            guard let seen, isLegal(seen.head, of: frame, allowed) else {
                return .wrong(word: seen?.word, expected: expectedHead(of: frame, before.uses))
            }
            if isStable { return .right }
        }
        return .notObserved
    }

    /// The same by a reading that survives a gap.
    package func observeHead(of frame: PageFrameNumber) -> HeadSeen {
        observeHead(of: frame) { _ in smallView.observedHead(of: frame) }
    }

    @inline(__always)
    private func isLegal(_ head: Address, of frame: PageFrameNumber, _ uses: BlockUses.Uses) -> Bool {
        let layout = smallView.layout
        if uses.contains(.plain), head == layout.structPage(of: frame) { return true }
        if uses.contains(.huge), head == layout.head(of: frame) { return true }
        guard uses.contains(.gigantic) else { return false }
        return head == giganticHead(of: frame)
    }

    private func giganticHead(of frame: PageFrameNumber) -> Address {
        smallView.layout.structPage(of: PageFrameNumber(frame.rawValue / pagesPerGigantic * pagesPerGigantic))
    }

    private func expectedHead(of frame: PageFrameNumber, _ uses: BlockUses.Uses) -> Address {
        if uses.contains(.gigantic) { return giganticHead(of: frame) }
        return uses.contains(.huge)
            ? smallView.layout.head(of: frame) : smallView.layout.structPage(of: frame)
    }
}
