internal import HostMemory

extension VmemmapRegion {
    /// Adds `delta` to a struct page's `_refcount` in one atomic step. `page_ref_add()` in the kernel.
    ///
    /// While an operation that expects ``Writers/present`` replaces the page, the store is held up and made
    /// afterwards: no update is lost between the copy of a vmemmap page and its replacement. (The kernel fixed a race
    /// of this kind with speculative pfn walkers in 2024.)
    ///
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/sharedTail(frame:)`` where the struct page shows another's
    ///   frame, ``VmemmapError/Cause/incomplete(_:)`` where a failed operation left page 1 write-protected, and
    ///   ``VmemmapError/Cause/noSuchFrame(_:)``.
    public func addToRefcount(of frame: PageFrameNumber, _ delta: Int32) throws(VmemmapError) {
        guard layout.frames.contains(frame) else { throw VmemmapError(.write, .noSuchFrame(frame)) }
        let counter = layout.structPage(of: frame) + StructPage.refcountOffset
        var waited = 0
        while true {
            // SAFETY: the counter lies in the region, which this call keeps alive; the add survives a refusal.
            let outcome = unsafe MemoryAccess.tryAdd(delta, at: counter)
            switch outcome {
            case .done: return
            case .refused: try waitOrRefuse(frame, &waited)
            case .faulted: throw VmemmapError(.write, .fault(outcome, frame: frame))
            }
        }
    }

    /// A struct page's `_refcount`; nil for a frame that is not of this region. `page_ref_count()` in the kernel.
    public func refcount(of frame: PageFrameNumber) -> Int32? {
        guard layout.frames.contains(frame) else { return nil }
        let word = layout.structPage(of: frame) + StructPage.refcountOffset - ByteCount(4)
        // SAFETY: the aligned word around the counter lies in the region, which is mapped readable throughout.
        return Int32(truncatingIfNeeded: unsafe MemoryAccess.load(word) >> 32)
    }

    /// After a refused store: returns if it is worth another attempt.
    private func waitOrRefuse(_ frame: PageFrameNumber, _ waited: inout Int) throws(VmemmapError) {
        let page = layout.geometry.hugePage(of: frame)
        let entry = ledger.entry(page)
        if !entry.isBusy {
            if entry.isIncomplete { throw VmemmapError(.write, .incomplete(page)) }
            let vmemmapPage = layout.geometry.vmemmapPage(of: frame)
            if entry.state == .optimized, vmemmapPage.rawValue >= plan.scheme.writablePages.rawValue {
                throw VmemmapError(.write, .sharedTail(frame: frame))
            }
            // The operation ended between the store and the look at the state.
        }
        HugePageLedger.backOff(&waited)
    }
}
