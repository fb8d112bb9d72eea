import HostMemory

// What is found at the one huge page at which the host refused. It is looked at, not guessed about: a refused mmap or
// mremap normally changes nothing, but one that is refused late, after the old page table entries are gone, can leave a
// gap; and before that, like a refused mprotect, a mapping that is cut in pieces.
extension RegionParts {
    /// Whether a vmemmap page is mapped and shows tails of this huge page: asked of its second struct page, which is
    /// one in every vmemmap page of every scheme.
    func isIntact(_ vmemmapPage: VmemmapPageIndex, of page: HugePageIndex) -> Bool {
        let start = layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start
        let tail = CompoundHead.tailWord(
            plan.encoding, head: layout.vmemmap(of: page).start, order: plan.geometry.order,
            structPageSize: plan.geometry.structPageSize)
        let second = plan.geometry.structPageSize + StructPage.compoundHeadOffset
        // A gap begins and ends with a page of the host.
        return (0..<plan.geometry.hostPagesPerVmemmapPage).allSatisfy { number in
            // SAFETY: the address is inside the region, which stays this object's; the load survives a gap in it.
            unsafe MemoryAccess.tryLoad(start + HostLimits.pageSize * number + second) == tail
        }
    }

    /// Whether every vmemmap page of a huge page is.
    func isIntact(_ page: HugePageIndex) -> Bool { lostPages(of: page).isEmpty }

    /// From the first to the last vmemmap page that is not.
    func lostPages(of page: HugePageIndex) -> Range<VmemmapPageIndex> {
        let all = VmemmapPageIndex(0)..<VmemmapPageIndex(plan.geometry.vmemmapPagesPerHugePage.rawValue)
        guard let first = all.first(where: { !isIntact($0, of: page) }),
            let last = all.last(where: { !isIntact($0, of: page) })
        else { return all.lowerBound..<all.lowerBound }
        return first..<last.advanced(by: 1)
    }

    /// The vmemmap pages of some of the plan's replacements.
    func pages(of replacements: Range<Int>) -> Range<VmemmapPageIndex> {
        let all = plan.replacements[replacements.clamped(to: plan.replacements.indices)]
        guard let first = all.first, let last = all.last else {
            return plan.replacedPages.lowerBound..<plan.replacedPages.lowerBound
        }
        return first.first..<last.first.advanced(by: last.count.rawValue)
    }

    /// Notes what is torn of a huge page. What cannot be read is in doubt, whatever the caller knows.
    ///
    /// - Parameters:
    ///   - contents: where they live.
    ///   - replaced: vmemmap pages that show the shared frame if they can be read.
    ///   - uncertain: vmemmap pages at which the host refused.
    func tear(
        _ page: HugePageIndex, _ contents: TornHugePage.Contents, replaced: Range<VmemmapPageIndex>,
        uncertain: Range<VmemmapPageIndex>, isWriteProtected: Bool = false, isCut: Bool = false,
        staging: AddressRange? = nil
    ) {
        let lost = lostPages(of: page)
        let doubt =
            lost.isEmpty
            ? uncertain
            : uncertain.isEmpty
                ? lost : min(lost.lowerBound, uncertain.lowerBound)..<max(lost.upperBound, uncertain.upperBound)
        let end = doubt.isEmpty ? replaced.upperBound : min(replaced.upperBound, doubt.lowerBound)
        let state = states.entry(page).state
        states.tear(
            TornHugePage(
                page: page, last: state.tear?.last ?? state, contents: contents,
                replaced: replaced.lowerBound..<max(replaced.lowerBound, end), uncertain: doubt,
                isWriteProtected: isWriteProtected, isCut: isCut, staging: staging))
    }

    /// Whether a refusal has left the mapping of a huge page in more pieces than its state has: out of memory or of
    /// mappings, the kernel does not join again what it has cut so as to change a part (`vma_modify()`,
    /// `vms_gather_munmap_vmas()`). Where nobody can tell, it may have.
    ///
    /// - Parameter isFirst: whether the huge page before this one is in the state that its owner says.
    func isCut(_ page: HugePageIndex, by refusal: HostError, isFirst: Bool) -> Bool {
        guard refusal.code == .outOfMemory else { return false }
        let range = layout.vmemmap(of: page)
        var (inside, atStart, atEnd) = (0, false, false)
        do throws(HostError) {
            try ProcMaps.forEach(overlapping: HostKernel.withGuardPages(range)) { (mapping) throws(HostError) in
                let start = mapping.range.start
                if start > range.start, start < range.end { inside += 1 }
                if start == range.start { atStart = true }
                if start == range.end { atEnd = true }
            }
        } catch {
            return true
        }
        // Others change their huge pages meanwhile; a boundary of theirs is taken for a cut at worst.
        if atStart, isFirst, page > layout.allHugePages.lowerBound, !states.isBoundary(before: page) { return true }
        let next = page.advanced(by: 1)
        if atEnd, next < layout.allHugePages.upperBound, !states.isBoundary(before: next) { return true }
        return inside > plan.boundariesInside(states.entry(page).state)
    }
}
