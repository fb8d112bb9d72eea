internal import HostMemory

/// Where the restored tails take their contents.
enum TailContents {
    /// From what they show while their huge page is optimized, as v5 patch 11 does.
    case shown
    /// From the last vmemmap page, which a failed optimize has not reached.
    case lastTail
}

extension VmemmapRegion {
    /// Restores neighbours, on either backing: private pages are moved in a huge page at a time, a memory file's can be mapped all
    /// together.
    ///
    /// That is one step for every reader: before it the tails show the shared frames, after it frames of their own, with
    /// the same bytes. (Mapping fresh memory in place and filling it there showed readers zeros: host limits, 5.)
    func restoreBatch(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        switch plan.backing {
        case .anonymous: restoreAnonymous(batch, writers)
        case .memfd: restoreMemfd(batch)
        }
    }

    /// Fills private pages off to the side, then moves them in.
    private func restoreAnonymous(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        var completed = 0
        var isProtected = false
        do throws(HostError) {
            if writers == .present, !plan.copiedWritablePages.isEmpty {
                // Over several mappings the host may refuse half-way.
                isProtected = plan.copiedWritablePages.count > 1
                try protect(plan.copiedWritablePages, of: batch.lowerBound, .readOnly)
                isProtected = true
            }
            let staging = try stage(batch, .shown)
            do throws(HostError) {
                for page in batch {
                    #if VMEMMAP_MUTATIONS
                        if Mutation.current == .nonAtomicRestore { try showZeros(of: page..<page.advanced(by: 1)) }
                    #endif
                    let target = layout.vmemmap(of: page, plan.movedPages).start
                    try HostKernel.move(stagedPart(completed, of: staging), to: target)
                    completed += 1
                    mergeHugeBase(page)
                }
            } catch {
                discard(staging, after: completed)
                throw error
            }
        } catch {
            ledger.setStaleFrames(batch.prefix(completed), true)
            keepOptimized(batch.lowerBound.advanced(by: completed), isProtected: isProtected)
            return BatchResult(completed: completed, failure: error)
        }
        do throws(HostError) {
            try frames.release(batch)
        } catch {
            // The huge pages are restored all the same. The frames are given back at the operation's end, or that fails.
            ledger.setStaleFrames(batch, true)
        }
        return BatchResult(completed: completed)
    }

    /// Pages that are populated and then filled before the next ones are: as many as stay in a processor's cache. Populating
    /// all 4095 of a 1 GiB page first takes 7 % longer.
    private static let pagesAtOnce = 32

    /// Private pages for the moved pages of every huge page of the batch, filled with what they are to hold.
    func stage(_ batch: Range<HugePageIndex>, _ contents: TailContents) throws(HostError) -> AddressRange {
        let staging = try HostKernel.mapAnonymous(length: stagedLength * batch.count)
        do throws(HostError) {
            // These frames will be the region's, which no child gets either.
            try HostKernel.advise(staging, .dontFork)
            if isMerged(batch.lowerBound) {
                try HostKernel.wantHugePages(staging)
            } else {
                try HostKernel.forbidHugePages(staging)
            }
            let atOnce = max(1, Self.pagesAtOnce / plan.movedPages.count)
            for first in stride(from: 0, to: batch.count, by: atOnce) {
                let group = batch.dropFirst(first).prefix(atOnce)
                try fill(group, at: staging.start + stagedLength * first, contents)
            }
        } catch {
            discard(staging, after: 0)
            throw error
        }
        return staging
    }

    /// Populates and fills the staged pages of a few huge pages.
    private func fill(
        _ group: Range<HugePageIndex>, at staged: Address, _ contents: TailContents
    ) throws(HostError) {
        let pageSize = plan.geometry.basePageSize
        let moved = plan.movedPages
        let total = moved.count * group.count
        var filled = 0
        while filled < total {
            // The own pages first, since the others may be copied from them.
            let least = filled == 0 ? max(Self.pagesAtOnce, plan.ownPages.upperBound.rawValue) : Self.pagesAtOnce
            let end = min(total, filled + least)
            try HostKernel.populate(
                AddressRange(start: staged + pageSize * filled, length: pageSize * (end - filled)))
            if filled == 0 { try readOwnPages(of: group, into: staged) }
            for number in filled..<end {
                let (page, vmemmapPage) = number.quotientAndRemainder(dividingBy: moved.count)
                fill(
                    moved.lowerBound.advanced(by: vmemmapPage), of: group.lowerBound.advanced(by: page),
                    at: staged + pageSize * number, contents)
            }
            filled = end
        }
    }

    /// Reads the own pages of a few huge pages out of the memory file, with one call.
    private func readOwnPages(of group: Range<HugePageIndex>, into staged: Address) throws(HostError) {
        guard let first = plan.ownPages.first else { return }
        let pageSize = plan.geometry.basePageSize
        let offset = pageSize * (first.rawValue - plan.movedPages.lowerBound.rawValue)
        try frames.file.scatter(
            StridedPieces(
                first: staged + offset, stride: stagedLength, length: pageSize * plan.ownPages.count,
                count: group.count),
            at: frames.ownFrames(of: group.lowerBound))
    }

    /// Fills one staged page, unless it is an own page, which is there already.
    @inline(__always)
    private func fill(
        _ vmemmapPage: VmemmapPageIndex, of page: HugePageIndex, at target: Address, _ contents: TailContents
    ) {
        let own = plan.ownPages
        if own.contains(vmemmapPage) { return }
        let pageSize = plan.geometry.basePageSize
        /// A page of the same huge page that is staged already.
        func staged(_ source: VmemmapPageIndex) -> Address {
            target - pageSize * source.distance(to: vmemmapPage)
        }
        // SAFETY: the staged pages are mapped read-write and known to nobody else. Each source is a staged page before the
        // one written, a tail image, or the region's first or last vmemmap page: all mapped readable, and none the target.
        switch (contents, plan.scheme) {
        case _ where vmemmapPage.rawValue == 0:
            unsafe PageCopy.copy(layout.vmemmap(of: page).start, to: target, pageSize)
        case (.lastTail, _):
            unsafe PageCopy.copy(lastTail(of: page).start, to: target, pageSize)
        case (.shown, .firstTail):
            let source = (vmemmapPage.rawValue - own.lowerBound.rawValue) % own.count
            unsafe PageCopy.copy(staged(own.lowerBound.advanced(by: source)), to: target, pageSize)
        case (.shown, .head) where vmemmapPage == own.upperBound:
            unsafe PageCopy.copy(staged(own.lowerBound), to: target, pageSize)
            unsafe PageCopy.resetUsedStructPages(target, structPageSize: plan.geometry.structPageSize)
        case (.shown, .head):
            unsafe PageCopy.copy(staged(own.upperBound), to: target, pageSize)
        case (.shown, .sharedTail):
            guard let image = tailImages?.address(zone: plan.zone(of: page)) else { return }
            unsafe PageCopy.copy(image, to: target, pageSize)
        }
    }

    /// Whether a restore of the huge page is to map it by PMDs again: only where optimizing has split them (v5 patch 13).
    private func isMerged(_ page: HugePageIndex) -> Bool {
        plan.mergesOnRestore && hugeBase?.isMarked(in: layout.vmemmap(of: page)) == true
    }

    /// Maps a restored gigantic page by PMDs again (v5 patches 12 and 18), as far as there is memory for it.
    func mergeHugeBase(_ page: HugePageIndex) {
        if plan.mergesOnRestore { hugeBase?.merge(layout.vmemmap(of: page)) }
    }

    /// The staged part of one huge page.
    private var stagedLength: ByteCount { plan.geometry.basePageSize * plan.movedPages.count }

    /// The staged pages of the `number`-th huge page of a batch.
    private func stagedPart(_ number: Int, of staging: AddressRange) -> AddressRange {
        AddressRange(start: staging.start + stagedLength * number, length: stagedLength)
    }

    /// Unmaps staging, but for the huge pages whose part has been moved away. What cannot be unmapped is kept for later.
    func discard(_ staging: AddressRange, after moved: Int) {
        let start = stagedPart(moved, of: staging).start
        let rest = AddressRange(start: start, length: staging.end - start)
        do throws(HostError) {
            try HostKernel.unmap(rest)
        } catch {
            ledger.addOrphan(rest)
        }
    }

    /// The last vmemmap page of a huge page.
    func lastTail(of page: HugePageIndex) -> AddressRange {
        layout.vmemmap(
            of: page, from: VmemmapPageIndex(plan.geometry.vmemmapPagesPerHugePage.rawValue - 1), count: PageCount(1))
    }
}
