import HostLab
import HostMemory
import SystemPackage
import VmemmapEmulator

/// The host's own pools, as a script uses them: they are empty before it and empty after it.
///
/// All is done under the guard of ``ChangedSettings``: whatever ends the process, its mappings are gone and the
/// settings are what they were.
final class HostPools: PoolPeer {
    let name = "the kernel"
    private let settings: ChangedSettings
    private let user: HugePageUser
    /// The numbers of the host's nodes that have memory; empty where those are not told.
    private let nodes = HugeTLBPool.nodesWithMemory() ?? []
    private var memmapAtStart: PageCount?

    /// Deferred restores go page by page: counts that have not moved for so long are believed.
    private static let patienceNanoseconds = 300_000_000

    /// Locks the pools and starts the guardian. Nothing is changed yet.
    ///
    /// - Throws: ``ExperimentError/notSupported(_:)`` without root, on a kernel without the optimization or one of the
    ///   sizes, and where a pool has huge pages.
    init() throws(ExperimentError) {
        try Self.checkSupport()
        let user = HugePageUser()
        self.user = user
        let sizes = MachineSizes.x86.hugePages.map(\.bytes)
        do throws(SettingRefusal) {
            settings = try ChangedSettings(
                guarding: sizes.map { HugeTLBPool.exclusiveSize(ofPagesOf: $0) }
                    + sizes.map { HugeTLBPool.overcommit(ofPagesOf: $0) } + [.optimizeVmemmap],
                letGo: { user.letGo() })
        } catch {
            throw ExperimentError.ofChangingPools(error)
        }
        // With the lock in hand: what another run has added is gone again.
        try Self.checkUnused()
    }

    /// What is put back upon a signal.
    var changes: ChangedSettings { settings }

    /// Puts one huge page in and takes it out again, before a script takes more.
    ///
    /// - Throws: ``ExperimentError/brokenKernel(_:)`` where the kernel loses it.
    func tryOne() throws(ExperimentError) {
        let size = HugePageSize.twoMebibytes
        let run = KernelTrialRun(settings, pool: HugeTLBPool.exclusiveSize(ofPagesOf: size.bytes), pageSize: size)
        try ExperimentError.wrapping { _ = try run.run() }
    }

    /// Puts everything back.
    func putBack() throws(ExperimentError) {
        do throws(SettingNotPutBack) { try settings.putBack() } catch { throw .setting(error) }
    }

    // MARK: Before

    private static func checkSupport() throws(ExperimentError) {
        try ExperimentError.wrapping {
            try ExperimentError.checkCanChangePools(
                "changing the host's pools of huge pages takes root: sudo vmemmap pool --beside-kernel ...")
            for size in MachineSizes.x86.hugePages where HugeTLBPool.current(ofPagesOf: size.bytes) == nil {
                throw ExperimentError.notSupported(
                    "this kernel has no pool of \(Format.bytes(size.bytes)) huge pages, or hides "
                        + "/sys/kernel/mm/hugepages; it takes both, 2 MiB and 1 GiB")
            }
        }
    }

    /// Counts are compared as they are, and a pool is emptied: neither goes with huge pages of somebody else's.
    private static func checkUnused() throws(ExperimentError) {
        for size in MachineSizes.x86.hugePages.map(\.bytes) {
            guard let pool = HugeTLBPool.current(ofPagesOf: size), let pages = pool.pages, let free = pool.free else {
                throw .host(HugeTLBPool.hidden(pagesOf: size))
            }
            guard pages != .zero else { continue }
            let path = HugeTLBPool.exclusiveSize(ofPagesOf: size).path
            throw .notSupported(
                "the pool of \(Format.bytes(size)) huge pages is in use: it has \(pages.rawValue), \(free.rawValue) "
                    + "of them "
                    + "free, and must have none; stop who uses it, and as root: echo 0 > \(path)")
        }
    }

    // MARK: One thing

    func perform(_ action: PoolAction) throws(ExperimentError) -> String {
        do throws(HostError) {
            let outcome = try performed(action)
            if case .pool(let size, let count, let node) = action { try checkSize(of: size, count, node) }
            return outcome
        } catch {
            // A signal is putting everything back.
            if error.code == .interrupted { throw .host(error) }
            if case .pool(let size, let count, _) = action, error == Self.shortage(size) {
                throw .shortage(try Self.shortage(of: size, count))
            }
            guard let errno = error.errno else { throw .host(error) }
            return Self.outcomeName(errno)
        }
    }

    /// A pool that has fewer huge pages of its own than it was asked to have has found no memory for them: the kernel's
    /// memory is no matter of comparison. What can be moved out of the way is, and the kernel is asked again.
    private func checkSize(of size: HugePageSize, _ asked: Int, _ node: Int?) throws(HostError) {
        for attempt in 0... {
            guard let persistent = persistent(size, node) else { return }
            if persistent >= asked { return }
            if attempt == Self.attempts { throw Self.shortage(size) }
            try settings.during { () throws(HostError) in try HugeTLBPool.compactMemory() }
            try setSize(size, asked, node)
        }
    }

    /// The pool's own huge pages, or a node's.
    private func persistent(_ size: HugePageSize, _ node: Int?) -> Int? {
        guard let node else {
            return HugeTLBPool.current(ofPagesOf: size.bytes)?.persistent?.rawValue
        }
        let part = HugeTLBPool.nodes([number(ofNode: node)], ofPagesOf: size.bytes)?.first
        return part.map { ($0.pages - $0.surplus).rawValue }
    }

    private func setSize(_ size: HugePageSize, _ count: Int, _ node: Int?) throws(HostError) {
        guard let node else {
            _ = try settings.set(HugeTLBPool.exclusiveSize(ofPagesOf: size.bytes), to: count)
            return
        }
        try settings.during { () throws(HostError) in
            try HugeTLBPool.setSize(count, pagesOf: size.bytes, onNode: self.number(ofNode: node))
        }
    }

    /// The host's number for the machine's node: nodes without memory are left out.
    private func number(ofNode node: Int) -> Int { nodes.indices.contains(node) ? nodes[node] : node }

    private static let attempts = 5

    private static func shortage(of size: HugePageSize, _ asked: Int) throws(ExperimentError) -> Shortage {
        let memory: ByteCount
        do throws(HostError) { memory = try HostLimits.hostAvailableMemory() } catch { throw .host(error) }
        return Shortage(
            resource: .contiguousMemory, asked: HugePageCount(asked), pageSize: size,
            needed: size.bytes.multiplied(by: asked)?.rawValue, available: memory.rawValue, limit: memory.rawValue,
            largest: .zero)
    }

    private static func shortage(_ size: HugePageSize) -> HostError {
        HostError(.noMemory, .write, .file(HugeTLBPool.exclusiveSize(ofPagesOf: size.bytes).path.string))
    }

    private func performed(_ action: PoolAction) throws(HostError) -> String {
        let user = user
        switch action {
        case .reset: try reset()
        case .optimize(let isOptimizing): try settings.set(.optimizeVmemmap, to: isOptimizing ? 1 : 0)
        case .pool(let size, let count, let node): try setSize(size, count, node)
        case .overcommit(let size, let count):
            try settings.set(HugeTLBPool.overcommit(ofPagesOf: size.bytes), to: count)
        case .allocate(let size):
            _ = try settings.during { () throws(HostError) in try user.allocate(pageOf: size.bytes) }
        case .touch(let size):
            _ = try settings.during { () throws(HostError) in try user.touch(pageOf: size.bytes) }
        case .free(let number):
            let isFreed = try settings.during { () throws(HostError) in try user.free(number) }
            if !isFreed { return "EINVAL" }
        case .freeAll:
            try settings.during { () throws(HostError) in try user.freeAll() }
        case .reserve(let size, let count, let isShared):
            try settings.during { () throws(HostError) in
                try user.reserve(count, pagesOf: size.bytes, isShared: isShared)
            }
        case .unreserve(let size, let count):
            try settings.during { () throws(HostError) in try user.unreserve(count, pagesOf: size.bytes) }
        case .demote(let size, let count, let node):
            try settings.during { () throws(HostError) in
                try HugeTLBPool.demote(count, pagesOf: size.bytes, onNode: node.map(self.number))
            }
        }
        return "ok"
    }

    private func reset() throws(HostError) {
        let user = user
        try settings.during { () throws(HostError) in user.letGo() }
        for size in MachineSizes.x86.hugePages.map(\.bytes) {
            let overcommit = HugeTLBPool.overcommit(ofPagesOf: size)
            if try overcommit.value() != 0 { try settings.set(overcommit, to: 0) }
            try settings.set(HugeTLBPool.exclusiveSize(ofPagesOf: size), to: 0)
        }
        try settings.set(.optimizeVmemmap, to: 0)
        memmapAtStart = try MemmapCounts.current()?.total
    }

    /// The name that a script has for an errno. A touch that finds no huge page is EFAULT to madvise, and a store would
    /// have been SIGBUS.
    static func outcomeName(_ errno: Errno) -> String {
        switch errno {
        case .badAddress: "SIGBUS"
        case .noMemory: "ENOMEM"
        case .invalidArgument: "EINVAL"
        case .resourceBusy: "EBUSY"
        case .noSpace: "ENOSPC"
        case .notPermitted: "EPERM"
        default: "errno \(errno.rawValue)"
        }
    }

    // MARK: Counters

    func counts(expecting expected: PoolCounts) throws(ExperimentError) -> PoolCounts {
        do throws(HostError) {
            var last = PoolCounts.zero
            var since = HostKernel.monotonicNanoseconds()
            while true {
                // Once a signal puts everything back there is nothing to compare any more.
                let found = try settings.during { () throws(HostError) in try self.counts() }
                if expected.offsets(to: found).isEmpty { return found }
                let now = HostKernel.monotonicNanoseconds()
                if found != last { (last, since) = (found, now) }
                if now - since > Self.patienceNanoseconds { return found }
                HostKernel.sleep(nanoseconds: 200_000)
            }
        } catch {
            throw .host(error)
        }
    }

    private func counts() throws(HostError) -> PoolCounts {
        var counts = PoolCounts.zero
        for (index, size) in MachineSizes.x86.hugePages.enumerated() {
            guard let pool = HugeTLBPool.current(ofPagesOf: size.bytes), let pages = pool.pages, let free = pool.free,
                let reserved = pool.reserved, let surplus = pool.surplus
            else { throw HugeTLBPool.hidden(pagesOf: size.bytes) }
            counts.pools[index].totalPages = pages.rawValue
            counts.pools[index].freePages = free.rawValue
            counts.pools[index].reservedPages = reserved.rawValue
            counts.pools[index].surplusPages = surplus.rawValue
            counts.pools[index].nodes = (HugeTLBPool.nodes(nodes, ofPagesOf: size.bytes) ?? []).map {
                .init(
                    totalPages: $0.pages.rawValue, freePages: $0.free.rawValue, surplusPages: $0.surplus.rawValue)
            }
        }
        let now = try MemmapCounts.current()?.total
        counts.memmapChangePages = Measured(memmapAtStart.flatMap { start in now.map { ($0 - start).rawValue } })
        return counts
    }
}
