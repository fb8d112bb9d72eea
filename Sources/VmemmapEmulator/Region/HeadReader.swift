package import HostMemory

// How everybody who reads this region finds heads: walkers, page flags, checks.
extension VmemmapRegion {
    /// The compound head that a reader of the scheme finds for the struct page at `address`, one of this region's, and
    /// the word it found.
    @inline(__always)
    func read(_ address: Address) -> (head: Address, word: UInt64) {
        // SAFETY: the struct page lies in the region, which is readable at every moment as long as this object lives:
        // that is the promise under test. The one behind the first of a vmemmap page lies in the same page.
        let word = unsafe MemoryAccess.load(address + StructPage.compoundHeadOffset)
        return (plan.encoding.head(word, at: address, layout.geometry) { unsafe MemoryAccess.load($0) }, word)
    }

    /// The same, for those who must survive a gap in the region: nil in one.
    func readSurvivingGaps(_ address: Address) -> (head: Address, word: UInt64)? {
        guard range.contains(address) else { return nil }
        // SAFETY: the words lie in the region, which is this process's own; the loads survive a gap in it.
        guard let word = unsafe MemoryAccess.tryLoad(address + StructPage.compoundHeadOffset) else { return nil }
        // In the same vmemmap page, which is there. Should it go away meanwhile, the struct page stands for itself.
        return (plan.encoding.head(word, at: address, layout.geometry) { unsafe MemoryAccess.tryLoad($0) ?? 0 }, word)
    }

    /// The compound head that a reader finds for a frame, and the word it found; nil in a gap.
    package func observedHead(of frame: PageFrameNumber) -> (head: Address, word: UInt64)? {
        readSurvivingGaps(layout.structPage(of: frame))
    }
}
