package import HostMemory

/// Memory that came or went.
package struct MemoryChange: Hashable, Sendable {
    /// Its frames.
    package let frames: Range<PageFrameNumber>
    /// The base page, which each of them is of.
    package let basePageSize: ByteCount
    /// Vmemmap pages that describe it.
    package let vmemmapPages: PageCount
    /// Those of them that lie in the memory itself.
    package let selfHostedPages: PageCount
    /// Whether it is there now.
    package let isPresent: Bool
}

// Memory that is plugged in and taken out (`mm/memory_hotplug.c`), in memory blocks. Its vmemmap comes and
// goes with it.
extension EmulatedMachine {
    /// Plugs memory in, behind what is there (`add_memory()`, `online_pages()`).
    ///
    /// Its vmemmap is the page allocator's, or, self-hosted (`memmap_on_memory`), lies in the first frames of each
    /// memory block: those are nobody's, and huge pages of such a block are never optimized, since the frames that this
    /// would free are not the page allocator's.
    ///
    /// - Parameters:
    ///   - bytes: whole memory blocks (``MachineSizes/memoryBlock``).
    ///   - isSelfHosted: whether the memory has its own vmemmap.
    /// - Throws: `HugeTLBError` where there is no room for as much, no memory for its vmemmap, or the host refuses:
    ///   nothing has changed then.
    @discardableResult
    package func plug(_ bytes: ByteCount, isSelfHosted: Bool = false) throws(HugeTLBError) -> MemoryChange {
        let count = try memoryBlocks(in: bytes)
        return try resizing.withLock { (_) throws(HugeTLBError) in
            let memory = facts.withLock { $0.memoryBlocks }
            guard let blocks = memory.absentBlocks(count) else {
                throw HugeTLBError(.noRoom(bytes, of: memory.bytes * memory.count { $0 == .absent }))
            }
            let pages = vmemmapPages(of: blocks, memory)
            let needed = isSelfHosted ? PageCount.zero : PageCount(pages.count)
            let left = facts.withLock { $0.budget?.left }
            guard facts.withLock({ $0.budget?.take(needed) ?? true }) else {
                throw HugeTLBError(.frameBudget(needed: needed, left: left ?? .zero))
            }
            do throws(HugeTLBError) {
                try change(blocks, to: .present(isSelfHosted: isSelfHosted)) { (part) throws(HostError) in
                    try self.memory.bringBack(part)
                }
            } catch {
                facts.withLock { $0.budget?.give(needed) }
                throw error
            }
            let frames = memory.frames(of: blocks)
            writePlainStructPages(of: frames)
            uses.declare(wholeBlocks(of: frames), as: .plain)
            facts.withLock { facts in
                // Counted even where it is the memory's own (`section_activate()`).
                facts.origins.restore(pages)
                for block in blocks {
                    let usable = memory.usableFrames(of: block, isSelfHosted: isSelfHosted)
                    facts.giveBack(usable)
                    _ = facts.addMemory(PageCount(usable.count))
                }
            }
            return MemoryChange(
                frames: frames, basePageSize: configuration.sizes.basePage, vmemmapPages: PageCount(pages.count),
                selfHostedPages: isSelfHosted ? PageCount(pages.count) : .zero, isPresent: true)
        }
    }

    /// Takes the memory out again that was plugged in last (`offline_pages()`, `try_remove_memory()`): dissolves its
    /// free huge pages, keeps its frames from being handed out, and takes its vmemmap away.
    ///
    /// - Parameters:
    ///   - bytes: whole memory blocks; nil: all that was plugged in behind one another.
    ///   - waitsForReaders: whether the vmemmap goes only when nobody reads any more what was found there before. The
    ///     kernel does not wait: a reader that has found a struct page, and sleeps before reading it, faults
    ///     afterwards.
    /// - Throws: `HugeTLBError` where not as much was plugged in, a huge page in it is in use or promised or cannot be
    ///   restored, or the host refuses. The memory is there then, without the huge pages that were dissolved.
    @discardableResult
    package func offline(_ bytes: ByteCount? = nil, waitsForReaders: Bool) throws(HugeTLBError) -> MemoryChange {
        let count = try bytes.map { (bytes) throws(HugeTLBError) in try memoryBlocks(in: bytes) }
        flush()
        return try resizing.withLock { (_) throws(HugeTLBError) in
            mendSetAside()
            let memory = facts.withLock { $0.memoryBlocks }
            guard let blocks = memory.presentBlocks(count) else {
                throw HugeTLBError(.notPlugged(bytes ?? .zero, of: memory.bytes * memory.count { $0 != .absent }))
            }
            let frames = memory.frames(of: blocks)
            for block in wholeBlocks(of: frames) {
                try dissolve(PageFrameNumber(block * smallView.layout.geometry.basePagesPerHugePage))
            }
            try keepBack(blocks, memory)
            return try presence.withLock { (_) throws(HugeTLBError) in
                // From here on nobody finds it; who has found it before may still read.
                uses.declare(wholeBlocks(of: frames), as: .absent)
                if waitsForReaders { readers.wait() }
                do throws(HugeTLBError) {
                    try change(blocks, to: .absent) { (part) throws(HostError) in try self.memory.takeAway(part) }
                } catch {
                    writePlainStructPages(of: frames)
                    for error in facts.withLock({ $0.errors(in: frames) }) { markPoisoned(error) }
                    uses.declare(wholeBlocks(of: frames), as: .plain)
                    giveBack(blocks, memory)
                    throw error
                }
                return forget(blocks, memory)
            }
        }
    }

    /// Runs `body` for a frame that stays there as long as it runs.
    func onPresent<Value>(
        _ frame: PageFrameNumber, _ body: () throws(HugeTLBError) -> Value
    ) throws(HugeTLBError) -> Value {
        try presence.withLock { (_) throws(HugeTLBError) in
            try checkFrame(frame)
            return try body()
        }
    }

    // MARK: Steps

    private func memoryBlocks(in bytes: ByteCount) throws(HugeTLBError) -> Int {
        let size = configuration.sizes.memoryBlock
        let (count, rest) = bytes.rawValue.quotientAndRemainder(dividingBy: size.rawValue)
        guard count > 0, rest == 0 else { throw HugeTLBError(.noMemoryBlocks(bytes, of: size)) }
        return count
    }

    /// Takes the memory away that is not there at boot.
    func removePluggable() throws(VmemmapError) {
        let memory = facts.withLock { $0.memoryBlocks }
        guard let blocks = memory.absentBlocks(memory.count { _ in true }), !blocks.isEmpty else { return }
        uses.declare(wholeBlocks(of: memory.frames(of: blocks)), as: .absent)
        try remap(making: MappingCount(memory.borders)) { () throws(HostError) in
            try self.memory.takeAway(vmemmap(of: memory.frames(of: blocks)))
        }
    }

    /// Changes whether blocks are there, and what is mapped for them.
    private func change(
        _ blocks: Range<Int>, to state: MemoryBlocks.State, _ body: (AddressRange) throws(HostError) -> Void
    ) throws(HugeTLBError) {
        var memory = facts.withLock { $0.memoryBlocks }
        let (part, before) = (vmemmap(of: memory.frames(of: blocks)), memory.borders)
        for block in blocks { memory[block] = state }
        do throws(VmemmapError) {
            try remap(making: MappingCount(memory.borders - before)) { () throws(HostError) in try body(part) }
        } catch {
            throw HugeTLBError(.vmemmap(error))
        }
        facts.withLock { [memory] in $0.memoryBlocks = memory }
    }

    /// Makes so many mappings more, or fewer.
    private func remap(making made: MappingCount, _ body: () throws(HostError) -> Void) throws(VmemmapError) {
        // What fails half-way may have divided the part at both ends.
        let most = MappingCount(2)
        var mappings = memory.budget.begin()
        do throws(MappingBudget.Refusal) {
            try mappings.reserve(most)
        } catch {
            throw VmemmapError(.build, .init(error, perHugePage: most))
        }
        // Those that go are told before, those that come after.
        mappings.note(made: min(made, .zero))
        do throws(HostError) {
            try body()
        } catch {
            mappings.note(made: .zero - mappings.made)
            throw VmemmapError(.build, .host(error))
        }
        mappings.note(made: max(made, .zero))
    }

    /// Takes the frames of blocks out of the page allocator, all or none.
    private func keepBack(_ blocks: Range<Int>, _ memory: MemoryBlocks) throws(HugeTLBError) {
        let isDone = facts.withLock { facts in
            let parts = blocks.map { memory.usableFrames(of: $0) }
            guard parts.allSatisfy({ facts.isUnused($0) }) else { return false }
            for part in parts { facts.withhold(part) }
            return true
        }
        if !isDone { throw HugeTLBError(.memoryInUse(memory.frames(of: blocks))) }
    }

    private func giveBack(_ blocks: Range<Int>, _ memory: MemoryBlocks) {
        facts.withLock { facts in for block in blocks { facts.giveBack(memory.usableFrames(of: block)) } }
    }

    /// What the machine has kept in mind of memory that is gone.
    private func forget(_ blocks: Range<Int>, _ memory: MemoryBlocks) -> MemoryChange {
        let pages = vmemmapPages(of: blocks, memory)
        let frames = memory.frames(of: blocks)
        let selfHosted = blocks.count { memory[$0] == .present(isSelfHosted: true) } * memory.vmemmapPagesPerBlock
        facts.withLock { facts in
            facts.origins.release(pages)
            // Their page tables go, too.
            let tables = facts.deposits.merge(wholePmds(of: pages))
            facts.budget?.give(PageCount(pages.count - selfHosted + tables))
            facts.loseMemory(PageCount(frames.count - selfHosted - facts.errors(in: frames).count))
            facts.forgetErrors(in: frames)
        }
        return MemoryChange(
            frames: frames, basePageSize: configuration.sizes.basePage, vmemmapPages: PageCount(pages.count),
            selfHostedPages: PageCount(selfHosted), isPresent: false)
    }

    // MARK: Places

    /// The vmemmap pages of memory blocks, by their numbers in the region.
    private func vmemmapPages(of blocks: Range<Int>, _ memory: MemoryBlocks) -> Range<Int> {
        let first = memory.frames(of: blocks).lowerBound.rawValue / memory.framesPerBlock * memory.vmemmapPagesPerBlock
        return first..<(first + blocks.count * memory.vmemmapPagesPerBlock)
    }

    /// The PMDs that map some vmemmap pages and nothing else.
    private func wholePmds(of pages: Range<Int>) -> Range<Int> {
        let perPmd = smallView.plan.geometry.pagesPerPmd
        let first = (pages.lowerBound + perPmd - 1) / perPmd
        return first..<max(first, pages.upperBound / perPmd)
    }

    private func vmemmap(of frames: Range<PageFrameNumber>) -> AddressRange {
        let start = smallView.layout.structPage(of: frames.lowerBound)
        return AddressRange(
            start: start, length: smallView.layout.geometry.structPageSize * frames.count)
    }

    private func wholeBlocks(of frames: Range<PageFrameNumber>) -> Range<Int> {
        let perBlock = smallView.layout.geometry.basePagesPerHugePage
        return (frames.lowerBound.rawValue / perBlock)..<(frames.upperBound.rawValue / perBlock)
    }
}

extension MemoryBlocks {
    /// The frames of a block that are to be handed out, as it is or would be.
    func usableFrames(of block: Int, isSelfHosted: Bool? = nil) -> Range<PageFrameNumber> {
        let frames = frames(of: block..<(block + 1))
        let hasOwnVmemmap = isSelfHosted ?? (self[block] == .present(isSelfHosted: true))
        return hasOwnVmemmap ? vmemmapFrames(of: block).upperBound..<frames.upperBound : frames
    }
}
