import HostMemory

/// The anonymous backing: the region is private memory, and shared frames lie in a memory file of their own. A frame
/// goes back to the host with the mapping that replaces its page; a restored page is staged in private memory and moved
/// in.
struct AnonymousRemapper: Remapper {
    let parts: RegionParts

    // MARK: Optimizing

    /// Copies what the own frames are to hold with one call, then makes the plan's mappings.
    func optimize(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        var completed = 0
        var replaced = 0
        var isProtected = false
        do throws(HostError) {
            if writers == .present, parts.plan.rewritablePage != nil {
                isProtected = true
                try parts.protect(rewritablePages, of: batch.lowerBound, .readOnly)
            }
            if !parts.plan.ownPages.isEmpty {
                parts.states.setStaleFrames(batch, true)
                try parts.frames.file.gather(ownPages(of: batch), at: parts.frames.ownFrames(of: batch.lowerBound))
            }
            for page in batch {
                replaced = 0
                try parts.replace(page, &replaced)
                completed += 1
            }
            return BatchResult(completed: completed)
        } catch {
            // Putting back takes mappings too. If it is they that have run out, this is what the reserve is for.
            if error.code == .outOfMemory { MappingReserve.process.letGo() }
            putBack(
                batch.lowerBound.advanced(by: completed), after: error, replaced: replaced, isProtected: isProtected,
                isFirst: completed == 0)
            return BatchResult(completed: completed, failure: error)
        }
    }

    /// The page that is replaced and stays writable.
    private var rewritablePages: Range<VmemmapPageIndex> {
        let first = parts.plan.rewritablePage ?? VmemmapPageIndex(0)
        return first..<(parts.plan.rewritablePage?.advanced(by: 1) ?? first)
    }

    /// What the own frames of each huge page hold, in the region.
    private func ownPages(of batch: Range<HugePageIndex>) -> StridedPieces {
        let own = parts.layout.vmemmap(of: batch.lowerBound, parts.plan.ownPages)
        return StridedPieces(
            first: own.start, stride: parts.plan.geometry.vmemmapBytesPerHugePage, length: own.length,
            count: batch.count)
    }

    /// After a refusal while optimizing: makes `page` what it was.
    ///
    /// - Parameters:
    ///   - refusal: of which call.
    ///   - replaced: replacements made before the refused one.
    ///   - isProtected: whether writers are kept out.
    ///   - isFirst: whether no other of the batch is optimized yet.
    private func putBack(
        _ page: HugePageIndex, after refusal: HostError, replaced: Int, isProtected: Bool, isFirst: Bool
    ) {
        let none = parts.pages(of: 0..<0)
        let isUntouched = replaced == 0 && parts.isIntact(page)
        if isUntouched {
            if isProtected, (try? parts.protect(rewritablePages, of: page, .readWrite)) == nil {
                return parts.tear(page, .region, replaced: none, uncertain: none, isWriteProtected: true)
            }
            if !parts.isCut(page, by: refusal, isFirst: isFirst) { return }
        }
        do throws(HostError) {
            try rebuild(page, isUntouched: isUntouched)
        } catch {
            tearAfterRebuild(
                page, isUntouched: isUntouched, replaced: parts.pages(of: 0..<replaced),
                uncertain: isUntouched ? none : parts.pages(of: replaced..<(replaced + 1)))
        }
    }

    /// Gives every replaced page of a huge page a frame of its own, whatever is mapped there now, with the contents it
    /// had.
    ///
    /// The own pages are in their shared frames, complete since before the first replacement. The other tails were
    /// alike, and the last of them is replaced last: they are copied from it, or, if the huge page was optimized, from
    /// what the scheme says they show.
    ///
    /// - Parameter isUntouched: whether nothing is replaced. The refusal may have come before the shared frames were
    ///   complete then.
    private func rebuild(_ page: HugePageIndex, isUntouched: Bool) throws(HostError) {
        let (plan, pages) = (parts.plan, page.alone)
        for writable in plan.writablePages where parts.isIntact(writable, of: page) {
            try parts.protect(writable.alone, of: page, .readOnly)
        }
        if isUntouched, !plan.ownPages.isEmpty {
            parts.states.setStaleFrames(pages, true)
            try parts.frames.file.gather(ownPages(of: pages), at: parts.frames.ownFrames(of: page))
        }
        let last = VmemmapPageIndex(plan.geometry.vmemmapPagesPerHugePage.rawValue - 1)
        let wasOptimized = parts.states.entry(page).state.wasOptimized
        let isLastOwn = !wasOptimized && parts.isIntact(last, of: page)
        try moveIn(stage(pages, isLastOwn ? .lastTail : .shown), pages)
        parts.states.settle(page, .restored)
        if !plan.ownPages.isEmpty { parts.states.setStaleFrames(pages, true) }
    }

    /// Notes what a refused ``rebuild(_:isUntouched:)`` has left. It may have write-protected pages on its way.
    private func tearAfterRebuild(
        _ page: HugePageIndex, isUntouched: Bool, replaced: Range<VmemmapPageIndex>,
        uncertain: Range<VmemmapPageIndex>
    ) {
        if isKept(page) { return }
        // A late refusal costs pages that had not been replaced. The shared frames were complete by then.
        let isWhole = parts.isIntact(page)
        parts.tear(
            page, isUntouched && isWhole ? .region : .sharedFrames, replaced: replaced, uncertain: uncertain,
            isWriteProtected: true, isCut: isUntouched && isWhole)
    }

    // MARK: Restoring

    /// Fills private pages off to the side, heads too, then moves them in with one call: it costs one flush of the TLB
    /// of each processor that readers run on, and leaves one mapping.
    ///
    /// That is one step for every reader: before it the tails show the shared frames, after it frames of their own,
    /// with the same bytes. (Mapping fresh memory in place and filling it there showed readers zeros.)
    func restore(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        var isProtected = false
        do throws(HostError) {
            if writers == .present {
                // Tails are read-only as it is. Over so many mappings the host may refuse half-way.
                isProtected = true
                try HostKernel.protect(parts.layout.vmemmap(of: batch), .readOnly)
            }
            try moveIn(stage(batch, .shown), batch)
        } catch {
            for page in batch { keepOptimized(page, isProtected: isProtected) }
            noteCut(before: batch.lowerBound, by: error)
            return BatchResult(completed: 0, failure: error)
        }
        do throws(HostError) {
            try parts.frames.release(batch)
        } catch {
            // The huge pages are restored all the same. The frames are given back at the operation's end, or named.
            parts.states.setStaleFrames(batch, true)
        }
        return BatchResult(completed: batch.count)
    }

    /// After a refusal while restoring: the first head may lie in one mapping with what is before it, and that may have
    /// been cut to make place.
    private func noteCut(before page: HugePageIndex, by refusal: HostError) {
        if parts.states.entry(page).isOptimized, parts.isCut(page, by: refusal, isFirst: true) {
            parts.states.noteCut(before: page)
        }
    }

    /// Moves staged huge pages to their place, or unmaps what it does not keep of them.
    ///
    /// A late refusal leaves a gap, which is closed with the reserve's mappings. If that cannot be done, it has cost
    /// the only other copy of heads: the staged pages are kept, and their huge pages are torn.
    private func moveIn(_ staging: AddressRange, _ batch: Range<HugePageIndex>) throws(HostError) {
        let target = parts.layout.vmemmap(of: batch)
        do throws(HostError) {
            try HostKernel.move(staging, to: target.start)
        } catch {
            let isWhole = batch.allSatisfy { parts.isIntact($0) }
            if !isWhole { MappingReserve.process.letGo() }
            if isWhole || (try? HostKernel.move(staging, to: target.start)) == nil {
                for page in batch { keepOrDiscard(stagedPart(page, of: staging, batch), of: page) }
                throw error
            }
        }
        parts.states.noteMoved(batch)
        for page in batch { parts.merge(page) }
    }

    private func keepOrDiscard(_ staged: AddressRange, of page: HugePageIndex) {
        if parts.isIntact(VmemmapPageIndex(0), of: page) { return parts.memory.orphans.unmap(staged) }
        let all = VmemmapPageIndex(0)..<parts.plan.replacedPages.upperBound
        parts.tear(page, .privateMemory, replaced: parts.pages(of: 0..<0), uncertain: all, staging: staged)
    }

    /// Whether a huge page is torn, and the pages staged for it are kept.
    private func isKept(_ page: HugePageIndex) -> Bool { parts.states.entry(page).state.tear?.staging != nil }

    /// After a refusal while restoring: makes sure that `page` is still optimized.
    private func keepOptimized(_ page: HugePageIndex, isProtected: Bool) {
        if isKept(page) { return }
        do throws(HostError) {
            var replaced = 0
            if !parts.isIntact(page) { try parts.replace(page, &replaced) }
            if isProtected { try parts.protect(parts.plan.writablePages, of: page, .readWrite) }
        } catch {
            let none = parts.pages(of: 0..<0)
            parts.tear(
                page, .sharedFrames, replaced: parts.plan.replacedPages, uncertain: none,
                isWriteProtected: isProtected)
        }
    }

    // MARK: Mending

    func mend(_ torn: TornHugePage) throws(HostError) {
        let page = torn.page
        if let staging = torn.staging {
            try HostKernel.move(staging, to: parts.layout.vmemmap(of: page).start)
            parts.states.noteMoved(page.alone)
            parts.merge(page)
            parts.states.settle(page, .restored)
            if !parts.plan.ownPages.isEmpty { parts.states.setStaleFrames(page.alone, true) }
            return
        }
        if torn.contents == .region, !torn.isCut {
            // Only a protection was not put back.
            try parts.protect(parts.plan.writablePages, of: page, .readWrite)
            return parts.states.settle(page, torn.last)
        }
        let isUntouched = torn.contents == .region
        do throws(HostError) {
            try rebuild(page, isUntouched: isUntouched)
        } catch {
            tearAfterRebuild(page, isUntouched: isUntouched, replaced: torn.replaced, uncertain: torn.uncertain)
            throw error
        }
    }
}
