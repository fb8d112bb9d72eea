public import HostMemory

// What most clients need, with the safe choice where there is one.
extension VmemmapRegion {
    /// A region for `hugePages` huge pages, with this host's base page: populated, or where the scheme is one that is
    /// never remapped, optimized.
    ///
    /// - Parameters:
    ///   - hugePages: how many, 1 at least.
    ///   - size: how large each is.
    ///   - scheme: how their vmemmap is shared once they are optimized.
    ///   - backing: what the region consists of.
    ///   - tailFrames: how many frames serve the tails of a huge page; 1 is the kernel's way.
    /// - Throws: `VmemmapError` when there can be no such region, or the host refuses it; nothing is left mapped then.
    public convenience init(
        hugePages: HugePageCount, of size: HugePageSize = .twoMebibytes, scheme: Scheme = .firstTail,
        backing: Backing = .anonymous, tailFrames: TailFrames = .frames(1)
    ) throws(VmemmapError) {
        guard let geometry = Geometry(basePageSize: HostLimits.pageSize, hugePageSize: size) else {
            throw VmemmapError(.build, .hugePageSize(size.bytes, host: HostLimits.pageSize))
        }
        try self.init(
            MappingPlan(
                geometry: geometry, scheme: scheme, backing: backing, hugePages: hugePages, tailFrames: tailFrames,
                cost: .current()), scheme.construction)
    }

    /// Optimizes every huge page: ``optimize(_:writers:)-(Range<HugePageIndex>,_)``.
    @discardableResult
    public func optimize(writers: Writers = .present) throws(VmemmapError) -> VmemmapError.Residue {
        try optimize(layout.allHugePages, writers: writers)
    }

    /// Optimizes one huge page: ``optimize(_:writers:)-(Range<HugePageIndex>,_)``.
    @discardableResult
    public func optimize(
        _ page: HugePageIndex, writers: Writers = .present
    ) throws(VmemmapError) -> VmemmapError.Residue {
        try checkPage(page, .optimize)
        return try optimize(page.alone, writers: writers)
    }

    /// Restores every huge page: ``restore(_:writers:)-(Range<HugePageIndex>,_)``.
    @discardableResult
    public func restore(writers: Writers = .present) throws(VmemmapError) -> VmemmapError.Residue {
        try restore(layout.allHugePages, writers: writers)
    }

    /// Restores one huge page: ``restore(_:writers:)-(Range<HugePageIndex>,_)``.
    @discardableResult
    public func restore(
        _ page: HugePageIndex, writers: Writers = .present
    ) throws(VmemmapError) -> VmemmapError.Residue {
        try checkPage(page, .restore)
        return try restore(page.alone, writers: writers)
    }

    /// What the region takes of this host now.
    ///
    /// - Throws: `HostError` when /proc cannot be read.
    public func memory() throws(HostError) -> Memory {
        // The figures of the process first: counting frames takes memory itself.
        let rollup = try? SmapsRollup.current()
        let frames = try FrameCount.count(in: range)
        return Memory(
            frames: frames.distinct, fileBytes: try sharedFrameBytes(),
            mappings: try ProcMaps.count(overlapping: range),
            processRSS: rollup?.rss, processPSS: rollup?.pss)
    }

    /// What a region takes of its host.
    public struct Memory: Hashable, Sendable {
        /// Different frames behind the region, swapped-out pages included (/proc/self/pagemap).
        public let frames: PageCount
        /// What the memory file occupies (`st_blocks`): shared frames, and on the memfd backing all of them.
        public let fileBytes: ByteCount
        /// Mappings of the region (/proc/self/maps).
        public let mappings: MappingCount
        /// Rss of the whole process (/proc/self/smaps_rollup): page table entries, not frames. Nil where it cannot be
        /// read.
        public let processRSS: ByteCount?
        /// Pss of the whole process (/proc/self/smaps_rollup). Nil where it cannot be read.
        public let processPSS: ByteCount?
    }

    /// Runs `body` while PFN walkers read random struct pages and check each compound_head.
    ///
    /// - Parameters:
    ///   - walkers: how many threads read.
    ///   - seed: the frames they visit follow from it.
    ///   - body: what happens meanwhile.
    /// - Returns: what the walkers have seen.
    /// - Throws: what `body` throws, after the walkers have ended, and `HostError` when the host refuses a thread.
    public func walk(
        _ walkers: Int = 2, seed: UInt64 = 1, while body: () throws -> Void
    ) throws -> Walkers.Tally {
        try Walkers(walkers, over: self, seed: seed).read(while: body)
    }
}
