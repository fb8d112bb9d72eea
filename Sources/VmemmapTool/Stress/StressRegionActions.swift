import HostMemory
import Synchronization
import VmemmapEmulator

// What workers do to the region itself: optimize and restore, each its own huge pages, and all of them the same ones.
extension StressWorker {
    func carryOut(_ action: StressOperation.Action, _ state: inout State) -> StressOutcome {
        switch action {
        case .optimize(let span): change(span, .optimize)
        case .restore(let span): change(span, .restore)
        case .cycle(let span):
            switch change(span, .optimize) {
            case .region(let error): .region(error)
            default: change(span, .restore)
            }
        default: carryOutOnMachine(action, &state)
        }
    }

    private enum Change {
        case optimize, restore
    }

    private func change(_ span: StressOperation.Span, _ change: Change) -> StressOutcome {
        let region = setUp.region
        let own = setUp.ownPages(of: number)
        let isOwn = span.isOwn && !own.isEmpty
        let pool = isOwn ? own : setUp.contendedPages
        let start = pool.lowerBound + Self.place(span.position, pool.count)
        let end = min(pool.upperBound, start + span.length)
        let pages = HugePageIndex(start)..<HugePageIndex(end)
        let writers: Writers = span.hasWriters ? .present : .excluded
        let before = isOwn ? Array(region.hugePageStates[start..<end]) : []
        let began = HostKernel.monotonicNanoseconds()
        var refusal: VmemmapError?
        do throws(VmemmapError) {
            switch change {
            case .optimize: try region.optimize(pages, writers: writers)
            case .restore: try region.restore(pages, writers: writers)
            }
        } catch {
            refusal = error
        }
        setUp.counters.remapNanoseconds.count(HostKernel.monotonicNanoseconds() - began)
        // Only of one's own pages can one say what they must be now.
        if isOwn { check(pages, before, change, refusal) }
        return refusal.map { .region($0) } ?? .done
    }

    /// After success every page is as asked for; after a failure as before, but for what the error names. One that an
    /// earlier failure had torn may have been mended first, which restores it.
    private func check(
        _ pages: Range<HugePageIndex>, _ before: [HugePageState], _ change: Change, _ refusal: VmemmapError?
    ) {
        setUp.counters.looked(at: .operationIsWhole)
        let torn = Set((refusal?.residue.torn ?? []).map(\.page))
        let states = setUp.region.hugePageStates
        for (page, before) in zip(pages, before) where !torn.contains(page) {
            let state = states[page.rawValue]
            let isChanged = refusal?.residue.notPutBack.contains { $0.contains(page) } ?? true
            let expected = isChanged ? change == .optimize : before == .optimized
            let isMended = before.isTorn && state == .restored
            if (state == .optimized) == expected || isMended, !state.isTorn { continue }
            setUp.report(
                StressFinding(
                    .operationIsWhole,
                    "\(change) of huge pages \(pages.numbers) by worker \(number): \(page) was \(before) and is "
                        + "\(state); the error: \(refusal.map { "\($0)" } ?? "none")",
                    StressFinding.Place(region: setUp.region, page: page)))
            return
        }
    }

    /// A fraction of `count`, 2³² being all of it.
    static func place(_ fraction: UInt32, _ count: Int) -> Int { Int(UInt64(fraction) * UInt64(count) >> 32) }
}
