import HostMemory

/// Whether somebody may write to struct pages while their huge page is optimized or restored.
public enum Writers: Sendable {
    /// Nobody: the caller owns the huge pages exclusively, as the pool does when it prepares one.
    case excluded
    /// Somebody may, through ``VmemmapRegion/addToRefcount(of:_:)``: vmemmap pages are write-protected before they
    /// are copied, so that no update falls between the copy and the replacement.
    case present
}

extension VmemmapRegion {
    /// Replaces the tail vmemmap pages of `pages` as the plan says, and gives their frames back to the host.
    /// `hugetlb_vmemmap_optimize_folios()` in the kernel, `free_huge_page_vmemmap()` in v5 patch 9.
    ///
    /// Huge pages that are optimized already are left alone. Everything or nothing: the mappings are set aside before
    /// the first is made, and what was replaced before a refusal is put back. Huge pages that an earlier failure has
    /// torn are mended first, and so restored, even if the operation fails then.
    ///
    /// - Parameters:
    ///   - pages: huge pages of this region, whose tail vmemmap pages hold equal bytes, as the prep leaves them.
    ///   - writers: whether struct pages may be written meanwhile.
    /// - Returns: what could not be given back to the host although everything is done. The next operation tries again.
    /// - Throws: `VmemmapError`: nothing is done then, but for what its residue tells.
    @discardableResult
    public func optimize(
        _ pages: Range<HugePageIndex>, writers: Writers = .present
    ) throws(VmemmapError) -> VmemmapError.Residue {
        try perform(.optimize, on: pages, writers)
    }

    /// Gives each vmemmap page of `pages` its own frame again, holding what it showed.
    /// `hugetlb_vmemmap_restore_folios()` in the kernel, `alloc_huge_page_vmemmap()` in v5 patch 11.
    ///
    /// Huge pages that are not optimized are left alone. Needs frames for the tails, and a few mappings to spare;
    /// when the host refuses either, the huge pages stay optimized.
    ///
    /// - Parameters:
    ///   - pages: huge pages of this region.
    ///   - writers: whether struct pages may be written meanwhile.
    /// - Returns: what could not be given back to the host although everything is done. The next operation tries again.
    /// - Throws: `VmemmapError`: nothing is done then, but for what its residue tells.
    @discardableResult
    public func restore(
        _ pages: Range<HugePageIndex>, writers: Writers = .present
    ) throws(VmemmapError) -> VmemmapError.Residue {
        try perform(.restore, on: pages, writers)
    }

    /// Mends what failed operations have left of `pages`: torn huge pages become whole, and what was not given back is.
    /// All others stay in the state they are in. `optimize` and `restore` begin with it too.
    ///
    /// - Returns: what still could not be given back.
    /// - Throws: `VmemmapError`, when the host refuses again to make a huge page whole.
    @discardableResult
    public func mend(_ pages: Range<HugePageIndex>) throws(VmemmapError) -> VmemmapError.Residue {
        try perform(.mend, on: pages, .excluded)
    }

    private func perform(
        _ operation: VmemmapError.Operation, on pages: Range<HugePageIndex>, _ writers: Writers
    ) throws(VmemmapError) -> VmemmapError.Residue {
        try checkRange(pages, operation)
        guard plan.isWorthwhile, !pages.isEmpty else { return VmemmapError.Residue() }
        if !plan.scheme.isRemapped, operation != .mend { throw VmemmapError(operation, .neverRemapped(plan.scheme)) }
        let claim = states.claim(pages)
        // What mending maps or unmaps counts too.
        var mappings = budget.begin()
        // Whatever has used the reserve, the next operation finds it; where there is no room, the next optimize says
        // so.
        defer { try? MappingReserve.process.fill() }
        do throws(HostError) {
            try mendWithReserve(claim, &mappings)
        } catch {
            throw failure(operation, .host(error), pages)
        }
        if operation != .mend {
            // A restore ends with fewer mappings than it began with, and lives on the headroom.
            let needed = operation == .optimize ? states.mappingsToOptimize(pages) : .zero
            try reserve(needed, &mappings, operation, pages)
            let refusal = advance(claim, operation, writers, &mappings)
            if let refusal {
                undo(claim, operation, writers, &mappings)
                throw failure(operation, .host(refusal), pages)
            }
        }
        reclaim(pages)
        return residue(of: pages, isDone: true)
    }

    private func mendWithReserve(
        _ claim: borrowing HugePageStates.Claim, _ mappings: inout MappingBudget.Reservation
    ) throws(HostError) {
        do throws(HostError) {
            try mendTorn(claim, &mappings)
        } catch {
            guard error.code == .outOfMemory, MappingReserve.process.letGo() else { throw error }
            try mendTorn(claim, &mappings)
        }
    }

    /// Makes what earlier failures have torn whole: first the blocks, which other huge pages share.
    private func mendTorn(
        _ claim: borrowing HugePageStates.Claim, _ mappings: inout MappingBudget.Reservation
    ) throws(HostError) {
        try parts.blocks?.mend(around: layout.vmemmap(of: claim.pages))
        while let run = states.nextRun(in: claim.pages, atMost: 1, where: { $0.state.isTorn }),
            let torn = states.entry(run.lowerBound).state.tear
        { try working(on: run, to: .restored, &mappings) { () throws(HostError) in try remapper.mend(torn) } }
    }

    /// Carries the operation out, batch by batch, up to the end or the first refusal.
    private func advance(
        _ claim: borrowing HugePageStates.Claim, _ operation: VmemmapError.Operation, _ writers: Writers,
        _ mappings: inout MappingBudget.Reservation
    ) -> HostError? {
        let length = batchLength(operation, writers)
        var rest = claim.pages
        while let batch = states.nextRun(
            in: rest, atMost: length, where: { $0.isOptimized == (operation == .restore) })
        {
            if let failure = carryOut(operation, batch, writers, isChanged: true, &mappings) { return failure }
            rest = batch.upperBound..<claim.pages.upperBound
        }
        return nil
    }

    /// Takes back what a failed operation has done. Stops where that is refused too: what stays is marked as changed.
    private func undo(
        _ claim: borrowing HugePageStates.Claim, _ operation: VmemmapError.Operation, _ writers: Writers,
        _ mappings: inout MappingBudget.Reservation
    ) {
        let inverse = operation == .restore ? VmemmapError.Operation.optimize : .restore
        let length = batchLength(inverse, writers)
        while let batch = states.nextRun(in: claim.pages, atMost: length, where: { $0.isChanged }) {
            if carryOut(inverse, batch, writers, isChanged: false, &mappings) != nil { break }
        }
        // A second attempt at what the failure left; what still cannot be reclaimed is reported.
        reclaim(claim.pages)
    }

    /// Optimizes or restores a batch, up to the end or the first refusal.
    private func carryOut(
        _ operation: VmemmapError.Operation, _ batch: Range<HugePageIndex>, _ writers: Writers, isChanged: Bool,
        _ mappings: inout MappingBudget.Reservation
    ) -> HostError? {
        let state = operation == .restore ? HugePageState.restored : .optimized
        return working(on: batch, to: state, &mappings) {
            let result = operation == .restore ? restoreWithReserve(batch, writers) : optimizeSplit(batch, writers)
            states.move(batch.prefix(result.completed), to: state, isChanged: isChanged)
            return result.failure
        }
    }

    /// Optimizes a batch, once the blocks that it lies in are split.
    private func optimizeSplit(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        do throws(HostError) {
            try parts.blocks?.split(around: layout.vmemmap(of: batch))
        } catch {
            // Nothing of the batch has been touched; of blocks their owner knows.
            return BatchResult(completed: 0, failure: error)
        }
        return remapper.optimize(batch, writers)
    }

    /// Restores a batch; if the host has no memory or no mapping for it, once more with the reserve's mappings.
    private func restoreWithReserve(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        let first = remapper.restore(batch, writers)
        guard first.failure?.code == .outOfMemory, MappingReserve.process.letGo() else { return first }
        // A page that the first attempt tore is for the next operation to mend.
        let rest = batch.dropFirst(first.completed)
        if rest.contains(where: { states.entry($0).state.isTorn }) { return first }
        let second = remapper.restore(rest, writers)
        return BatchResult(completed: first.completed + second.completed, failure: second.failure)
    }

    /// Neighbours that are copied by one call, and restored by one. Optimized among writers, each is write-protected
    /// only while it is its turn; restored, they are write-protected together.
    private func batchLength(_ operation: VmemmapError.Operation, _ writers: Writers) -> Int {
        operation == .optimize && writers == .present ? 1 : plan.hugePagesAtOnce
    }

    // MARK: The mapping limit

    /// Brings `pages` to a state by `work`, and tells writers, who wait meanwhile, and the budget: of mappings that go
    /// before they do, of new ones after.
    func working<Result, Failure: Error>(
        on pages: Range<HugePageIndex>, to state: HugePageState, _ mappings: inout MappingBudget.Reservation,
        _ work: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let before = states.mappingsMade(by: pages)
        // All that may go; what does not is made again.
        let going = state == .optimized ? .zero : .zero - states.mappings(of: pages)
        if going < .zero { mappings.note(made: going) }
        states.setAtWork(pages, true)
        defer {
            states.setAtWork(pages, false)
            mappings.note(made: states.mappingsMade(by: pages) - before - going)
        }
        return try work()
    }

    /// Sets aside what an operation will map.
    func reserve(
        _ needed: MappingCount, _ mappings: inout MappingBudget.Reservation, _ operation: VmemmapError.Operation,
        _ pages: Range<HugePageIndex>
    ) throws(VmemmapError) {
        if needed == .zero { return }
        do throws(HostError) {
            // It is there unless a refusal has used it up. Before the budget looks, so that it is counted.
            try MappingReserve.process.fill()
        } catch {
            throw failure(operation, .host(error), pages)
        }
        do throws(MappingBudget.Refusal) {
            try mappings.reserve(needed)
        } catch {
            throw failure(operation, .init(error, perHugePage: plan.mappings(.optimized)), pages)
        }
    }

    // MARK: Leftovers

    /// Gives back what operations on `pages` could not give back in passing: now, or when they failed, or earlier.
    private func reclaim(_ pages: Range<HugePageIndex>) {
        var rest = pages
        while let run = states.nextRun(in: rest, atMost: .max, where: \.hasStaleFrames) {
            if (try? parts.frames.release(run)) != nil { states.setStaleFrames(run, false) }
            rest = run.upperBound..<pages.upperBound
        }
        try? parts.memory.orphans.unmapAll()
    }

    /// What is not as it should be, seen from an operation on `pages`.
    private func residue(of pages: Range<HugePageIndex>, isDone: Bool) -> VmemmapError.Residue {
        var residue = states.residue(of: pages, isDone: isDone)
        residue.orphanedBytes = parts.memory.orphans.bytes
        residue.displacedBytes = parts.blocks?.displacedBytes ?? .zero
        return residue
    }

    private func failure(
        _ operation: VmemmapError.Operation, _ cause: VmemmapError.Cause, _ pages: Range<HugePageIndex>
    ) -> VmemmapError {
        VmemmapError(operation, cause, residue: residue(of: pages, isDone: false))
    }
}
