import HostMemory

/// The real memory behind a region, or behind several views of one: its range, the memory file that it is on the memfd
/// backing, and what PMDs map of it.
final class RegionMemory: Sendable {
    let range: AddressRange
    /// The region page by page, and room for templates behind it; nil on the anonymous backing.
    let file: MemoryFile?
    let blocks: PmdBlocks?
    /// Staging that could not be unmapped.
    let orphans: Orphans
    /// What may be mapped.
    let budget: MappingBudget
    private let shield: ForkShield
    /// Mappings of views that are gone, which go with the memory.
    private let leaving: Guarded<MappingBudget.Reservation>

    /// The alignment that a mask-encoded compound head needs: that of the struct pages of a huge page, which are a
    /// power of two then. 32 MiB at least: those of 1 GiB, of 128 bytes.
    static func alignment(_ plan: MappingPlan) -> ByteCount {
        max(.mebibytes(32), plan.encoding == .mask ? plan.geometry.vmemmapBytesPerHugePage : .zero)
    }

    /// Maps the region.
    ///
    /// - Parameters:
    ///   - length: whole pages.
    ///   - alignment: of its start: ``alignment(_:)`` of each plan for it.
    ///   - templates: the room behind the region in its file.
    ///   - backing: what the region consists of.
    ///   - mapping: how it is mapped.
    ///   - isPopulated: whether every page is given a frame.
    ///   - hasDirectWriters: whether somebody stores to struct pages without asking ``HugePageStates``, as a machine
    ///     does.
    ///   - fileName: the memory file's name, for others to see.
    ///   - budget: what may be mapped of it.
    ///   - store: where its memory file takes its frames.
    ///   - progress: told how far populating is.
    ///
    /// With ``RegionMapping/pte`` no transparent huge pages are used: replacing a part of one frees nothing (host
    /// limits, 7).
    init(
        length: ByteCount, alignment: ByteCount, templates: ByteCount, _ backing: Backing, _ mapping: RegionMapping,
        isPopulated: Bool, hasDirectWriters: Bool = false, fileName: String = MemoryFile.regionName,
        budget: MappingBudget, store: FrameStore, progress: BuildProgress
    ) throws(HostError) {
        let orphans = Orphans()
        let file = backing == .memfd ? try MemoryFile(name: fileName, length: length + templates, in: store) : nil
        let block = mapping == .pmd ? try TransparentHugePages.size() : nil
        // What is not populated is for the most part never there.
        let range = try HostKernel.mapRegion(
            length: length, alignment: max(alignment, block ?? .zero), isReserved: isPopulated)
        do throws(HostError) {
            if isPopulated, mapping == .pte { try file?.populateWithSmallPages(offset: .zero, length: length) }
            try Self.back(range, mapping, file)
            if isPopulated { try Self.populate(range, progress) }
            blocks =
                if let block {
                    try PmdBlocks(range, blockSize: block, file: file, orphans, hasDirectWriters: hasDirectWriters)
                } else { nil }
            // The guard pages too: marked, they show the memory file, and hold on to all of it.
            shield = try ForkShield(HostKernel.withGuardPages(range))
        } catch {
            try? HostKernel.unmapRegion(range)
            throw error
        }
        self.range = range
        self.file = file
        self.orphans = orphans
        self.budget = budget
        leaving = Guarded(budget.begin())
    }

    /// Gives a view's mappings back to the budget when the memory is unmapped.
    func giveBackOnceUnmapped(_ mappings: MappingCount) {
        leaving.withLock { $0.note(made: .zero - mappings) }
    }

    // Nothing reads the region any more. A refusal leaks address space and mappings; only the budget can be told.
    deinit {
        shield.remove()
        let isGone = (try? HostKernel.unmapRegion(range)) != nil
        if !isGone { leaving.withLock { $0.note(made: .zero - $0.made) } }
    }

    /// Gives every page a frame, so many at a time that a call takes a second at most where the host is slow.
    private static func populate(_ range: AddressRange, _ progress: BuildProgress) throws(HostError) {
        let slice = ByteCount.mebibytes(256)
        let pageSize = HostLimits.pageSize.rawValue
        var done = ByteCount.zero
        while done < range.length {
            progress(PageCount(done.rawValue / pageSize), PageCount(range.length.rawValue / pageSize))
            let length = min(slice, range.length - done)
            try HostKernel.populate(AddressRange(start: range.start + done, length: length))
            done = done + length
        }
    }

    /// Puts the backing under the region, without frames yet.
    private static func back(_ range: AddressRange, _ mapping: RegionMapping, _ file: MemoryFile?) throws(HostError) {
        switch (file, mapping) {
        case (nil, .pte): try HostKernel.forbidHugePages(range)
        case (nil, .pmd): try HostKernel.wantHugePages(range)
        case (let file?, _): try file.map(at: range, offset: .zero)
        }
    }
}

extension MemoryFile {
    /// What the name of every memory file behind a region starts with, as /proc/PID/maps shows it.
    static let regionName = "vmemmap-frames"
}
