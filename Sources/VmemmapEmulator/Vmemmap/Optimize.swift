internal import HostMemory

extension VmemmapRegion {
    /// Optimizes neighbours, on either backing. The host takes back the frame under a vmemmap page with the mapping that
    /// replaces it (anonymous), or when it is punched out of the file (memfd).
    ///
    /// A huge page at which the host refuses is put back here; those before it are complete, those after it untouched.
    func optimizeBatch(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        switch plan.backing {
        case .anonymous: optimizeAnonymous(batch, writers)
        case .memfd: optimizeMemfd(batch)
        }
    }

    /// Copies what the own frames are to hold with one call, then makes the plan's mappings.
    private func optimizeAnonymous(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        var completed = 0
        var replaced = 0
        var isProtected = false
        do throws(HostError) {
            try hugeBase?.split(around: layout.vmemmap(of: batch))
            if writers == .present, plan.rewritablePage != nil {
                try protectRewritablePage(of: batch.lowerBound, .readOnly)
                isProtected = true
            }
            if !plan.ownPages.isEmpty {
                ledger.setStaleFrames(batch, true)
                try frames.file.gather(ownPages(of: batch), at: frames.ownFrames(of: batch.lowerBound))
            }
            for page in batch {
                replaced = 0
                try replace(page, &replaced)
                completed += 1
            }
            return BatchResult(completed: completed)
        } catch {
            // Putting back takes mappings too. If it is they that have run out, this is what the reserve is for.
            if error.code == .outOfMemory { MappingReserve.process.letGo() }
            putBackRefused(
                batch.lowerBound.advanced(by: completed), error, replaced: replaced, isProtected: isProtected,
                isFirst: completed == 0)
            return BatchResult(completed: completed, failure: error)
        }
    }

    /// Makes the plan's mappings for one huge page, counting them in `replaced`.
    @inline(__always)
    func replace(_ page: HugePageIndex, _ replaced: inout Int) throws(HostError) {
        let start = layout.vmemmap(of: page).start
        let own = frames.ownFrames(of: page)
        let templates = frames.templates(of: page)
        let pageSize = plan.geometry.basePageSize
        for replacement in plan.replacements {
            #if VMEMMAP_MUTATIONS
                let isLast = replaced == plan.replacements.count - 1 && page.rawValue % 8 == 3
                let own = Mutation.current == .wrongFrame && isLast ? frames.ownFrames(of: page.advanced(by: -1)) : own
            #endif
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

    /// What the own frames of each huge page hold, in the region.
    func ownPages(of batch: Range<HugePageIndex>) -> StridedPieces {
        let own = layout.vmemmap(of: batch.lowerBound, plan.ownPages)
        return StridedPieces(
            first: own.start, stride: plan.geometry.vmemmapBytesPerHugePage, length: own.length, count: batch.count)
    }

    /// Stops writers to the page that is replaced and stays writable, or lets them go on. Once this returns, no store
    /// made before is still under way.
    func protectRewritablePage(of page: HugePageIndex, _ protection: Protection) throws(HostError) {
        guard let rewritable = plan.rewritablePage else { return }
        try protect(rewritable..<rewritable.advanced(by: 1), of: page, protection)
    }

    /// Stops writers to some vmemmap pages of a huge page, or lets them go on.
    func protect(
        _ pages: Range<VmemmapPageIndex>, of page: HugePageIndex, _ protection: Protection
    ) throws(HostError) {
        guard !pages.isEmpty else { return }
        try HostKernel.protect(layout.vmemmap(of: page, pages), protection)
    }
}
