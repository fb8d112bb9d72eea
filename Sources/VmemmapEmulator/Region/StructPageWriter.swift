import HostMemory

extension VmemmapRegion {
    /// Adds `delta` to a struct page's `_refcount` in one atomic step. `page_ref_add()` in the kernel.
    ///
    /// While an operation that expects ``Writers/present`` replaces the page, the store is held up and made
    /// afterwards: no update is lost between the copy of a vmemmap page and its replacement. (The kernel fixed a race
    /// of this kind with speculative pfn walkers in 2024.)
    ///
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/sharedTail(frame:)`` where the struct page shows another's
    ///   frame, ``VmemmapError/Cause/torn(_:)`` where a failed operation left it write-protected, and
    ///   ``VmemmapError/Cause/frameOutOfRange(_:frames:)``.
    public func addToRefcount(of frame: PageFrameNumber, _ delta: Int32) throws(VmemmapError) {
        try checkFrame(frame, .write)
        let counter = layout.structPage(of: frame) + StructPage.refcountOffset
        var wait = WriterWait()
        while true {
            // SAFETY: the counter lies in the region, which this call keeps alive; the add survives a refusal.
            let outcome = unsafe MemoryAccess.tryAdd(delta, at: counter)
            if outcome == .done { return }
            guard outcome == .refused || outcome == .unmapped else {
                throw VmemmapError(.write, .fault("\(outcome)", frame: frame))
            }
            try waitOrRefuse(frame, outcome, &wait)
        }
    }

    /// A struct page's `_refcount`. `page_ref_count()` in the kernel.
    ///
    /// - Throws: `VmemmapError` with ``VmemmapError/Cause/frameOutOfRange(_:frames:)``, and with
    ///   ``VmemmapError/Cause/torn(_:)`` where a failed operation left the struct page unmapped.
    public func refcount(of frame: PageFrameNumber) throws(VmemmapError) -> Int32 {
        try checkFrame(frame, .look)
        let address = layout.structPage(of: frame) + StructPage.refcountOffset - ByteCount(4)
        let page = layout.geometry.hugePage(of: frame)
        var wait = WriterWait()
        while true {
            // SAFETY: the aligned word around the counter lies in the region, which this call keeps alive; the load
            // survives a gap.
            if let word = unsafe MemoryAccess.tryLoad(address) { return Int32(truncatingIfNeeded: word >> 32) }
            // An operation that left the gap may be about to close it.
            let isHopeless = states.isAtWork(on: page) ? wait.isOver() : wait.isFoundIdleTooOften()
            if isHopeless || states.state(of: page).isTorn { throw VmemmapError(.look, .torn(page)) }
            HugePageStates.backOff(&wait.pauses)
        }
    }

    private func checkFrame(
        _ frame: PageFrameNumber, _ operation: VmemmapError.Operation
    ) throws(VmemmapError) {
        if layout.frames.contains(frame) { return }
        throw VmemmapError(operation, .frameOutOfRange(frame, frames: layout.frames.count))
    }

    /// After a refused store: returns if it is worth another attempt.
    private func waitOrRefuse(
        _ frame: PageFrameNumber, _ outcome: AccessOutcome, _ wait: inout WriterWait
    ) throws(VmemmapError) {
        let page = layout.geometry.hugePage(of: frame)
        if states.isAtWork(on: page) {
            if wait.isOver() { throw VmemmapError(.write, .heldUp(page)) }
        } else {
            let state = states.state(of: page)
            // A block that is merely displaced can be written: it was being moved a moment ago.
            if let tear = state.tear, !tear.isUsable { throw VmemmapError(.write, .torn(page)) }
            if state == .optimized,
                layout.geometry.vmemmapPage(of: frame) >= plan.writablePages.upperBound
            {
                throw VmemmapError(.write, .sharedTail(frame: frame))
            }
            // The operation ended between the store and the look at the state, unless that happens again and again.
            if wait.isFoundIdleTooOften() { throw VmemmapError(.write, .fault("\(outcome)", frame: frame)) }
        }
        HugePageStates.backOff(&wait.pauses)
    }
}

extension AccessOutcome {
    /// Nothing is mapped there: SIGSEGV with si_code SEGV_MAPERR (1).
    fileprivate static let unmapped = AccessOutcome.faulted(signal: 11, code: 1)
}

/// How long a writer waits until a page is writable again.
private struct WriterWait {
    /// No operation takes as long on one batch, on a host as slow as may be.
    private static let longestNanoseconds = 60_000_000_000
    private static let mostFoundIdle = 1000

    var pauses = 0
    private let start = HostKernel.monotonicNanoseconds()
    private var foundIdle = 0

    /// Whether it has waited too long for an operation that goes on.
    mutating func isOver() -> Bool {
        foundIdle = 0
        return HostKernel.monotonicNanoseconds() - start > Self.longestNanoseconds
    }

    /// Whether nobody was at the page so many times in a row, and the store was refused all the same.
    mutating func isFoundIdleTooOften() -> Bool {
        foundIdle += 1
        return foundIdle > Self.mostFoundIdle
    }
}
