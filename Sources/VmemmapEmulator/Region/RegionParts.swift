import HostMemory

/// What a region consists of, for everything that works on it.
struct RegionParts: Sendable {
    let plan: MappingPlan
    let layout: VmemmapLayout
    let memory: RegionMemory
    let frames: FrameFile
    let tailImages: TailImages?
    let states: HugePageStates

    /// What PMDs map of it; nil where PTEs map it all.
    var blocks: PmdBlocks? { memory.blocks }

    /// Makes the plan's mappings for one huge page, counting them in `replaced`.
    @inline(__always)
    func replace(_ page: HugePageIndex, _ replaced: inout Int) throws(HostError) {
        let start = layout.vmemmap(of: page).start
        let own = frames.ownFrames(of: page)
        let templates = frames.templates(of: page)
        let pageSize = plan.geometry.basePageSize
        for replacement in plan.replacements {
            let isWritable = replacement.protection == .readWrite
            let offset =
                switch replacement.frame {
                case .own(let index): own + pageSize * index
                case .template(let index): templates + pageSize * index
                }
            try HostKernel.mapFile(
                isWritable ? frames.file.writable : frames.file.readOnly,
                at: AddressRange(
                    start: start + pageSize * replacement.first.rawValue,
                    length: replacement.count.bytes(pageSize: pageSize)),
                offset: offset, isWritable ? .readWrite : .readOnly)
            replaced += 1
        }
    }

    /// Stops writers to some vmemmap pages of a huge page, or lets them go on. Once this returns, no store made before
    /// is still under way.
    func protect(
        _ pages: Range<VmemmapPageIndex>, of page: HugePageIndex, _ protection: Protection
    ) throws(HostError) {
        guard !pages.isEmpty else { return }
        try HostKernel.protect(layout.vmemmap(of: page, pages), protection)
    }

    /// Maps a restored gigantic page by PMDs again (v5 patches 12 and 18), as far as there is memory for it.
    func merge(_ page: HugePageIndex) {
        if plan.mergesOnRestore { blocks?.merge(layout.vmemmap(of: page)) }
    }

    /// Writes the same bytes several times to the memory file, one copy behind the other.
    func write(_ source: Address, _ length: ByteCount, times: Int, at offset: ByteCount) throws(HostError) {
        guard times > 0, length > .zero else { return }
        try frames.file.gather(
            StridedPieces(first: source, stride: .zero, length: length, count: times), at: offset)
    }

    /// Lends a vmemmap page's worth of memory, to make tails in: one for all the huge pages of a batch.
    func withScratchPage(_ body: (Address) throws(HostError) -> Void) throws(HostError) {
        // SAFETY: only an address is taken, and the memory under it is there as long as the body runs.
        try unsafe withUnsafeTemporaryAllocation(
            byteCount: plan.geometry.basePageSize.rawValue, alignment: StructPage.size.rawValue
        ) { (scratch) throws(HostError) in
            guard let start = scratch.baseAddress else { return }
            try body(Address(UInt(bitPattern: start)))
        }
    }
}
