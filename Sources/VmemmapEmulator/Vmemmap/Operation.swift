internal import HostMemory

/// Whether somebody may write to struct pages while their huge page is optimized or restored.
public enum Writers: Sendable {
    /// Nobody: the caller owns the huge pages exclusively, as the pool does when it prepares one.
    case excluded
    /// Somebody may, through ``VmemmapRegion/addToRefcount(of:_:)``: vmemmap pages are write-protected before they
    /// are copied, so that no update falls between the copy and the replacement.
    case present
}

/// What became of a batch of neighbouring huge pages.
struct BatchResult {
    /// How many of them, from the first on, have reached the new state. The others are as they were, or marked
    /// incomplete.
    var completed: Int
    /// Why the rest has not.
    var failure: HostError?
}

extension VmemmapRegion {
    /// Replaces the tail vmemmap pages of `pages` as the plan says, and gives their frames back to the host.
    /// `hugetlb_vmemmap_optimize_folios()` in the kernel, `free_huge_page_vmemmap()` in v5 patch 9.
    ///
    /// Huge pages that are optimized already are left alone. Everything or nothing: the mappings are set aside before
    /// the first is made, and what was replaced before a refusal is put back. Huge pages that an earlier failure has left
    /// incomplete are mended first, and so restored, even if the operation fails then.
    ///
    /// - Parameters:
    ///   - pages: huge pages of this region, whose tail vmemmap pages hold equal bytes, as the prep leaves them.
    ///   - writers: whether struct pages may be written meanwhile.
    /// - Throws: `VmemmapError`; its residue tells what could not be put back.
    public func optimize(_ pages: Range<HugePageIndex>, writers: Writers = .excluded) throws(VmemmapError) {
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
    /// - Throws: `VmemmapError`; its residue tells what could not be put back.
    public func restore(_ pages: Range<HugePageIndex>, writers: Writers = .excluded) throws(VmemmapError) {
        try perform(.restore, on: pages, writers)
    }

    /// Mends what failed operations have left of `pages`: incomplete huge pages are restored, and what was not given back is. All
    /// others stay in the state they are in. ``optimize(_:writers:)`` and ``restore(_:writers:)`` begin with it too.
    ///
    /// - Throws: `VmemmapError`, when the host refuses again.
    public func mend(_ pages: Range<HugePageIndex>) throws(VmemmapError) {
        let pages = pages.clamped(to: layout.allHugePages)
        guard plan.isWorthwhile, !pages.isEmpty else { return }
        ledger.begin(pages)
        defer { ledger.end(pages) }
        let before = mappings(of: pages)
        defer { budget.settle(reserved: .zero, made: mappings(of: pages) - before) }
        do throws(HostError) {
            try mendIncomplete(pages)
            try reclaimLeftovers(pages)
        } catch {
            throw failure(.restore, .host(error), pages)
        }
    }

    private func perform(
        _ operation: VmemmapError.Operation, on pages: Range<HugePageIndex>, _ writers: Writers
    ) throws(VmemmapError) {
        let pages = pages.clamped(to: layout.allHugePages)
        guard plan.isWorthwhile, !pages.isEmpty else { return }
        ledger.begin(pages)
        defer { ledger.end(pages) }
        do throws(HostError) {
            try mendIncomplete(pages)
            try reclaimLeftovers(pages)
        } catch {
            throw failure(operation, .host(error), pages)
        }
        let before = mappings(of: pages)
        // A restore ends with fewer mappings than it began with, and lives on the headroom.
        let needed = operation == .optimize ? plan.mappings(.optimized) * pages.count - before : .zero
        let reserved = try reserve(needed, operation, pages)
        let refusal = advance(pages, operation, writers)
        if refusal != nil { undo(pages, operation, writers) }
        // A restore leaves room for it again; where there is none, the next optimize says so.
        try? MappingReserve.process.fill()
        budget.settle(reserved: reserved, made: mappings(of: pages) - before)
        if let refusal { throw failure(operation, .host(refusal), pages) }
        do throws(HostError) {
            try reclaimLeftovers(pages)
        } catch {
            throw failure(operation, .host(error), pages)
        }
    }

    /// Carries the operation out, batch by batch, up to the end or the first refusal.
    private func advance(
        _ pages: Range<HugePageIndex>, _ operation: VmemmapError.Operation, _ writers: Writers
    ) -> HostError? {
        let length = batchLength(writers)
        var rest = pages
        while let batch = ledger.nextRun(
            in: rest, atMost: length, where: { ($0.state == .optimized) == (operation == .restore) })
        {
            let result = operation == .restore ? restoreWithReserve(batch, writers) : optimizeBatch(batch, writers)
            ledger.mark(batch.prefix(result.completed), operation == .restore ? .restored : .optimized)
            if let failure = result.failure { return failure }
            rest = batch.upperBound..<pages.upperBound
        }
        return nil
    }

    /// Takes back what a failed operation has done. Stops where that is refused too: what stays is marked as changed.
    private func undo(
        _ pages: Range<HugePageIndex>, _ operation: VmemmapError.Operation, _ writers: Writers
    ) {
        let length = batchLength(writers)
        while let batch = ledger.nextRun(in: pages, atMost: length, where: { $0.isChanged }) {
            let result = operation == .restore ? optimizeBatch(batch, writers) : restoreWithReserve(batch, writers)
            ledger.mark(
                batch.prefix(result.completed), operation == .restore ? .optimized : .restored, isChanged: false)
            if result.failure != nil { break }
        }
        // A second attempt at what the failure left; what still cannot be reclaimed is reported.
        try? reclaimLeftovers(pages)
    }

    /// Restores a batch; if the host has no memory or no mapping for it, once more with the reserve's mappings.
    private func restoreWithReserve(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult {
        let first = restoreBatch(batch, writers)
        guard first.failure?.code == .outOfMemory, MappingReserve.process.letGo() else { return first }
        // A page that the first attempt left incomplete is for the next operation to mend.
        let rest = batch.dropFirst(first.completed)
        guard rest.first.map({ !ledger.entry($0).isIncomplete }) ?? false else { return first }
        let second = restoreBatch(rest, writers)
        return BatchResult(completed: first.completed + second.completed, failure: second.failure)
    }

    /// Neighbours that are copied by one call and staged in one mapping. With writers, each is write-protected only
    /// while it is its turn.
    private func batchLength(_ writers: Writers) -> Int {
        switch writers {
        case .present: 1
        case .excluded: max(1, min(64, 512 / plan.replacedPages.count))
        }
    }

    // MARK: The mapping limit

    /// Mappings that huge pages add in the states they are in.
    func mappings(of pages: Range<HugePageIndex>) -> MappingCount {
        plan.mappings(.optimized) * ledger.count(in: pages, where: { $0.state == .optimized }).rawValue
            + plan.mappings(.restored) * ledger.count(in: pages, where: { $0.state == .restored }).rawValue
    }

    /// Sets aside what an operation will map.
    func reserve(
        _ needed: MappingCount, _ operation: VmemmapError.Operation, _ pages: Range<HugePageIndex>
    ) throws(VmemmapError) -> MappingCount {
        if needed == .zero { return .zero }
        do throws(HostError) {
            // It is there unless a refusal has used it up. Before the budget looks, so that it is counted.
            try MappingReserve.process.fill()
        } catch {
            throw failure(operation, .host(error), pages)
        }
        do throws(MappingBudget.Refusal) {
            try budget.reserve(needed)
        } catch {
            switch error {
            case .unknown(let error): throw failure(operation, .host(error), pages)
            case .exceeded(let exceeded):
                let largest = HugePageCount(exceeded.free.rawValue / plan.mappings(.optimized).rawValue)
                throw failure(operation, .mappingLimit(exceeded, largest: largest), pages)
            }
        }
        return needed
    }

    // MARK: Leftovers

    /// Gives back what an operation on `pages` could not give back in passing: now, or when it failed, or earlier.
    private func reclaimLeftovers(_ pages: Range<HugePageIndex>) throws(HostError) {
        while let run = ledger.nextRun(in: pages, atMost: .max, where: \.hasStaleFrames) {
            try frames.release(run)
            ledger.setStaleFrames(run, false)
        }
        while let orphan = ledger.takeOrphan() {
            do throws(HostError) {
                try HostKernel.unmap(orphan)
            } catch {
                ledger.addOrphan(orphan)
                throw error
            }
        }
    }

    private var staleFramesPerHugePage: PageCount {
        switch plan.backing {
        case .anonymous: plan.sharedFramesPerHugePage
        case .memfd: PageCount(plan.freedPages.count)
        }
    }

    private func failure(
        _ operation: VmemmapError.Operation, _ cause: VmemmapError.Cause, _ pages: Range<HugePageIndex>
    ) -> VmemmapError {
        var residue = ledger.residue(of: pages, framesPerHugePage: staleFramesPerHugePage)
        residue.displacedBytes = hugeBase?.displacedBytes ?? .zero
        return VmemmapError(operation, cause, residue: residue)
    }
}
