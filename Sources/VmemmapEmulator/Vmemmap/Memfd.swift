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
            relinkRefused(batch.lowerBound.advanced(by: completed), replaced: replaced)
            return BatchResult(completed: completed, failure: error)
        }
    }

    /// Writes the holes, then maps the file's pages in their order again, which merges with what is beside them.
    func restoreMemfd(_ batch: Range<HugePageIndex>) -> BatchResult {
        var completed = 0
        do throws(HostError) {
            try withScratchPage { (scratch) throws(HostError) in
                for page in batch {
                    // Set before the first byte: a refusal half-way leaves frames in what is to be a hole.
                    ledger.setStaleFrames(page..<page.advanced(by: 1), true)
                    #if VMEMMAP_MUTATIONS
                        if Mutation.current == .nonAtomicRestore { try showZeros(of: page) }
                    #endif
                    try writeHoles(of: page, scratch)
                    try relink(page)
                    completed += 1
                    mergeHugeBase(page)
                }
            }
            return BatchResult(completed: completed)
        } catch {
            keepOptimized(batch.lowerBound.advanced(by: completed), isProtected: false)
            return BatchResult(completed: completed, failure: error)
        }
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

    /// Maps every replaced page of a huge page to its own place in the file. One step for every reader.
    func relink(_ page: HugePageIndex) throws(HostError) {
        let replaced = plan.replacedPages
        try HostKernel.mapFile(
            frames.file.writable, at: layout.vmemmap(of: page, replaced),
            offset: frames.offset(of: page, replaced.lowerBound), .readWrite)
    }

    /// After a refusal: nothing has been punched yet, so every page's own frame still holds what it held.
    private func relinkRefused(_ page: HugePageIndex, replaced: Int) {
        if replaced == 0, isReadable(page) { return }
        do throws(HostError) {
            try relink(page)
        } catch {
            noteIncomplete(page, replaced: replaced, uncertain: 1, isProtected: false)
        }
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
