import HostMemory
import VmemmapEmulator

/// The HugeTLB counters written down a second time, from mm/hugetlb.c of Linux 6.18: no struct pages, no frames, no
/// refusals of the host. What the emulated layer is held against where the kernel's own may not be touched.
///
/// Of a huge page it knows only whether its vmemmap is optimized. Memory never runs out.
final class PlainPools: PoolPeer {
    fileprivate struct Pool {
        var total = 0
        var surplus = 0
        /// Whether each huge page that is promised, and not touched, is a file's; the longest promised first.
        var promises: [Bool] = []
        var overcommit = 0
        /// Whether each free huge page is optimized, in the order in which they were freed: the last one is taken next.
        var free: [Bool] = []

        var reserved: Int { promises.count }
        var persistent: Int { total - surplus }
        var available: Int { free.count - reserved }
    }

    let name = "the plain pools"
    /// Vmemmap pages that optimizing a huge page frees.
    private let freedPages: [HugePageSize: Int]
    private var pools: [HugePageSize: Pool] = [:]
    private var used: [Int: (size: HugePageSize, isOptimized: Bool, isPromisedAgain: Bool)] = [:]
    private var taken = 0
    private var isOptimizing = false

    /// Pools of no huge page.
    init(_ scheme: Scheme) {
        freedPages = MachineSizes.x86.hugePages.reduce(into: [:]) { freed, size in
            let geometry = Geometry(basePageSize: HostLimits.pageSize, hugePageSize: size)
            freed[size] = geometry.map { scheme.freedPages($0).rawValue }
        }
    }

    func perform(_ action: PoolAction) -> String {
        switch action {
        case .reset: (pools, used, taken, isOptimizing) = ([:], [:], 0, false)
        case .optimize(let isOn): isOptimizing = isOn
        case .pool(let size, let count, _): change(size) { $0.resize(to: count, isOptimizing) }
        case .overcommit(let size, let count): change(size) { $0.overcommit = count }
        case .allocate(let size):
            guard let page = change(size, { $0.take(isOptimizing) }) else { return "SIGBUS" }
            use(page, size, isPromisedAgain: false)
        case .touch(let size):
            guard let page = change(size, { $0.takeReserved() }) else { return perform(.allocate(size)) }
            use(page.isOptimized, size, isPromisedAgain: !page.isShared)
        case .free(let number):
            guard let page = used.removeValue(forKey: number) else { return "EINVAL" }
            change(page.size) { $0.giveBack(page.isOptimized, isPromisedAgain: page.isPromisedAgain) }
        case .freeAll:
            for (_, page) in used.sorted(by: { $0.key < $1.key }) {
                change(page.size) { $0.giveBack(page.isOptimized, isPromisedAgain: false) }
            }
            used = [:]
        case .reserve(let size, let count, let isShared):
            return change(size) { $0.reserve(count, isShared: isShared, isOptimizing) } ? "ok" : "ENOMEM"
        case .unreserve(let size, let count): change(size) { $0.unreserve(count) }
        case .demote(let size, let count, _): demote(size, count)
        }
        return "ok"
    }

    @discardableResult
    private func change<Value>(_ size: HugePageSize, _ body: (inout Pool) -> Value) -> Value {
        body(&pools[size, default: Pool()])
    }

    private func use(_ isOptimized: Bool, _ size: HugePageSize, isPromisedAgain: Bool) {
        taken += 1
        used[taken] = (size, isOptimized, isPromisedAgain)
    }

    /// `demote_store()`: as many as are free and promised to nobody. Surplus stays what it is.
    private func demote(_ size: HugePageSize, _ count: Int) {
        guard size == .oneGibibyte else { return }
        let parts = size.bytes.rawValue / HugePageSize.twoMebibytes.bytes.rawValue
        for _ in 0..<count where (pools[size]?.available ?? 0) > 0 {
            change(size) { pool in
                pool.free.removeLast()
                pool.total -= 1
            }
            change(.twoMebibytes) { pool in
                pool.total += parts
                pool.free += Array(repeating: isOptimizing, count: parts)
            }
        }
    }

    func counts(expecting expected: PoolCounts) -> PoolCounts {
        var counts = PoolCounts.zero
        var saved = 0
        for (index, size) in MachineSizes.x86.hugePages.enumerated() {
            let pool = pools[size] ?? Pool()
            counts.pools[index].totalPages = pool.total
            counts.pools[index].freePages = pool.free.count
            counts.pools[index].reservedPages = pool.reserved
            counts.pools[index].surplusPages = pool.surplus
            counts.pools[index].nodes = [
                .init(totalPages: pool.total, freePages: pool.free.count, surplusPages: pool.surplus)
            ]
            let optimized = pool.free.count { $0 } + used.values.count { $0.size == size && $0.isOptimized }
            saved += optimized * (freedPages[size] ?? 0)
        }
        counts.memmapChangePages = .value(-saved)
        return counts
    }
}

extension PlainPools.Pool {
    /// `set_max_huge_pages()`.
    fileprivate mutating func resize(to count: Int, _ isOptimizing: Bool) {
        if count > persistent {
            surplus -= min(surplus, count - persistent)
            let added = max(0, count - persistent)
            total += added
            free += Array(repeating: isOptimizing, count: added)
            return
        }
        let least = max(count, reserved + persistent - free.count)
        let removed = max(0, min(persistent - least, free.count))
        free.removeLast(removed)
        total -= removed
        surplus += max(0, persistent - count)
    }

    /// `alloc_hugetlb_folio()` without a reservation.
    fileprivate mutating func take(_ isOptimizing: Bool) -> Bool? {
        if available > 0 { return free.popLast() }
        guard surplus < overcommit else { return nil }
        total += 1
        surplus += 1
        return isOptimizing
    }

    /// The same with one.
    fileprivate mutating func takeReserved() -> (isOptimized: Bool, isShared: Bool)? {
        if promises.isEmpty { return nil }
        let isShared = promises.removeFirst()
        return free.popLast().map { ($0, isShared) }
    }

    /// `free_huge_folio()`. What a mapping that stays had reserved is promised to it again, unless there is surplus
    /// (`__unmap_hugepage_range()`).
    fileprivate mutating func giveBack(_ isOptimized: Bool, isPromisedAgain: Bool) {
        if isPromisedAgain, surplus == 0 { promises.append(false) }
        if surplus > 0 {
            total -= 1
            surplus -= 1
        } else {
            free.append(isOptimized)
        }
    }

    /// `hugetlb_acct_memory()` and `gather_surplus_pages()`. All of them or none.
    fileprivate mutating func reserve(_ count: Int, isShared: Bool, _ isOptimizing: Bool) -> Bool {
        let missing = max(0, count - available)
        guard missing == 0 || surplus + missing <= overcommit else { return false }
        total += missing
        surplus += missing
        free += Array(repeating: isOptimizing, count: missing)
        promises += Array(repeating: isShared, count: count)
        return true
    }

    /// `return_unused_surplus_pages()`.
    fileprivate mutating func unreserve(_ count: Int) {
        let taken = min(count, reserved)
        let removed = min(taken, surplus, free.count)
        promises.removeLast(taken)
        free.removeLast(removed)
        total -= removed
        surplus -= removed
    }
}
