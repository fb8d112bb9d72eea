import HostMemory

/// The memfd backing: the region is one memory file, mapped from end to end. Nothing is copied to optimize, since the
/// pages that stay are in the file already; and nothing is staged to restore, since a file can be written where nobody
/// maps it.
struct MemfdRemapper: Remapper {
    let parts: RegionParts

    // MARK: Optimizing

    /// Maps the tails to the pages that stay, then punches their own frames out of the file.
    func optimize(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        var completed = 0
        var replaced = 0
        do throws(HostError) {
            for page in batch {
                replaced = 0
                try parts.replace(page, &replaced)
                completed += 1
                punch(page)
            }
            return BatchResult(completed: completed)
        } catch {
            if error.code == .outOfMemory { MappingReserve.process.letGo() }
            putBack(
                batch.lowerBound.advanced(by: completed), after: error, replaced: replaced, isFirst: completed == 0)
            return BatchResult(completed: completed, failure: error)
        }
    }

    /// Gives the freed pages' frames back now, or notes that they are still to be given back.
    private func punch(_ page: HugePageIndex) {
        let pages = page.alone
        do throws(HostError) {
            try parts.frames.release(pages)
        } catch {
            parts.states.setStaleFrames(pages, true)
        }
    }

    /// After a refusal while optimizing: nothing has been punched yet, so every page's own frame still holds what it
    /// held.
    private func putBack(_ page: HugePageIndex, after refusal: HostError, replaced: Int, isFirst: Bool) {
        let isUntouched = replaced == 0 && parts.isIntact(page)
        if isUntouched, !parts.isCut(page, by: refusal, isFirst: isFirst) { return }
        do throws(HostError) {
            try relink(page.alone)
        } catch {
            parts.tear(
                page, .region, replaced: parts.pages(of: 0..<replaced),
                uncertain: parts.pages(of: replaced..<(isUntouched ? replaced : replaced + 1)), isCut: isUntouched)
        }
    }

    // MARK: Restoring

    /// Writes the holes of every huge page, then maps the file's pages in their order again, which merges with what is
    /// beside them: by one call, which costs one flush of the TLB of each processor that readers run on.
    func restore(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        do throws(HostError) {
            // Set before the first byte: a refusal half-way leaves frames in what is to be a hole.
            parts.states.setStaleFrames(batch, true)
            try parts.withScratchPage { (scratch) throws(HostError) in
                for page in batch { try writeHoles(of: page, scratch) }
            }
        } catch {
            return BatchResult(completed: 0, failure: error)
        }
        do throws(HostError) {
            try relink(batch)
        } catch {
            // Closing a gap takes mappings too.
            if error.code == .outOfMemory { MappingReserve.process.letGo() }
            for page in batch { keepOptimized(page) }
            return BatchResult(completed: 0, failure: error)
        }
        for page in batch { parts.merge(page) }
        return BatchResult(completed: batch.count)
    }

    /// Maps neighbouring huge pages, from the first replaced page on, to their own place in the file: page 0 of the
    /// later ones too, which is there already. One step for every reader.
    private func relink(_ pages: Range<HugePageIndex>) throws(HostError) {
        let first = parts.plan.replacedPages.lowerBound
        let skipped = parts.plan.geometry.basePageSize * first.rawValue
        let all = parts.layout.vmemmap(of: pages)
        try parts.frames.file.map(
            at: AddressRange(start: all.start + skipped, length: all.length - skipped),
            offset: parts.frames.offset(of: pages.lowerBound, first))
    }

    /// After a refusal of ``relink(_:)``: makes sure that `page` is still optimized. The refused call was to map its
    /// page 0 too.
    private func keepOptimized(_ page: HugePageIndex) {
        do throws(HostError) {
            try closeGaps(page)
            var replaced = 0
            if !parts.isIntact(page) { try parts.replace(page, &replaced) }
        } catch {
            let none = parts.pages(of: 0..<0)
            parts.tear(page, .sharedFrames, replaced: parts.plan.replacedPages, uncertain: none)
        }
    }

    /// Maps the pages that keep their frames, as they are while the huge page is optimized, unless they are mapped:
    /// those in front of the first replaced one, and, read-only, those of a longer run that others show.
    private func closeGaps(_ page: HugePageIndex) throws(HostError) {
        let (first, end) = (parts.plan.replacedPages.lowerBound, parts.plan.freedPages.lowerBound)
        try closeGap(VmemmapPageIndex(0)..<first, of: page, isWritable: true)
        if first < end { try closeGap(first..<end, of: page, isWritable: false) }
    }

    private func closeGap(
        _ pages: Range<VmemmapPageIndex>, of page: HugePageIndex, isWritable: Bool
    ) throws(HostError) {
        if pages.allSatisfy({ parts.isIntact($0, of: page) }) { return }
        let file = parts.frames.file
        let range = parts.layout.vmemmap(of: page, pages)
        let offset = parts.frames.offset(of: page, pages.lowerBound)
        if isWritable {
            try file.map(at: range, offset: offset)
        } else {
            try HostKernel.mapFile(file.readOnly, at: range, offset: offset, .readOnly)
        }
    }

    /// Writes what the tails show into the holes of the file. The kernel reads the same page over and over: nothing is
    /// copied in between but for the head scheme, in which tails must not look like heads any more.
    ///
    /// - Parameter scratch: from ``RegionParts/withScratchPage(_:)``.
    private func writeHoles(of page: HugePageIndex, _ scratch: Address) throws(HostError) {
        let pageSize = parts.plan.geometry.basePageSize
        let freed = parts.plan.freedPages
        let offset = parts.frames.offset(of: page, freed.lowerBound)
        switch parts.plan.tailSource {
        case .ownTails:
            let own = parts.layout.vmemmap(of: page, parts.plan.ownPages)
            let (whole, rest) = freed.count.quotientAndRemainder(dividingBy: parts.plan.ownPages.count)
            try parts.write(own.start, own.length, times: whole, at: offset)
            try parts.write(own.start, pageSize * rest, times: 1, at: offset + own.length * whole)
        case .head:
            // SAFETY: the scratch page is the caller's own; page 0 is part of the region and mapped readable.
            unsafe PageCopy.copy(parts.layout.vmemmap(of: page).start, to: scratch, pageSize)
            unsafe PageCopy.resetUsedStructPages(scratch, structPageSize: parts.plan.geometry.structPageSize)
            try parts.write(scratch, pageSize, times: freed.count, at: offset)
        case .template:
            guard let image = parts.tailImages?.address(zone: parts.plan.zone(of: page)) else { return }
            try parts.write(image, pageSize, times: freed.count, at: offset)
        }
    }

    // MARK: Mending

    func mend(_ torn: TornHugePage) throws(HostError) {
        let page = torn.page
        do throws(HostError) {
            try closeGaps(page)
            // Optimized, it has holes. Otherwise nothing was punched, and every page's own frame holds what it held.
            if torn.contents == .sharedFrames {
                try parts.withScratchPage { (scratch) throws(HostError) in try writeHoles(of: page, scratch) }
            }
            try relink(page.alone)
        } catch {
            parts.tear(
                page, torn.contents, replaced: torn.replaced, uncertain: torn.uncertain, isCut: torn.isCut)
            throw error
        }
        parts.merge(page)
        parts.states.settle(page, .restored)
        parts.states.setStaleFrames(page.alone, false)
    }
}
