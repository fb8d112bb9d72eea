import HostMemory

/// Where the restored tails take their contents.
enum TailContents {
    /// From what they show while their huge page is optimized, as v5 patch 11 does.
    case shown
    /// From the last vmemmap page, which a failed optimize has not reached.
    case lastTail
}

// Private pages that are filled off to the side, to be moved in.
extension AnonymousRemapper {
    /// Pages that are populated and then filled before the next ones are: as many as stay in a processor's cache.
    /// Populating all 4095 of a 1 GiB page first takes 7 % longer.
    private static let pagesAtOnce = 32

    /// Private pages for every vmemmap page of the batch, filled with what they are to hold.
    func stage(_ batch: Range<HugePageIndex>, _ contents: TailContents) throws(HostError) -> AddressRange {
        let bytes = parts.plan.geometry.vmemmapBytesPerHugePage
        let staging = try HostKernel.mapAnonymous(length: bytes * batch.count)
        do throws(HostError) {
            // These frames will be the region's, which no child gets either.
            try HostKernel.advise(staging, .dontFork)
            if isMerged(batch.lowerBound) {
                try HostKernel.wantHugePages(staging)
            } else {
                try HostKernel.forbidHugePages(staging)
            }
            let atOnce = max(1, Self.pagesAtOnce / parts.plan.geometry.vmemmapPagesPerHugePage.rawValue)
            for first in stride(from: 0, to: batch.count, by: atOnce) {
                let group = batch.dropFirst(first).prefix(atOnce)
                try fill(group, at: staging.start + bytes * first, contents)
            }
        } catch {
            parts.memory.orphans.unmap(staging)
            throw error
        }
        return staging
    }

    /// Populates and fills the staged pages of a few huge pages.
    private func fill(
        _ group: Range<HugePageIndex>, at staged: Address, _ contents: TailContents
    ) throws(HostError) {
        let pageSize = parts.plan.geometry.basePageSize
        let pages = parts.plan.geometry.vmemmapPagesPerHugePage.rawValue
        let total = pages * group.count
        var filled = 0
        while filled < total {
            // The own pages first, since the others may be copied from them.
            let least =
                filled == 0 ? max(Self.pagesAtOnce, parts.plan.ownPages.upperBound.rawValue) : Self.pagesAtOnce
            let end = min(total, filled + least)
            try HostKernel.populate(
                AddressRange(start: staged + pageSize * filled, length: pageSize * (end - filled)))
            if filled == 0 { try readOwnPages(of: group, into: staged) }
            for number in filled..<end {
                let (page, vmemmapPage) = number.quotientAndRemainder(dividingBy: pages)
                fill(
                    VmemmapPageIndex(vmemmapPage), of: group.lowerBound.advanced(by: page),
                    at: staged + pageSize * number, contents)
            }
            filled = end
        }
    }

    /// Reads the own pages of a few huge pages out of the memory file, with one call.
    private func readOwnPages(of group: Range<HugePageIndex>, into staged: Address) throws(HostError) {
        guard let first = parts.plan.ownPages.first else { return }
        let geometry = parts.plan.geometry
        try parts.frames.file.scatter(
            StridedPieces(
                first: staged + geometry.basePageSize * first.rawValue, stride: geometry.vmemmapBytesPerHugePage,
                length: geometry.basePageSize * parts.plan.ownPages.count, count: group.count),
            at: parts.frames.ownFrames(of: group.lowerBound))
    }

    /// Fills one staged page, unless it is an own page, which is there already.
    @inline(__always)
    private func fill(
        _ vmemmapPage: VmemmapPageIndex, of page: HugePageIndex, at target: Address, _ contents: TailContents
    ) {
        let own = parts.plan.ownPages
        if own.contains(vmemmapPage) { return }
        let pageSize = parts.plan.geometry.basePageSize
        /// A page of the same huge page that is staged already.
        func staged(_ source: VmemmapPageIndex) -> Address {
            target - pageSize * source.distance(to: vmemmapPage)
        }
        // SAFETY: the staged pages are mapped read-write and known to nobody else. Each source is a staged page before
        // the one written, a tail image, or the region's first or last vmemmap page: all mapped readable, and none the
        // target.
        switch (contents, parts.plan.tailSource) {
        case _ where vmemmapPage.rawValue == 0:
            unsafe PageCopy.copy(parts.layout.vmemmap(of: page).start, to: target, pageSize)
        case (.lastTail, _):
            unsafe PageCopy.copy(lastTail(of: page).start, to: target, pageSize)
        case (.shown, .ownTails):
            let source = (vmemmapPage.rawValue - own.lowerBound.rawValue) % own.count
            unsafe PageCopy.copy(staged(own.lowerBound.advanced(by: source)), to: target, pageSize)
        case (.shown, .head) where vmemmapPage == own.upperBound:
            unsafe PageCopy.copy(staged(own.lowerBound), to: target, pageSize)
            unsafe PageCopy.resetUsedStructPages(target, structPageSize: parts.plan.geometry.structPageSize)
        case (.shown, .head):
            unsafe PageCopy.copy(staged(own.upperBound), to: target, pageSize)
        case (.shown, .template):
            guard let image = parts.tailImages?.address(zone: parts.plan.zone(of: page)) else { return }
            unsafe PageCopy.copy(image, to: target, pageSize)
        }
    }

    /// Whether a restore of the huge page is to map it by PMDs again: only where optimizing has split them (v5 patch
    /// 13).
    private func isMerged(_ page: HugePageIndex) -> Bool {
        parts.plan.mergesOnRestore && parts.blocks?.isMarked(in: parts.layout.vmemmap(of: page)) == true
    }

    /// The staged pages of one huge page of a batch.
    func stagedPart(_ page: HugePageIndex, of staging: AddressRange, _ batch: Range<HugePageIndex>) -> AddressRange {
        let length = parts.plan.geometry.vmemmapBytesPerHugePage
        let number = batch.lowerBound.distance(to: page)
        return AddressRange(start: staging.start + length * number, length: length)
    }

    /// The last vmemmap page of a huge page.
    private func lastTail(of page: HugePageIndex) -> AddressRange {
        parts.layout.vmemmap(
            of: page, from: VmemmapPageIndex(parts.plan.geometry.vmemmapPagesPerHugePage.rawValue - 1),
            count: PageCount(1))
    }
}
