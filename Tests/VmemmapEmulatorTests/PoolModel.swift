import HostMemory
import VmemmapEmulator

/// The HugeTLB layer written a second time, from its documentation and without struct pages: what every operation does,
/// which huge page it takes, when it is refused and why, and every count there is. Pure.
///
/// For machines mapped by PTEs. A machine that puts work off agrees with it once it is flushed, if every restore has
/// its frames.
struct PoolModel {
    /// The pool of one size.
    struct Pool {
        var total = 0
        var surplus = 0
        var reserved = 0
        var overcommit = 0
        /// In the order in which they were freed; the last one is taken next.
        var free: [Int] = []
        var active: Set<Int> = []

        var available: Int { free.count - reserved }
        var persistent: Int { total - surplus }
    }

    /// What optimizing a huge page of one size does.
    struct Shape {
        let blocks: Int
        let vmemmapPages: Int
        let freedPages: Int
        /// Page tables that splitting may take.
        let deposit: Int
    }

    typealias Refusal = HugeTLBError.Cause

    let manner: MachineConfiguration.RestoreFailure
    let blocks: Int
    let zones: [Range<Int>]
    let shapes: [HugePageSize: Shape]
    var pools: [HugePageSize: Pool]
    /// What each 2 MiB block is part of; nil: free.
    var owners: [HugePageSize?]
    /// Base pages with memory errors.
    var errors: Set<Int> = []
    var optimized: [HugePageSize: Set<Int>] = [:]
    var isOptimizing: Bool
    var budget: Int?
    var splitPmds: Set<Int> = []
    /// Vmemmap pages whose frame from boot memory has been given back for good.
    var withoutBootFrame: Set<Int> = []
    let isHeadMoved: Bool
    var optimizeFailures = 0
    var restoreFailures = 0

    init(_ machine: EmulatedMachine) {
        let configuration = machine.configuration
        manner = configuration.restoreFailure
        isOptimizing = configuration.optimizesAtBoot
        isHeadMoved = configuration.scheme == .head
        blocks = configuration.memory.rawValue >> 21
        // Cut in the middle, where a gigantic page would be.
        let cut = (blocks / 512 + 1) / 2 * 512
        zones = blocks < 1024 ? [0..<blocks] : [0..<cut, cut..<blocks]
        shapes = MachineSizes.x86.hugePages.reduce(into: [:]) { shapes, size in
            guard let plan = machine.region(size)?.plan else { return }
            let pages = plan.geometry.vmemmapPagesPerHugePage.rawValue
            shapes[size] = Shape(
                blocks: size.bytes.rawValue >> 21, vmemmapPages: pages, freedPages: plan.freedPages.count,
                deposit: max(1, pages / 512))
        }
        pools = shapes.mapValues { _ in Pool() }
        owners = Array(repeating: nil, count: blocks)
    }

    // MARK: What there is

    var freePages: Int {
        owners.count { $0 == nil } * 512 - errors.count { owners[$0 / 512] == nil }
    }

    /// Vmemmap pages that show another's frame.
    var freedPages: Int { optimized.reduce(0) { $0 + $1.value.count * (shapes[$1.key]?.freedPages ?? 0) } }

    var bootPages: Int { blocks * 8 - withoutBootFrame.count }

    /// The frame numbers of a huge page.
    func frames(_ page: Int, _ size: HugePageSize) -> Range<Int> {
        let length = (shapes[size]?.blocks ?? 1) * 512
        return page * length..<(page + 1) * length
    }

    private func isPoisoned(_ page: Int, _ size: HugePageSize) -> Bool {
        errors.contains { frames(page, size).contains($0) }
    }

    /// The huge page that a frame is in, if it is in a pool.
    func hugePage(of frame: Int) -> (page: Int, size: HugePageSize)? {
        guard let size = owners[frame / 512], let shape = shapes[size] else { return nil }
        return (frame / 512 / shape.blocks, size)
    }

    private func blocks(of page: Int, _ size: HugePageSize) -> Range<Int> {
        let count = shapes[size]?.blocks ?? 1
        return page * count..<(page + 1) * count
    }

    // MARK: Memory

    /// A block or a stretch of blocks, from the zone that comes first; a block where least is left.
    private mutating func takeFromMemory(_ size: HugePageSize) throws(HugeTLBError) -> Int {
        func isWhole(_ block: Int) -> Bool {
            owners[block] == nil && !errors.contains { $0 / 512 == block }
        }
        for zone in zones {
            let stretches = stride(from: zone.lowerBound, to: zone.upperBound, by: 512).map {
                ($0..<min($0 + 512, zone.upperBound)).filter(isWhole)
            }
            let found =
                size == .oneGibibyte
                ? stretches.first { $0.count == 512 } : stretches.filter { !$0.isEmpty }.min { $0.count < $1.count }
            guard let first = found?.first else { continue }
            let page = first / (shapes[size]?.blocks ?? 1)
            for block in blocks(of: page, size) { owners[block] = size }
            return page
        }
        throw HugeTLBError(.noContiguousMemory(size))
    }

    /// Optimizes a new huge page where that is wanted, or uses it as it is.
    private mutating func prepare(_ page: Int, _ size: HugePageSize) throws(HugeTLBError) {
        guard isOptimizing, let shape = shapes[size], shape.freedPages > 0 else { return }
        if let left = budget, left < shape.deposit {
            optimizeFailures += 1
            if manner == .surplus { return }
            for block in blocks(of: page, size) { owners[block] = nil }
            throw HugeTLBError(.pageTables(needed: PageCount(shape.deposit)))
        }
        let first = page * shape.vmemmapPages
        // What fills no whole PMD at the end of the vmemmap is mapped by PTEs from the start.
        let pmds = Set(first / 512...(first + shape.vmemmapPages - 1) / 512).filter { $0 < blocks * 8 / 512 }
        let split = pmds.subtracting(splitPmds)
        splitPmds.formUnion(pmds)
        budget = budget.map { $0 - split.count + shape.freedPages }
        withoutBootFrame.formUnion(first + shape.vmemmapPages - shape.freedPages..<first + shape.vmemmapPages)
        // The head moves to a frame of the page allocator's.
        if isHeadMoved { withoutBootFrame.insert(first) }
        optimized[size, default: []].insert(page)
    }

    /// - Parameter freed: frames that the same operation has freed; they are taken when the budget's are not enough.
    private mutating func restore(_ page: Int, _ size: HugePageSize, _ freed: inout Int) throws(HugeTLBError) {
        guard let shape = shapes[size], optimized[size]?.contains(page) == true else { return }
        if let left = budget {
            if left + freed < shape.freedPages {
                throw HugeTLBError(.frameBudget(needed: PageCount(shape.freedPages), left: PageCount(left)))
            }
            budget = max(0, left - shape.freedPages)
            freed -= max(0, shape.freedPages - left)
        }
        optimized[size]?.remove(page)
    }

    private mutating func release(_ page: Int, _ size: HugePageSize) -> Int {
        for block in blocks(of: page, size) { owners[block] = nil }
        return frames(page, size).count - errors.count { frames(page, size).contains($0) }
    }

    /// Gives back what has left the pool: as many as can be restored, then the next with what those have freed. One
    /// that cannot be is the pool's again, as a surplus page.
    private mutating func giveToMemory(_ pages: [Int], _ size: HugePageSize) -> Refusal? {
        var (rest, freed, refusal) = (pages, 0, Refusal?.none)
        while !rest.isEmpty {
            var restored = 0
            var stoppedBy: Refusal?
            for page in rest {
                do throws(HugeTLBError) {
                    try restore(page, size, &freed)
                    restored += 1
                } catch {
                    stoppedBy = error.cause
                    break
                }
            }
            for page in rest.prefix(restored) { freed += release(page, size) }
            rest.removeFirst(restored)
            if restored > 0 { continue }
            refusal = stoppedBy
            restoreFailures += 1
            putBack(rest.removeFirst(), size, true)
        }
        return refusal
    }

    // MARK: The pool's size

    mutating func setPool(_ size: HugePageSize, to asked: Int) -> Refusal? {
        var pool = pools[size] ?? Pool()
        if asked <= pool.persistent { return shrink(size, to: asked) }
        pool.surplus -= min(pool.surplus, asked - pool.persistent)
        pools[size] = pool
        var refusal: Refusal?
        var taken: [Int] = []
        do throws(HugeTLBError) {
            while pool.persistent + taken.count < asked { taken.append(try takeFromMemory(size)) }
        } catch {
            refusal = error.cause
        }
        var ready: [Int] = []
        var firstRefusal: Refusal?
        for page in taken.sorted() {
            do throws(HugeTLBError) {
                try prepare(page, size)
                ready.append(page)
            } catch {
                firstRefusal = firstRefusal ?? error.cause
            }
        }
        // The first that was taken is the first that is given out.
        pools[size]?.total += ready.count
        pools[size]?.free += taken.reversed().filter(ready.contains)
        return firstRefusal ?? refusal
    }

    /// Surplus pages are not counted, and none is given back as one.
    private mutating func shrink(_ size: HugePageSize, to asked: Int) -> Refusal? {
        guard let pool = pools[size] else { return nil }
        let own = pool.free.count > pool.persistent ? max(0, pool.free.count - pool.surplus) : pool.free.count
        let count = min(pool.free.count, pool.persistent - max(asked, pool.reserved + pool.persistent - own))
        let removed = count > 0 ? Array(pool.free.suffix(count)) : []
        pools[size]?.free.removeLast(removed.count)
        pools[size]?.total -= removed.count
        // The one that was taken off last is restored first: the one freed longest ago.
        let refusal = giveToMemory(removed, size)
        let left = pools[size]?.persistent ?? 0
        pools[size]?.surplus += max(0, left - asked)
        return refusal
    }

    // MARK: Users

    mutating func allocate(_ size: HugePageSize, isReserved: Bool) throws(HugeTLBError) -> Int {
        guard let pool = pools[size] else { throw HugeTLBError(.noSuchSize(size)) }
        let sound = pool.free.lastIndex { !isPoisoned($0, size) }
        if isReserved ? pool.reserved > 0 : pool.available > 0, let sound {
            pools[size]?.free.remove(at: sound)
            pools[size]?.active.insert(pool.free[sound])
            if isReserved { pools[size]?.reserved -= 1 }
            return pool.free[sound]
        }
        let page = try makeSurplus(size)
        pools[size]?.active.insert(page)
        if isReserved, pool.reserved > 0 { pools[size]?.reserved -= 1 }
        return page
    }

    private mutating func makeSurplus(_ size: HugePageSize) throws(HugeTLBError) -> Int {
        guard let pool = pools[size], pool.surplus < pool.overcommit else { throw HugeTLBError(.poolEmpty(size)) }
        let page = try takeFromMemory(size)
        try prepare(page, size)
        pools[size]?.total += 1
        pools[size]?.surplus += 1
        return page
    }

    mutating func free(_ page: Int, _ size: HugePageSize) -> Refusal? {
        guard pools[size]?.active.remove(page) != nil else { return .alreadyFree(HugePageIndex(page), size) }
        letGo(page, size)
        return nil
    }

    /// A page that nobody has any more: given back while there are surplus pages, and if that is refused, nobody is
    /// told.
    private mutating func letGo(_ page: Int, _ size: HugePageSize) {
        guard let pool = pools[size], pool.surplus > 0 else {
            pools[size]?.free.append(page)
            return
        }
        pools[size]?.total -= 1
        pools[size]?.surplus -= 1
        _ = giveToMemory([page], size)
    }

    mutating func reserve(_ size: HugePageSize, _ count: Int) -> Refusal? {
        guard let pool = pools[size] else { return .noSuchSize(size) }
        var gathered: [Int] = []
        do throws(HugeTLBError) {
            for _ in 0..<max(0, count - pool.available) { gathered.append(try makeSurplus(size)) }
        } catch {
            for page in gathered { letGo(page, size) }
            return error.cause
        }
        pools[size]?.free += gathered.reversed()
        pools[size]?.reserved += count
        return nil
    }

    mutating func unreserve(_ size: HugePageSize, _ count: Int) {
        let taken = max(0, min(count, pools[size]?.reserved ?? 0))
        pools[size]?.reserved -= taken
        let count = min(taken, pools[size]?.surplus ?? 0, pools[size]?.free.count ?? 0)
        let removed = Array(pools[size]?.free.suffix(count) ?? [])
        pools[size]?.free.removeLast(count)
        pools[size]?.total -= count
        pools[size]?.surplus -= count
        _ = giveToMemory(removed, size)
    }

    // MARK: One by one

    mutating func poison(_ frame: Int) -> Refusal? {
        let found = hugePage(of: frame)
        let isFirst = found.map { !isPoisoned($0.page, $0.size) } ?? !errors.contains(frame)
        errors.insert(frame)
        if !isFirst { return .alreadyPoisoned(PageFrameNumber(frame)) }
        guard let found, pools[found.size]?.free.contains(found.page) == true else { return nil }
        return dissolve(frame) == nil ? nil : .notContained(HugePageIndex(found.page), found.size)
    }

    mutating func dissolve(_ frame: Int) -> Refusal? {
        guard hugePage(of: frame) != nil else { return nil }
        do throws(HugeTLBError) {
            let (page, size) = try takeFree(frame)
            let isSurplus = (pools[size]?.surplus ?? 0) > 0
            if isSurplus { pools[size]?.surplus -= 1 }
            do throws(HugeTLBError) {
                var none = 0
                try restore(page, size, &none)
            } catch {
                restoreFailures += 1
                putBack(page, size, isSurplus)
                throw error
            }
            _ = release(page, size)
            return nil
        } catch {
            return error.cause
        }
    }

    mutating func demote(_ frame: Int) -> Refusal? {
        do throws(HugeTLBError) {
            if let (page, size) = hugePage(of: frame), let pool = pools[size], pool.free.contains(page),
                pool.available > 0
            {
                if size != .oneGibibyte { throw HugeTLBError(.notAHugePage(PageFrameNumber(frame))) }
                if isPoisoned(page, size) { throw HugeTLBError(.poisoned(HugePageIndex(page), size)) }
            }
            let (page, size) = try takeFree(frame)
            // The pool's own count falls, unless it is 0.
            let isSurplus = (pools[size]?.persistent ?? 0) < 0
            if isSurplus { pools[size]?.surplus -= 1 }
            do throws(HugeTLBError) {
                var none = 0
                try restore(page, size, &none)
            } catch {
                restoreFailures += 1
                putBack(page, size, isSurplus)
                throw error
            }
            var ready: [Int] = []
            for block in blocks(of: page, size) {
                owners[block] = .twoMebibytes
                if (try? prepare(block, .twoMebibytes)) != nil { ready.append(block) }
            }
            pools[.twoMebibytes]?.total += ready.count
            pools[.twoMebibytes]?.free += ready.reversed()
            return nil
        } catch {
            return error.cause
        }
    }

    private mutating func takeFree(_ frame: Int) throws(HugeTLBError) -> (Int, HugePageSize) {
        guard let (page, size) = hugePage(of: frame), var pool = pools[size] else {
            throw HugeTLBError(.notAHugePage(PageFrameNumber(frame)))
        }
        if pool.active.contains(page) { throw HugeTLBError(.inUse(HugePageIndex(page), size)) }
        if pool.available == 0 { throw HugeTLBError(.reserved(size)) }
        pool.free.removeAll { $0 == page }
        pool.total -= 1
        pools[size] = pool
        return (page, size)
    }

    private mutating func putBack(_ page: Int, _ size: HugePageSize, _ isSurplus: Bool) {
        pools[size]?.free.append(page)
        pools[size]?.total += 1
        if isSurplus { pools[size]?.surplus += 1 }
    }
}
