import HostMemory
import Synchronization

/// Huge pages whose vmemmap could not be optimized.
struct OptimizeRefusals {
    /// How many.
    private(set) var count = HugePageCount(0)
    /// Why the first was not.
    private(set) var first: HugeTLBError?
    /// vm.max_map_count, once it has stood in the way. Each attempt counts all mappings then, and little is likely to
    /// come free while more pages are taken.
    private(set) var atLimit: HugeTLBError?

    mutating func add(_ pages: Int, _ refusal: HugeTLBError) {
        count += HugePageCount(pages)
        first = first ?? refusal
        if refusal.isMappingLimit { atLimit = refusal }
    }
}

// The vmemmap of the pool's huge pages, and what it takes and gives: frames of the budget, page tables, and frames of
// boot memory and of the page allocator.
extension EmulatedMachine {
    // MARK: Optimizing

    /// Optimizes the vmemmap of new huge pages if new ones are (`hugetlb_vmemmap_optimize_folios()`): neighbours at
    /// once, and one by one where that is refused.
    ///
    /// - Returns: those that could not be, and why. As in the kernel they are used as they are.
    func optimize(
        _ pages: [HugePageIndex], _ size: HugePageSize, _ refusals: inout OptimizeRefusals
    ) -> [HugePageIndex: HugeTLBError] {
        let (isOptimizing, memory) = facts.withLock { ($0.isOptimizing, $0.memoryBlocks) }
        guard let view = views[size], view.plan.isWorthwhile, isOptimizing else { return [:] }
        var refused: [HugePageIndex: HugeTLBError] = [:]
        // Vmemmap that lies in the memory that it describes is left alone (`vmemmap_optimizable_folio()`).
        let optimizable = pages.filter { !memory.isSelfHosted(view.layout.geometry.headFrame(of: $0)) }
        for run in optimizable.neighbours { optimize(run, view, &refused, &refusals) }
        return refused
    }

    private func optimize(
        _ run: Range<HugePageIndex>, _ view: VmemmapRegion, _ refused: inout [HugePageIndex: HugeTLBError],
        _ refusals: inout OptimizeRefusals
    ) {
        guard let refusal = refusals.atLimit ?? optimizeAtOnce(run, view) else { return }
        let fitting = refusal.mappingsSuffice(for: run.count)
        if refusals.atLimit == nil, run.count > 1, fitting != 0 {
            for part in fitting.map({ run.parts($0) }) ?? run.map(\.alone) {
                optimize(part, view, &refused, &refusals)
            }
            return
        }
        for page in run { refused[page] = refusal }
        refusals.add(run.count, refusal)
        facts.withLock { facts in
            facts.optimizeFailures += run.count
            if refusal.isMappingLimit { facts.mappingLimitFailures += run.count }
            if refusal.isLackOfMemory { facts.memoryFailures += run.count }
        }
    }

    /// - Returns: why not all of them are optimized.
    private func optimizeAtOnce(_ run: Range<HugePageIndex>, _ view: VmemmapRegion) -> HugeTLBError? {
        let pages = run.filter { !view.states.state(of: $0).wasOptimized }
        if pages.isEmpty { return nil }
        // Before anything is split, the page tables for all of it (v5 patch 5); what others have split already goes
        // back.
        let deposit = pages.reduce(PageCount.zero) { $0 + PageCount(pmds(of: $1, view).count) }
        let isDeposited = facts.withLock { $0.budget?.take(deposit) ?? true }
        guard isDeposited else { return HugeTLBError(.pageTables(needed: deposit)) }
        var refusal: HugeTLBError?
        do throws(VmemmapError) {
            try view.optimize(run, writers: .excluded)
        } catch {
            refusal = HugeTLBError(.vmemmap(error))
        }
        // What could not be put back after a refusal is optimized, too.
        let optimized = refusal == nil ? pages : pages.filter { view.states.state(of: $0).wasOptimized }
        let freed = PageCount(view.plan.freedPages.count) * optimized.count
        facts.withLock { facts in
            var taken = 0
            for page in optimized {
                facts.origins.release(freedPages(of: page, view))
                if view.plan.movesHead { facts.origins.replace(firstPage(of: page, view)) }
                taken += facts.deposits.withdraw(pmds(of: page, view))
            }
            facts.budget?.give(deposit - PageCount(taken) + freed)
        }
        return refusal
    }

    // MARK: Restoring

    /// Gives each vmemmap page of huge pages its frame again (`hugetlb_vmemmap_restore_folios()`), waiting for memory
    /// if that is how the machine is configured: for a while, since nobody might ever give any back.
    ///
    /// - Parameters:
    ///   - pages: in the order in which they are restored where there is not memory for all.
    ///   - size: their size.
    ///   - freed: frames that the same operation has freed.
    ///   - end: when waiting ends.
    /// - Returns: how many of them, from the first on, have their frames; and why the next one has not.
    func restore(
        _ pages: [HugePageIndex], _ size: HugePageSize, _ freed: inout PageCount, until end: Int
    ) -> (count: Int, refusal: HugeTLBError?) {
        guard let view = views[size] else { return (0, HugeTLBError(.noSuchSize(size))) }
        if pages.count > 1, suffices(for: pages, view, freed) {
            // What is refused is as it was.
            let isDone = pages.neighbours.allSatisfy { restoreAtOnce($0, view, &freed) == nil }
            if isDone { return (pages.count, nil) }
        }
        for (count, page) in pages.enumerated() {
            while let refusal = restoreAtOnce(page.alone, view, &freed) {
                if configuration.restoreFailure == .surplus || HostKernel.monotonicNanoseconds() > end {
                    return (count, refusal)
                }
                HostKernel.sleep(nanoseconds: 1_000_000)
            }
        }
        return (pages.count, nil)
    }

    /// Whether there are frames for all of some huge pages.
    private func suffices(for pages: [HugePageIndex], _ view: VmemmapRegion, _ freed: PageCount) -> Bool {
        guard let left = facts.withLock({ $0.budget?.left }) else { return true }
        return left.rawValue / pages.count >= view.plan.freedPages.count
            || left + freed >= PageCount(view.plan.freedPages.count * pages.count)
    }

    /// When a restore that begins now has waited long enough.
    func endOfWaiting() -> Int { HostKernel.monotonicNanoseconds() + MachineConfiguration.longestWaitNanoseconds }

    /// - Returns: why not all of them are restored.
    private func restoreAtOnce(
        _ run: Range<HugePageIndex>, _ view: VmemmapRegion, _ freed: inout PageCount
    ) -> HugeTLBError? {
        // One that was torn before its frames were given back has them.
        let states = run.map { ($0, view.states.state(of: $0)) }
        let pages = states.filter { $0.1.wasOptimized }.map(\.0)
        if pages.isEmpty, !states.contains(where: { $0.1.isTorn }) { return nil }
        let perPage = PageCount(view.plan.freedPages.count)
        let (needed, atFirst) = (perPage * pages.count, freed)
        let shortage = facts.withLock { facts -> HugeTLBError? in
            guard let left = facts.budget?.left, facts.budget?.take(needed, orOf: &freed) == false else { return nil }
            return HugeTLBError(.frameBudget(needed: needed, left: left))
        }
        if let shortage { return shortage }
        var refusal: HugeTLBError?
        do throws(VmemmapError) {
            try view.restore(run, writers: .excluded)
        } catch {
            refusal = HugeTLBError(.vmemmap(error))
        }
        // What could not be put back after a refusal is restored, too.
        let restored = refusal == nil ? pages : pages.filter { !view.states.state(of: $0).wasOptimized }
        let unused = needed - perPage * restored.count
        let back = min(unused, atFirst - freed)
        freed += back
        facts.withLock { facts in
            facts.budget?.give(unused - back)
            for page in restored { facts.origins.restore(freedPages(of: page, view)) }
            if view.plan.mergesOnRestore {
                let merged = restored.reduce(0) { $0 + facts.deposits.merge(pmds(of: $1, view)) }
                facts.budget?.give(PageCount(merged))
            }
        }
        return refusal
    }

    // MARK: Vmemmap pages, by their numbers in the region

    private func freedPages(of page: HugePageIndex, _ view: VmemmapRegion) -> Range<Int> {
        let first = firstPage(of: page, view)
        let perPage = view.plan.geometry.vmemmapPagesPerHugePage.rawValue
        return (first + view.plan.freedPages.lowerBound.rawValue)..<(first + perPage)
    }

    private func firstPage(of page: HugePageIndex, _ view: VmemmapRegion) -> Int {
        page.rawValue * view.plan.geometry.vmemmapPagesPerHugePage.rawValue
    }

    /// The PMDs that map the vmemmap of a huge page: a part of one, or eight; none where PMDs map no vmemmap.
    private func pmds(of page: HugePageIndex, _ view: VmemmapRegion) -> Range<Int> {
        guard configuration.sizes.mapsVmemmapByPMDs else { return 0..<0 }
        let pagesPerPmd = view.plan.geometry.pagesPerPmd
        let first = firstPage(of: page, view)
        let end = first + view.plan.geometry.vmemmapPagesPerHugePage.rawValue
        return (first / pagesPerPmd)..<((end - 1) / pagesPerPmd + 1)
    }
}

extension HugeTLBError {
    /// For how many of `count` huge pages the mappings suffice, if their number is what stands in the way.
    fileprivate func mappingsSuffice(for count: Int) -> Int? {
        guard case .vmemmap(let error) = cause, case .mappingLimit(_, _, _, let largest) = error.cause else {
            return nil
        }
        return max(0, min(largest.rawValue, count - 1))
    }
}

extension Range<HugePageIndex> {
    /// The first `count`, which are not all, and the others.
    fileprivate func parts(_ count: Int) -> [Range<HugePageIndex>] {
        let middle = lowerBound.advanced(by: count)
        return [lowerBound..<middle, middle..<upperBound]
    }
}

extension [HugePageIndex] {
    /// Runs of neighbours, in order.
    fileprivate var neighbours: [Range<HugePageIndex>] {
        sorted().reduce(into: []) { runs, page in
            if let last = runs.last, last.upperBound == page {
                runs[runs.count - 1] = last.lowerBound..<page.advanced(by: 1)
            } else {
                runs.append(page.alone)
            }
        }
    }
}
