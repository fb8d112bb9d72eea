import HostMemory

/// The memory that is there at boot, and the memory blocks behind it that come and go (`struct memory_block`). A pure
/// value.
struct MemoryBlocks: Hashable, Sendable {
    /// A memory block that can come and go.
    enum State: Hashable, Sendable {
        case absent
        /// It is there; its vmemmap lies in its own first frames if it is self-hosted (`memmap_on_memory`).
        case present(isSelfHosted: Bool)
    }

    /// What comes and goes at once (`memory_block_size_bytes()`).
    let bytes: ByteCount
    /// Frames of a memory block.
    let framesPerBlock: Int
    /// Vmemmap pages that describe a memory block: whole ones, with a struct page of at least 32 bytes.
    let vmemmapPagesPerBlock: Int
    /// Frames that are there at boot.
    private let bootFrames: Int
    /// Each block behind those.
    private var states: [State]

    /// Boot memory, and no block that is there.
    ///
    /// - Parameters:
    ///   - bytes: the size of a memory block.
    ///   - bootFrames: whole memory blocks, unless `blocks` is 0.
    ///   - blocks: how many can come and go.
    ///   - geometry: of the machine's struct pages.
    init(_ bytes: ByteCount, bootFrames: Int, blocks: Int, _ geometry: Geometry) {
        self.bytes = bytes
        self.bootFrames = bootFrames
        framesPerBlock = bytes.rawValue / geometry.basePageSize.rawValue
        vmemmapPagesPerBlock = framesPerBlock * geometry.structPageSize.rawValue / geometry.basePageSize.rawValue
        states = Array(repeating: .absent, count: blocks)
    }

    // MARK: What is there

    /// Whether a frame of the machine is there (`pfn_to_online_page()`).
    func isPresent(_ frame: PageFrameNumber) -> Bool {
        guard let block = block(of: frame) else { return frame.rawValue < bootFrames }
        return states[block] != .absent
    }

    /// Whether the vmemmap of a frame lies in the frame's own memory block (`PageVmemmapSelfHosted()`).
    func isSelfHosted(_ frame: PageFrameNumber) -> Bool {
        block(of: frame).map { states[$0] == .present(isSelfHosted: true) } ?? false
    }

    /// Vmemmap pages of the blocks that are not there.
    var absentVmemmapPages: PageCount { PageCount(vmemmapPagesPerBlock * states.count { $0 == .absent }) }

    /// Where what is there borders on what is not: the host has a mapping more for each.
    var borders: Int {
        zip([.present(isSelfHosted: false)] + states, states).count { ($0 == .absent) != ($1 == .absent) }
    }

    /// The first `count` blocks that are not there; nil if those are not as many, or not in a row.
    func absentBlocks(_ count: Int) -> Range<Int>? {
        guard let first = states.firstIndex(of: .absent), count <= states.count - first else { return nil }
        let blocks = first..<(first + count)
        return states[blocks].allSatisfy { $0 == .absent } ? blocks : nil
    }

    /// The last `count` blocks that are there, or all in a row that are; nil if those are not as many.
    func presentBlocks(_ count: Int?) -> Range<Int>? {
        guard let last = states.lastIndex(where: { $0 != .absent }) else { return nil }
        let first = (states[...last].lastIndex(of: .absent) ?? -1) + 1
        guard let count else { return first..<(last + 1) }
        return count <= last + 1 - first ? (last + 1 - count)..<(last + 1) : nil
    }

    /// How many blocks there are, present or not.
    func count(where isCounted: (State) -> Bool) -> Int { states.count(where: isCounted) }

    /// How a block is.
    subscript(block: Int) -> State {
        get { states[block] }
        set { states[block] = newValue }
    }

    // MARK: Where it is

    /// The frames of some blocks.
    func frames(of blocks: Range<Int>) -> Range<PageFrameNumber> {
        PageFrameNumber(
            bootFrames + blocks.lowerBound * framesPerBlock)..<PageFrameNumber(
                bootFrames + blocks.upperBound * framesPerBlock)
    }

    /// The frames that a self-hosted block's vmemmap lies in: its first.
    func vmemmapFrames(of block: Int) -> Range<PageFrameNumber> {
        let first = frames(of: block..<(block + 1)).lowerBound
        return first..<first.advanced(by: vmemmapPagesPerBlock)
    }

    /// Whether the vmemmap of a self-hosted block lies in a frame.
    func holdsVmemmap(_ frame: PageFrameNumber) -> Bool {
        guard let block = block(of: frame), states[block] == .present(isSelfHosted: true) else { return false }
        return vmemmapFrames(of: block).contains(frame)
    }

    private func block(of frame: PageFrameNumber) -> Int? {
        let place = frame.rawValue - bootFrames
        return place >= 0 && place / framesPerBlock < states.count ? place / framesPerBlock : nil
    }
}
