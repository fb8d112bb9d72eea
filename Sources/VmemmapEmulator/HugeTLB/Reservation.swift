import HostMemory
import Synchronization

// Huge pages promised to somebody before they are taken, as mmap does it (`hugetlb_acct_memory()`).
extension EmulatedMachine {
    /// Promises huge pages: free ones, and where they are too few, surplus pages made for this, within
    /// nr_overcommit_hugepages (`gather_surplus_pages()`). All of them or none.
    ///
    /// - Throws: when a surplus page may not or cannot be made. Those made before it go back to the page allocator
    ///   then; a machine that keeps its pages has them in its pool.
    public func reserve(_ size: HugePageSize, _ count: HugePageCount) throws(HugeTLBError) {
        _ = try view(size)
        guard count >= .zero else { throw HugeTLBError(.unusableCount(count)) }
        var gathered: [HugePageIndex] = []
        var refusal: HugeTLBError?
        while let missing = promise(size, count, &gathered, &refusal) {
            if let refusal {
                for page in gathered { letGo(page, size) }
                throw refusal
            }
            do throws(HugeTLBError) {
                for _ in 0..<missing.rawValue { gathered.append(try makeSurplus(size)) }
            } catch {
                // Not the last word: somebody may have freed a page meanwhile.
                refusal = error
            }
        }
        // Or freed so many that some are not needed any more.
        for page in gathered { letGo(page, size) }
    }

    /// Promises `count` huge pages if the free ones and the gathered ones are enough, and makes as many of the latter
    /// free as it takes: in one step, so that nobody takes them before they are promised.
    ///
    /// - Parameter refusal: set where the cgroup may not have as many.
    /// - Returns: how many are missing, and nothing is done; nil if none is.
    private func promise(
        _ size: HugePageSize, _ count: HugePageCount, _ gathered: inout [HugePageIndex],
        _ refusal: inout HugeTLBError?
    ) -> HugePageCount? {
        facts.withLock { facts in
            if !facts.change(size, { $0.cgroup.allowsReserving(count, $0) }) {
                refusal = HugeTLBError(.cgroupReservationLimit(size))
                return count
            }
            let available = facts.change(size) { $0.available }
            let missing = count - available - HugePageCount(gathered.count)
            if missing > .zero { return missing }
            facts.change(size) { $0.reserved += count }
            let needed = gathered.suffix(max(0, (count - available).rawValue))
            // The one that was made last is enqueued first.
            enterPool(needed.reversed(), size, &facts) { $0.enqueue($1) }
            gathered.removeLast(needed.count)
            return nil
        }
    }

    /// Takes a promise back, or what there is of it (of a count below 0, or a size that this machine has not, nothing),
    /// and gives as many surplus pages that nobody needs for it any more to the page allocator
    /// (`return_unused_surplus_pages()`).
    public func unreserve(_ size: HugePageSize, _ count: HugePageCount) {
        guard views[size] != nil else { return }
        // In one step: whoever came in between would be promised, or given, the page that goes.
        let unused = facts.withLock { facts in
            facts.change(size) { state -> [HugePageIndex] in
                let taken = max(.zero, min(count, state.reserved))
                state.reserved -= taken
                if configuration.keepsPages { return [] }
                let allowed = 0..<configuration.nodes
                var unused: [HugePageIndex] = []
                while unused.count < taken.rawValue, let page = state.removeNext(allowed, isSurplus: true) {
                    unused.append(page)
                }
                return unused
            }
        }
        // What cannot be restored is the pool's again, and counted.
        giveToMemory(unused.reversed(), size)
    }
}
