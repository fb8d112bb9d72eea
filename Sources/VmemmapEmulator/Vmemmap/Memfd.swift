internal import HostMemory

// The memfd backing: the region is one memory file, mapped from end to end. Nothing is copied to optimize, since the pages
// that stay are in the file already; and nothing is staged to restore, since a file can be written where nobody maps it.
extension VmemmapRegion {
    /// Maps the tails to the pages that stay, then punches their own frames out of the file.
    func optimizeMemfd(_ batch: Range<HugePageIndex>) -> BatchResult {
        var completed = 0
        var replaced = 0
        do throws(HostError) {
            try hugeBase?.split(around: layout.vmemmap(of: batch))
            for page in batch {
                replaced = 0
                try replace(page, &replaced)
                completed += 1
                punch(page)
            }
            return BatchResult(completed: completed)
        } catch {
            if error.code == .outOfMemory { MappingReserve.process.letGo() }
            relinkRefused(
                batch.lowerBound.advanced(by: completed), error, replaced: replaced, isFirst: completed == 0)
            return BatchResult(completed: completed, failure: error)
        }
    }

    /// Restores huge pages in groups that are mapped by one call: a whole batch where the holes are written from tail images (a
    /// call for each huge page takes 15 % longer), single ones where they are written from the region's own pages, which each
    /// mapping takes out of the page table (whole batches take 6 % longer on first-tail).
    func restoreMemfd(_ batch: Range<HugePageIndex>) -> BatchResult {
        let atOnce = plan.templates > .zero ? batch.count : 1
        for start in stride(from: 0, to: batch.count, by: atOnce) {
            do throws(HostError) {
                try restoreTogether(batch.dropFirst(start).prefix(atOnce))
            } catch {
                return BatchResult(completed: start, failure: error)
            }
        }
        return BatchResult(completed: batch.count)
    }

    /// Writes the holes of every huge page, then maps the file's pages in their order again, which merges with what is beside them.
    private func restoreTogether(_ group: Range<HugePageIndex>) throws(HostError) {
        // Set before the first byte: a refusal half-way leaves frames in what is to be a hole.
        ledger.setStaleFrames(group, true)
        #if VMEMMAP_MUTATIONS
            if Mutation.current == .nonAtomicRestore { try showZeros(of: group) }
        #endif
        try withScratchPage { (scratch) throws(HostError) in
            for page in group { try writeHoles(of: page, scratch) }
        }
        do throws(HostError) {
            try relink(group)
        } catch {
            for page in group { keepOptimizedMemfd(page) }
            throw error
        }
        for page in group { mergeHugeBase(page) }
    }

    /// Gives the freed pages' frames back now, or notes that they are still to be given back.
    private func punch(_ page: HugePageIndex) {
        let pages = page..<page.advanced(by: 1)
        do throws(HostError) {
            try frames.release(pages)
        } catch {
            ledger.setStaleFrames(pages, true)
        }
    }

    /// Maps neighbouring huge pages, from the first replaced page on, to their own place in the file: page 0 of the later ones
    /// too, which is there already. One step for every reader.
    func relink(_ pages: Range<HugePageIndex>) throws(HostError) {
        let first = plan.replacedPages.lowerBound
        let skipped = plan.geometry.basePageSize * first.rawValue
        let all = layout.vmemmap(of: pages)
        try HostKernel.mapFile(
            frames.file.writable, at: AddressRange(start: all.start + skipped, length: all.length - skipped),
            offset: frames.offset(of: pages.lowerBound, first), .readWrite)
    }

    /// After a refusal while optimizing: nothing has been punched yet, so every page's own frame still holds what it held.
    private func relinkRefused(_ page: HugePageIndex, _ refusal: HostError, replaced: Int, isFirst: Bool) {
        let isUnreplaced = replaced == 0 && isReadable(page)
        if isUnreplaced, !isCut(page, by: refusal, isFirst: isFirst) { return }
        do throws(HostError) {
            try relink(page..<page.advanced(by: 1))
        } catch {
            if isUnreplaced { return noteCut(page, isProtected: false) }
            noteIncomplete(page, replaced: replaced, uncertain: 1, isProtected: false)
        }
    }

    /// After a refusal of ``relink(_:)``: makes sure that `page` is still optimized. The refused call was to map its page 0 too.
    private func keepOptimizedMemfd(_ page: HugePageIndex) {
        do throws(HostError) {
            try closeHeadGap(page)
            keepOptimized(page, isProtected: false)
        } catch {
            noteUncertain(page)
        }
    }

    /// Maps page 0 of a huge page unless it is mapped.
    func closeHeadGap(_ page: HugePageIndex) throws(HostError) {
        let head = VmemmapPageIndex(0)
        if isIntact(head, of: page) { return }
        try HostKernel.mapFile(
            frames.file.writable, at: layout.vmemmap(of: page, head..<plan.replacedPages.lowerBound),
            offset: frames.offset(of: page, head), .readWrite)
    }

    /// Writes what the tails show into the holes of the file. The kernel reads the same page over and over: nothing is
    /// copied in between but for the head scheme, in which tails must not look like heads any more.
    ///
    /// - Parameter scratch: from ``withScratchPage(_:)``.
    func writeHoles(of page: HugePageIndex, _ scratch: Address) throws(HostError) {
        let pageSize = plan.geometry.basePageSize
        let freed = plan.freedPages
        let offset = frames.offset(of: page, freed.lowerBound)
        switch plan.scheme {
        case .firstTail:
            let own = layout.vmemmap(of: page, plan.ownPages)
            let (whole, rest) = freed.count.quotientAndRemainder(dividingBy: plan.ownPages.count)
            try write(own.start, own.length, times: whole, at: offset)
            try write(own.start, pageSize * rest, times: 1, at: offset + own.length * whole)
        case .head:
            // SAFETY: the scratch page is the caller's own; page 0 is part of the region and mapped readable.
            unsafe PageCopy.copy(layout.vmemmap(of: page).start, to: scratch, pageSize)
            unsafe PageCopy.resetUsedStructPages(scratch, structPageSize: plan.geometry.structPageSize)
            try write(scratch, pageSize, times: freed.count, at: offset)
        case .sharedTail:
            guard let image = tailImages?.address(zone: plan.zone(of: page)) else { return }
            try write(image, pageSize, times: freed.count, at: offset)
        }
    }

    /// Writes the same bytes several times, one copy behind the other.
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
