import HostMemory
import Synchronization

/// What became of a request for a pool of a certain size.
public struct PoolChange: Hashable, Sendable {
    /// The size asked for.
    public let asked: HugePageCount
    /// The size it has now (nr_hugepages), of the node if one was named.
    public let got: HugePageCount
    /// What stood in the way, if anything did: the pool has what there is, which is no failure.
    public let refusal: HugeTLBError?
    /// New huge pages that are used as they are, because their vmemmap could not be optimized.
    public let notOptimized: HugePageCount
    /// Why the first of them was not.
    public let optimizeRefusal: HugeTLBError?
    /// Gigantic pages that were taken at boot and given back, because they lay in two zones.
    package var discarded = HugePageCount(0)
}

// The pool's size: what happens when somebody writes to nr_hugepages (`set_max_huge_pages()`).
extension EmulatedMachine {
    /// Huge pages that are taken, prepared and optimized in one go.
    private static let batch = 1024

    /// Grows or shrinks the pool to `asked` huge pages, or as close as possible; every page in it is usable.
    ///
    /// Growing first makes surplus pages the pool's own. Shrinking gives free pages back until the pool's own, which
    /// surplus pages are not, are as many as asked for; pages in use that are too many become surplus, and go when they
    /// are freed. A page that cannot be restored is surplus from then on. Asked for the size that it has, the pool does
    /// nothing.
    ///
    /// - Parameters:
    ///   - size: the size of huge page, which names the pool.
    ///   - asked: the number of huge pages that the pool is to have.
    ///   - node: the node whose part of the pool is meant; nil: all of them.
    ///   - progress: called with the pool's size after every batch of huge pages.
    /// - Throws: `HugeTLBError` for a number below 0, a node or a size that there is not, and for shrinking a pool that
    ///   keeps its pages. Memory that is not there is no error: what there is, is told.
    @discardableResult
    public func setPool(
        _ size: HugePageSize, to asked: HugePageCount, onNode node: Int? = nil,
        progress: (HugePageCount) -> Void = { _ in }
    ) throws(HugeTLBError) -> PoolChange {
        _ = try view(size)
        guard asked >= .zero else { throw HugeTLBError(.unusableCount(asked)) }
        let allowed = try nodes(node)
        return try resizing.withLock { (_) throws(HugeTLBError) in
            mendSetAside()
            let state = pool(size)
            let persistent = state.persistent
            // A count for one node is one for all of them: what the others have stays (node_hstate).
            let others = node.map { persistent - state.nodes[$0].persistent } ?? .zero
            let wish = asked.adding(others)
            if configuration.keepsPages, wish < persistent { throw HugeTLBError(.keepsPages) }
            let prepared =
                wish > persistent
                ? grow(size, to: wish, allowed, progress) : shrink(size, to: wish, allowed, progress)
            return PoolChange(
                asked: asked, got: node.map { pool(size).nodes[$0].persistent } ?? pool(size).persistent,
                refusal: prepared.refusal, notOptimized: prepared.notOptimized.count,
                optimizeRefusal: prepared.notOptimized.first)
        }
    }

    /// The same at boot. Zones do not matter to who takes memory then, from the lowest on: a gigantic page that lies in
    /// two of them is given back afterwards (`hugetlb_bootmem_page_zones_valid()`), and its vmemmap stays as it is.
    @discardableResult
    package func setPoolAtBoot(
        _ size: HugePageSize, to asked: HugePageCount, onNode node: Int? = nil,
        progress: (HugePageCount) -> Void = { _ in }
    ) throws(HugeTLBError) -> PoolChange {
        guard size == configuration.sizes.gigantic, let across = configuration.giganticAcrossZones,
            let view = views[size], view.layout.allHugePages.contains(across)
        else { return try setPool(size, to: asked, onNode: node, progress: progress) }
        let first = view.layout.geometry.headFrame(of: across)
        let frames = first..<first.advanced(by: view.layout.geometry.basePagesPerHugePage)
        let isTaken = facts.withLock { asked.rawValue > $0.zones[0].freeGigantic && $0.isUnused(frames) }
        let discarded = HugePageCount(isTaken ? 1 : 0)
        let change = try setPool(size, to: asked - discarded, onNode: node, progress: progress)
        return PoolChange(
            asked: asked, got: change.got, refusal: change.refusal, notOptimized: change.notOptimized,
            optimizeRefusal: change.optimizeRefusal, discarded: discarded)
    }

    /// The nodes that are meant.
    func nodes(_ node: Int?) throws(HugeTLBError) -> Range<Int> {
        guard let node else { return 0..<configuration.nodes }
        guard (0..<configuration.nodes).contains(node) else { throw HugeTLBError(.noSuchNode(node)) }
        return node..<(node + 1)
    }

    /// Takes all memory that is missing, a batch after the other, and makes it the pool's at the end, so that the first
    /// that was taken is the first that is given out (`prep_and_add_allocated_folios()`).
    private func grow(
        _ size: HugePageSize, to wish: HugePageCount, _ allowed: Range<Int>, _ progress: (HugePageCount) -> Void
    ) -> PreparedPages {
        facts.withLock { facts in facts.change(size) { $0.adopt(upTo: wish, allowed) } }
        var prepared = PreparedPages()
        while prepared.refusal == nil {
            let now = pool(size).persistent + HugePageCount(prepared.ready.count)
            progress(now)
            if now >= wish { break }
            let count = min(Self.batch, (wish - now).rawValue)
            let pages = takeFromMemory(size, atMost: count, allowed)
            prepare(pages, size, &prepared)
            if pages.count < count { prepared.refusal = prepared.refusal ?? HugeTLBError(.noContiguousMemory(size)) }
        }
        enterPool(prepared.ready.reversed(), size) { $0.addFree($1) }
        return prepared
    }

    private func shrink(
        _ size: HugePageSize, to wish: HugePageCount, _ allowed: Range<Int>, _ progress: (HugePageCount) -> Void
    ) -> PreparedPages {
        let (removed, before) = facts.withLock { facts in
            facts.change(size) { state in
                let (least, before) = (max(wish, state.least), state.persistent)
                var removed: [HugePageIndex] = []
                while state.persistent > least, let page = state.removeNext(allowed, isSurplus: false) {
                    removed.append(page)
                }
                // Those in use that are too many. In the same step: one that is freed after it goes.
                state.disown(downTo: wish, allowed)
                return (removed, before)
            }
        }
        let refusal = giveToMemory(removed.reversed(), size) { progress(before - HugePageCount($0)) }
        return PreparedPages(refusal: refusal)
    }
}

extension HugePageCount {
    /// The sum, or the largest number there is.
    func adding(_ other: HugePageCount) -> HugePageCount {
        let (sum, overflow) = rawValue.addingReportingOverflow(other.rawValue)
        return HugePageCount(overflow ? .max : sum)
    }
}
