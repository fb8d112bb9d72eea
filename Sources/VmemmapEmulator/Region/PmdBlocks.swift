package import HostMemory
import SystemPackage

/// The blocks of a region that PMDs map, and the owner of what is known of them: the marks on those that this code has
/// split, and what failed operations have torn.
///
/// Which blocks a PMD maps is asked of the host each time; only what it cannot tell is kept. A block is shared by up to
/// 64 huge pages of 2 MiB, so what is torn of it concerns all of them. None of them is optimized then: optimizing
/// begins with ``split(around:)``, which mends the block first.
///
/// Operations on different huge pages of one block take turns in here.
final class PmdBlocks: Sendable {
    /// What is torn of a block.
    struct Tear: Hashable, Sendable {
        /// Whether it is in private memory: the host had no memory to write it to the file again. Otherwise the file
        /// has it.
        var isInPrivateMemory = false
        /// Whether writers may be kept out.
        var isWriteProtected = false
        /// What may not be mapped.
        var uncertain: AddressRange?

        /// What is torn of both.
        func joined(_ other: Tear) -> Tear {
            Tear(
                isInPrivateMemory: isInPrivateMemory || other.isInPrivateMemory,
                isWriteProtected: isWriteProtected || other.isWriteProtected,
                uncertain: uncertain.map { AddressRange(from: $0, to: other.uncertain ?? $0) } ?? other.uncertain)
        }
    }

    private struct Facts {
        /// Split by optimizing, not merged since (v5 patch 13).
        var marks: Set<Int> = []
        /// Perhaps whole although no PMD maps them: a split or a merge that was refused has left them.
        var doubtful: Set<Int> = []
        /// What failed operations have left.
        var torn: [Int: Tear] = [:]
        /// Being exchanged or mapped again right now: writers wait.
        var busy: Set<Int> = []
    }

    private let range: AddressRange
    private let blockSize: ByteCount
    /// The memory file that the region is; nil on the anonymous backing.
    private let file: MemoryFile?
    private let orphans: Orphans
    /// Whether a block of the file that cannot be split is exchanged: writers are kept out meanwhile, and have to know
    /// that.
    private let canExchange: Bool
    private let facts = Guarded(Facts())
    /// One at a time splits, merges or mends.
    private let turn = Guarded(())

    /// For a block that a reader's reference keeps from being split or merged.
    private static var readersPatience: Patience { Patience(nanoseconds: 100_000_000, triesAtLeast: 20) }

    /// Maps `range` by PMDs, as far as the host has huge pages for it.
    ///
    /// - Parameters:
    ///   - range: the populated region.
    ///   - blockSize: what a PMD maps.
    ///   - file: the memory file that the region is, if it is one.
    ///   - orphans: takes staging that cannot be unmapped.
    ///   - hasDirectWriters: whether somebody stores to struct pages without asking ``HugePageStates``.
    init(
        _ range: AddressRange, blockSize: ByteCount, file: MemoryFile?, _ orphans: Orphans, hasDirectWriters: Bool
    ) throws(HostError) {
        self.range = range
        self.blockSize = blockSize
        self.file = file
        self.orphans = orphans
        canExchange = file != nil && !hasDirectWriters
        // Anonymous memory was given huge pages as it was populated, unless the host has that switched off. What is
        // refused here stays mapped by PTEs; how much, the host is asked afterwards.
        if wholeBlocks.length > .zero { try? collapse(wholeBlocks) }
        keepOffKhugepaged(range)
    }

    /// Has PMDs map `part`, which is whole blocks and has frames, as far as there is memory for it.
    func gather(_ part: AddressRange) {
        try? collapse(part)
        keepOffKhugepaged(part)
    }

    /// Wants huge pages in `part`, and has PMDs map it. The caller keeps khugepaged off afterwards.
    private func collapse(_ part: AddressRange) throws(HostError) {
        if file?.mayHaveHugePages ?? true { try HostKernel.wantHugePages(part) }
        var patience = Self.readersPatience
        while true {
            do throws(HostError) {
                return try HostKernel.collapse(part)
            } catch {
                // Somebody who faults has a page locked, holds a reference to it, or keeps it off its list: all EAGAIN
                // (madvise_collapse_errno). Anything else will be so the next time.
                if error.errno != .resourceTemporarilyUnavailable || !patience.wait() { throw error }
            }
        }
    }

    /// Keeps the host from putting huge pages together in the region unasked. It does so at any moment: between a split
    /// and the first page that is replaced too, which then gives nothing back.
    ///
    /// Huge pages that are there stay. Who refuses this leaves the host its moments.
    private func keepOffKhugepaged(_ part: AddressRange) {
        if let file { file.keepOffKhugepaged(part) } else { try? HostKernel.forbidHugePages(part) }
    }

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

    /// Splits the blocks around `part`, so that the frames of each vmemmap page can be given back alone, and marks
    /// those that PMDs mapped (v5 patches 9 and 13). Mends them first.
    ///
    /// - Parameter part: the vmemmap of huge pages that the caller holds, none of it replaced yet.
    /// - Throws: `HostError` when the host refuses or does not do it.
    func split(around part: AddressRange) throws(HostError) {
        let candidates = blocks(around: part)
        try turn.withLock { (_) throws(HostError) in
            for index in candidates { try mendNow(index) }
            let mapped = try mappedByPmd(candidates)
            let whole = mapped.union(facts.withLock { $0.doubtful.intersection(candidates) }).sorted()
            if whole.isEmpty { return }
            // Until it is certain.
            facts.withLock { $0.doubtful.formUnion(whole) }
            defer {
                // Where the host does not tell, all of them: a merge looks again.
                let split = mapped.subtracting((try? mappedByPmd(candidates)) ?? [])
                facts.withLock { $0.marks.formUnion(split) }
            }
            do throws(HostError) {
                try splitInPlace(whole, around: part)
                facts.withLock { $0.doubtful.subtract(whole) }
            } catch {
                if !canExchange { throw error }
                for index in whole { try exchange(index) }
            }
        }
    }

    /// Has the host split huge pages. It does not say when somebody's reference kept one whole, and only its counts
    /// show it: the PMD is gone by then.
    private func splitInPlace(_ whole: [Int], around part: AddressRange) throws(HostError) {
        var patience = canExchange ? Patience(nanoseconds: 0, triesAtLeast: 3) : Self.readersPatience
        repeat {
            let before = try HugePageEvents.current()
            for index in whole {
                // A page of the block that is the caller's, and so is not replaced by anybody else.
                let start = max(block(index).start, part.start)
                // An attempt that failed has taken the page out of the page table, where the next would find nothing to
                // split. SAFETY: the word lies in the region, which the caller holds; the load survives a gap.
                _ = unsafe MemoryAccess.tryLoad(start)
                try HostKernel.splitHugePage(around: AddressRange(start: start, length: HostLimits.pageSize))
            }
            guard let before, let after = try HugePageEvents.current() else { return }
            if after.splitPageFailed == before.splitPageFailed { return }
        } while patience.wait()
        throw HostError(.resourceBusy, .splitHugePage, .addresses(part))
    }

    // MARK: Exchanging

    /// Gives a block of the memory file small pages in place of a huge one that cannot be split: readers who fault on
    /// shared memory wait with a reference to the page, so that two of them can keep it whole for as long as they like.
    ///
    /// The contents go to private pages, which are moved in under the readers; then the file's page can go as a whole,
    /// is written anew, and mapped again. Each move is one step for readers; writers are kept out throughout. What a
    /// refusal leaves is noted as the block's tear before the call that could be refused.
    private func exchange(_ index: Int) throws(HostError) {
        let block = block(index)
        let staging = try HostKernel.mapAnonymous(length: block.length)
        do throws(HostError) {
            try HostKernel.forbidHugePages(staging)
            try HostKernel.populate(staging)
        } catch {
            orphans.unmap(staging)
            throw error
        }
        facts.withLock { _ = $0.busy.insert(index) }
        defer { facts.withLock { _ = $0.busy.remove(index) } }
        do throws(HostError) {
            note(index, Tear(isWriteProtected: true))
            try HostKernel.protect(block, .readOnly)
            // SAFETY: the block is mapped readable and nobody writes to it now; the staging pages are known to nobody
            // else.
            unsafe PageCopy.copy(block.start, to: staging.start, block.length)
            try HostKernel.protect(staging, .readOnly)
            note(index, Tear(isWriteProtected: true, uncertain: block))
            try HostKernel.move(staging, to: block.start)
        } catch {
            orphans.unmap(staging)
            // The file has the contents still.
            try? mapFromFile(index)
            throw error
        }
        note(index, Tear(isInPrivateMemory: true, isWriteProtected: true))
        try moveBack(index)
        facts.withLock { _ = $0.doubtful.remove(index) }
    }

    /// Writes a block that is in private memory to the memory file again, in small pages, and maps it there.
    private func moveBack(_ index: Int) throws(HostError) {
        guard let file else { return }
        let block = block(index)
        let offset = block.start - range.start
        do throws(HostError) {
            note(index, Tear(isInPrivateMemory: true, isWriteProtected: true))
            try HostKernel.protect(block, .readOnly)
            try file.release(offset: offset, length: block.length)
            try file.gather(
                StridedPieces(first: block.start, stride: .zero, length: block.length, count: 1), at: offset)
        } catch {
            // It works where it is, for readers and writers, until somebody tries again.
            if (try? HostKernel.protect(block, .readWrite)) != nil { note(index, Tear(isInPrivateMemory: true)) }
            throw error
        }
        // The file has it now too, and nobody can change either.
        try mapFromFile(index)
    }

    /// Maps a block, whose contents the file has, to its place there, writable: it is whole then. A late refusal can
    /// cost what is mapped.
    private func mapFromFile(_ index: Int) throws(HostError) {
        guard let file else { return }
        let block = block(index)
        note(index, Tear(isWriteProtected: true, uncertain: block))
        do throws(HostError) {
            try file.map(at: block, offset: block.start - range.start)
        } catch {
            guard error.code == .outOfMemory, MappingReserve.process.letGo() else { throw error }
            try file.map(at: block, offset: block.start - range.start)
        }
        facts.withLock { $0.torn[index] = nil }
    }

    private func note(_ index: Int, _ tear: Tear) { facts.withLock { $0.torn[index] = tear } }

    // MARK: What is torn

    /// Mends the blocks that `part` lies in.
    func mend(around part: AddressRange) throws(HostError) {
        let torn = facts.withLock { facts in blocks(around: part).filter { facts.torn[$0] != nil } }
        if torn.isEmpty { return }
        try turn.withLock { (_) throws(HostError) in
            for index in torn { try mendNow(index) }
        }
    }

    /// Mends a block, by whoever has the turn.
    private func mendNow(_ index: Int) throws(HostError) {
        guard let tear = facts.withLock({ $0.torn[index] }) else { return }
        facts.withLock { _ = $0.busy.insert(index) }
        defer { facts.withLock { _ = $0.busy.remove(index) } }
        if tear.isInPrivateMemory { try moveBack(index) } else { try mapFromFile(index) }
    }

    /// What is torn of the blocks that `part` lies in; nil if nothing is, or somebody is at it.
    func tear(of part: AddressRange) -> Tear? {
        facts.withLock { facts in
            if facts.torn.isEmpty { return nil }
            let torn = blocks(around: part).filter { !facts.busy.contains($0) }.compactMap { facts.torn[$0] }
            return torn.first.map { torn.dropFirst().reduce($0) { $0.joined($1) } }
        }
    }

    /// Whether a block that `part` lies in is being exchanged or mapped again.
    func isBusy(_ part: AddressRange) -> Bool {
        facts.withLock { facts in
            !facts.busy.isEmpty && blocks(around: part).contains { facts.busy.contains($0) }
        }
    }

    /// Where in `part`, its end excluded, torn blocks begin and end: they are mappings of their own.
    func edges(in part: AddressRange) -> Set<Address> {
        facts.withLock { facts in
            if facts.torn.isEmpty { return [] }
            let edges = facts.torn.keys.flatMap { [block($0).start, block($0).end] }
            return Set(edges.filter { part.contains($0) && $0 != range.start })
        }
    }

    /// What is in private memory because the host had no memory to move it back.
    var displacedBytes: ByteCount {
        blockSize
            * facts.withLock { facts in facts.torn.count { $1.isInPrivateMemory && !facts.busy.contains($0) } }
    }

    // MARK: Merging

    /// Whether a block in `part` carries a mark.
    func isMarked(in part: AddressRange) -> Bool {
        facts.withLock { facts in blocks(around: part).contains { facts.marks.contains($0) } }
    }

    /// Maps the marked blocks in `part` by PMDs again, and takes the marks off those that are. `part` is made of whole
    /// blocks, all the caller's.
    ///
    /// For the others there was no memory, or a reader kept a page of theirs: they stay mapped by PTEs, work as before,
    /// and keep their marks.
    ///
    /// On the anonymous backing `part` has just been moved in, and wants huge pages.
    func merge(_ part: AddressRange) {
        turn.withLock { _ in
            defer { keepOffKhugepaged(part) }
            for index in blocks(around: part) where facts.withLock({ $0.marks.contains(index) }) {
                facts.withLock { _ = $0.doubtful.insert(index) }
                if isMergedAgain(index) {
                    facts.withLock { facts in
                        facts.marks.remove(index)
                        facts.doubtful.remove(index)
                    }
                }
            }
        }
    }

    private func isMergedAgain(_ index: Int) -> Bool {
        // Staging in huge pages has merged it on the way, perhaps.
        if isMappedByPmd(index) { return true }
        try? collapse(block(index))
        return isMappedByPmd(index)
    }

    /// False where the host does not tell.
    private func isMappedByPmd(_ index: Int) -> Bool {
        (try? mappedByPmd(index..<(index + 1)))?.isEmpty == false
    }

    /// The blocks that carry a mark, in order.
    var markedBlocks: [AddressRange] { facts.withLock { $0.marks.sorted() }.map(block) }
}

extension VmemmapRegion {
    /// The blocks of a PMD-mapped region that optimizing has split and no restore has merged: the marks of v5 patch 13.
    package var splitBlocks: [AddressRange] { parts.blocks?.markedBlocks ?? [] }

    /// What PMDs map of the region. Throws `HostError` before Linux 6.7, which does not tell.
    package func pmdMappedBytes() throws(HostError) -> ByteCount {
        try TransparentHugePages.pmdMapped(in: range).reduce(.zero) { $0 + $1.length }
    }
}

extension AddressRange {
    /// From the first byte of either to the last of either.
    fileprivate init(from one: AddressRange, to other: AddressRange) {
        let start = min(one.start, other.start)
        self.init(start: start, length: max(one.end, other.end) - start)
    }
}
