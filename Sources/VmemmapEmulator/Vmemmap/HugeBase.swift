public import HostMemory
internal import SystemPackage

/// The blocks of a region that PMDs map, and the marks on those that this code has split.
///
/// Which blocks a PMD maps is asked of the host each time; only what it cannot tell is kept: a mark on each block that
/// optimizing has split (v5 patch 13), so that a restore merges those and no others.
///
/// Two operations on different huge pages of one block take turns in here.
final class HugeBase: Sendable {
    private struct Book {
        /// Split by optimizing, not merged since.
        var marks: Set<Int> = []
        /// Perhaps whole although no PMD maps them: a split or a merge that was refused has left them.
        var doubtful: Set<Int> = []
        /// Moved out of the memory file, and not moved back: the host had no memory for it.
        var displaced: Set<Int> = []
        /// Staging areas that the host has refused to unmap.
        var orphans: [AddressRange] = []

        mutating func unmapOrphans() { orphans.removeAll { (try? HostKernel.unmap($0)) != nil } }
    }

    private let range: AddressRange
    private let blockSize: ByteCount
    /// The memory file that the region is; nil on the anonymous backing.
    private let file: MemoryFile?
    private let book = Guarded(Book())

    /// For a block that a reader's reference keeps from being split or merged.
    private static var readersPatience: Patience { Patience(nanoseconds: 100_000_000, triesAtLeast: 20) }

    /// Maps `range` by PMDs, as far as the host has huge pages for it.
    ///
    /// - Parameters:
    ///   - range: the populated region.
    ///   - blockSize: what a PMD maps.
    ///   - file: the memory file that the region is, if it is one.
    init(_ range: AddressRange, blockSize: ByteCount, file: MemoryFile?) throws(HostError) {
        self.range = range
        self.blockSize = blockSize
        self.file = file
        // Anonymous memory was given huge pages as it was populated, unless the host has that switched off. What is refused
        // here stays mapped by PTEs; how much, the host is asked afterwards.
        if wholeBlocks.length > .zero { try? HostKernel.collapse(wholeBlocks) }
    }

    // Nobody is left to tell of a refusal.
    deinit { book.withLock { $0.unmapOrphans() } }

    /// The part of the region that whole blocks fill.
    private var wholeBlocks: AddressRange {
        AddressRange(start: range.start, length: blockSize * (range.length.rawValue / blockSize.rawValue))
    }

    /// The blocks that `part` lies in.
    private func blocks(around part: AddressRange) -> Range<Int> {
        let last = ByteCount((part.end - range.start).rawValue - 1)
        return ((part.start - range.start).rawValue / blockSize.rawValue)..<(last.rawValue / blockSize.rawValue + 1)
    }

    private func block(_ index: Int) -> AddressRange {
        AddressRange(start: range.start + blockSize * index, length: blockSize)
    }

    /// Those of `candidates` that a PMD maps now.
    private func mappedByPmd(_ candidates: Range<Int>) throws(HostError) -> Set<Int> {
        let first = block(candidates.lowerBound)
        let searched = AddressRange(start: first.start, length: blockSize * candidates.count)
        let found = try TransparentHugePages.pmdMapped(in: searched)
        return Set(candidates.filter { index in found.contains { $0.overlaps(block(index)) } })
    }

    // MARK: Splitting

    /// Splits the blocks around `part`, so that the frames of each vmemmap page can be given back alone, and marks those that
    /// PMDs mapped (v5 patches 9 and 13).
    ///
    /// - Parameter part: the vmemmap of huge pages that the caller holds, none of it replaced yet.
    /// - Throws: `HostError` when the host refuses or does not do it.
    func split(around part: AddressRange) throws(HostError) {
        let candidates = blocks(around: part)
        try book.withLock { (book) throws(HostError) in
            for index in candidates where book.displaced.contains(index) { try moveBack(index, &book) }
            let mapped = try mappedByPmd(candidates)
            let whole = mapped.union(book.doubtful.intersection(candidates)).sorted()
            if whole.isEmpty { return }
            // Until it is certain.
            book.doubtful.formUnion(whole)
            defer {
                // Where the host does not tell, all of them: a merge looks again.
                book.marks.formUnion(mapped.subtracting((try? mappedByPmd(candidates)) ?? []))
            }
            do throws(HostError) {
                try splitInPlace(whole, around: part)
                book.doubtful.subtract(whole)
            } catch {
                if file == nil { throw error }
                for index in whole { try exchange(index, &book) }
            }
        }
    }

    /// Has the host split huge pages. It does not say when somebody's reference kept one whole, and only its counts show it: the
    /// PMD is gone by then.
    private func splitInPlace(_ whole: [Int], around part: AddressRange) throws(HostError) {
        // A memory file's block can be exchanged instead.
        var patience = file == nil ? Self.readersPatience : Patience(nanoseconds: 0, triesAtLeast: 3)
        repeat {
            let before = try HugePageEvents.current()
            for index in whole {
                // A page of the block that is the caller's, and so is not replaced by anybody else.
                let start = max(block(index).start, part.start)
                try HostKernel.splitHugePage(around: AddressRange(start: start, length: HostLimits.pageSize))
            }
            guard let before, let after = try HugePageEvents.current() else { return }
            if after.splitPageFailed == before.splitPageFailed { return }
        } while patience.wait()
        throw HostError(.resourceBusy, .splitHugePage, .addresses(part))
    }

    /// Gives a block of the memory file small pages in place of a huge one that cannot be split: readers who fault on shared
    /// memory wait with a reference to the page, so that two of them can keep it whole for as long as they like.
    ///
    /// The contents go to private pages, which are moved in under the readers; then the file's page can go as a whole, is written
    /// anew, and mapped again. Each move is one step for readers; writers are kept out throughout.
    private func exchange(_ index: Int, _ book: inout Book) throws(HostError) {
        guard let file else { return }
        let block = block(index)
        book.unmapOrphans()
        let staging = try HostKernel.mapAnonymous(length: block.length)
        do throws(HostError) {
            try HostKernel.forbidHugePages(staging)
            try HostKernel.populate(staging)
            try HostKernel.protect(block, .readOnly)
            // SAFETY: the block is mapped readable and nobody writes to it now; the staging pages are known to nobody else.
            unsafe PageCopy.copy(block.start, to: staging.start, block.length)
            try HostKernel.protect(staging, .readOnly)
            try HostKernel.move(staging, to: block.start)
        } catch {
            book.orphans.append(staging)
            book.unmapOrphans()
            try HostKernel.mapFile(file.writable, at: block, offset: block.start - range.start, .readWrite)
            throw error
        }
        book.displaced.insert(index)
        try moveBack(index, &book)
        book.doubtful.remove(index)
    }

    /// Writes a displaced block to the memory file again, in small pages, and maps it there.
    private func moveBack(_ index: Int, _ book: inout Book) throws(HostError) {
        guard let file else { return }
        let block = block(index)
        let offset = block.start - range.start
        do throws(HostError) {
            try HostKernel.protect(block, .readOnly)
            try file.release(offset: offset, length: block.length)
            try file.gather(
                StridedPieces(first: block.start, stride: .zero, length: block.length, count: 1), at: offset)
            try HostKernel.mapFile(file.writable, at: block, offset: offset, .readWrite)
        } catch {
            // It works where it is, for readers and writers, until somebody tries again.
            try? HostKernel.protect(block, .readWrite)
            throw error
        }
        book.displaced.remove(index)
    }

    // MARK: Merging

    /// Whether a block in `part` carries a mark.
    func isMarked(in part: AddressRange) -> Bool {
        book.withLock { book in blocks(around: part).contains { book.marks.contains($0) } }
    }

    /// Maps the marked blocks in `part` by PMDs again, and takes the marks off those that are. `part` is made of whole blocks,
    /// all the caller's.
    ///
    /// For the others there was no memory, or a reader kept a page of theirs: they stay mapped by PTEs, work as before, and keep
    /// their marks.
    func merge(_ part: AddressRange) {
        book.withLock { book in
            for index in blocks(around: part) where book.marks.contains(index) {
                book.doubtful.insert(index)
                if isMergedAgain(index) {
                    book.marks.remove(index)
                    book.doubtful.remove(index)
                }
            }
        }
    }

    private func isMergedAgain(_ index: Int) -> Bool {
        var patience = Self.readersPatience
        while true {
            // Staging in huge pages has merged it on the way.
            guard let mapped = try? mappedByPmd(index..<(index + 1)) else { return false }
            if !mapped.isEmpty { return true }
            do throws(HostError) {
                try HostKernel.collapse(block(index))
            } catch {
                // A reader who faults has the page locked, holds a reference to it, or keeps it off its list: all EAGAIN
                // (madvise_collapse_errno). Anything else will be so the next time.
                if error.errno != .resourceTemporarilyUnavailable || !patience.wait() { return false }
            }
        }
    }

    // MARK: What there is

    /// The blocks that carry a mark, in order.
    var markedBlocks: [AddressRange] { book.withLock { $0.marks.sorted() }.map(block) }

    /// What is not in the memory file because the host had no memory to move it back.
    var displacedBytes: ByteCount { blockSize * book.withLock { $0.displaced.count } }
}

extension VmemmapRegion {
    /// The blocks of a PMD-mapped region that optimizing has split and no restore has merged: the marks of v5 patch 13.
    public var splitBlocks: [AddressRange] { hugeBase?.markedBlocks ?? [] }

    /// What PMDs map of the region. Throws `HostError` before Linux 6.7, which does not tell.
    public func pmdMappedBytes() throws(HostError) -> ByteCount {
        try TransparentHugePages.pmdMapped(in: range).reduce(.zero) { $0 + $1.length }
    }
}
