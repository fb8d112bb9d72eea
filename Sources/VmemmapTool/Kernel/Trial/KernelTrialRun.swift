import HostLab
import HostMemory
import KernelMemory
import VmemmapEmulator

/// Carries a ``KernelTrial`` out on one of the host's pools, which is guarded.
struct KernelTrialRun {
    /// Guard the pool and vm.hugetlb_optimize_vmemmap.
    let settings: ChangedSettings
    /// The pool's size.
    let pool: HostSetting
    /// The size of its huge pages.
    let pageSize: HugePageSize
    /// The kernel's memory; nil where it cannot be read.
    let kernel: KernelVmemmap?

    /// How long memory may take to come back.
    private static let patienceNanoseconds = 2_000_000_000
    private static let pauseNanoseconds = 50_000_000

    /// - Parameter kernel: nil to open it, where that is allowed.
    init(_ settings: ChangedSettings, pool: HostSetting, pageSize: HugePageSize, kernel: KernelVmemmap? = nil) {
        self.settings = settings
        self.pool = pool
        self.pageSize = pageSize
        self.kernel = kernel ?? (try? KernelVmemmap())
    }

    /// Runs it. In the end the pool and vm.hugetlb_optimize_vmemmap are what they were when they were guarded.
    ///
    /// - Throws: ``ExperimentError/brokenKernel(_:)`` where a check of it fails; what stands in the way of a huge page
    ///   otherwise.
    func run() throws -> KernelTrial {
        try settings.set(.optimizeVmemmap, to: 1)
        let log = try? KernelLog()
        let before = try KernelTaint.current()
        var (tries, lost) = (0, true as Bool?)
        var outcome: (scheme: KernelScheme?, restored: RestoredVmemmap?) = (nil, nil)
        var reports: Int?
        var messages: [String] = []
        // Somebody else may have taken as much memory out of all accounts meanwhile, but hardly each time.
        while tries < 3, lost == true, reports ?? 0 == 0, outcome.restored?.strayPages ?? 0 == 0 {
            tries += 1
            let memory = try UnaccountedMemory.current()
            outcome = try putInAndOut()
            lost = try isLost(since: memory)
            messages += (try? log?.messages()) ?? []
            reports = KernelTrial.badPageReports(
                before: before, after: try KernelTaint.current(),
                logged: log.map { _ in KernelLog.badPageReports(messages) })
        }
        let stray = outcome.restored?.strayPages
        let trial = KernelTrial(
            hugePageBytes: pageSize.bytes, pages: HugePageCount(tries), badPageReports: Measured(reports),
            kernelWords: KernelLog.wordsOfBadPage(messages),
            lostPages: Measured(
                KernelTrial.believed(lost, reports: reports, stray: stray).map { $0 ? HugePageCount(tries) : .zero }),
            strayVmemmapPages: Measured(stray.map { PageCount($0) }),
            scheme: Measured(outcome.scheme.flatMap { Scheme(rawValue: $0.rawValue) }))
        guard trial.checks.holds else { throw ExperimentError.brokenKernel(trial) }
        guard trial.checks.contains(where: { $0.outcome == .passed }) else {
            throw ExperimentError.notSupported(
                "nothing here tells whether this kernel loses the memory of huge pages: /dev/kmsg, "
                    + "/proc/sys/kernel/tainted, /proc/zoneinfo and the kernel's memory are hidden; run it where one "
                    + "of them can be read")
        }
        if let original = settings.original(.optimizeVmemmap) { try settings.set(.optimizeVmemmap, to: original) }
        return trial
    }

    /// One huge page in and out. What the page tables show of it in between, and what its struct pages hold after.
    private func putInAndOut() throws -> (KernelScheme?, RestoredVmemmap?) {
        guard let original = settings.original(pool) else {
            throw ExperimentError.unexpected("\(pool) is not among the settings guarded")
        }
        let before = hugePages()
        try settings.set(pool, to: original + 1)
        guard try pool.value() > original else { throw try ExperimentError.noneGiven(HugePageCount(1), of: pageSize) }
        let added = hugePages().subtracting(before)
        let look = try? kernel?.look(at: added.map { ($0, pageSize.bytes) }, .on, pools: [])
        let marks = added.compactMap { pfn in (try? kernel?.mark(of: (pfn, pageSize.bytes))) ?? nil }
        try settings.set(pool, to: original)
        let left = try pool.value() - original
        guard left <= 0 else { throw ExperimentError.notTakenOut(left, of: pool) }
        let there = hugePages()
        let gone = marks.first { !there.contains($0.pfn) }
        return (look?.scheme, gone.flatMap { (try? kernel?.restored($0)) ?? nil })
    }

    /// The huge pages of that size, by their first frames; none where the kernel's memory cannot be read.
    private func hugePages() -> Set<UInt64> {
        let pages = (try? kernel?.hugePages()) ?? []
        return Set(pages.filter { $0.size == pageSize.bytes }.map(\.pfn))
    }

    private func isLost(since before: UnaccountedMemory?) throws -> Bool? {
        let start = HostKernel.monotonicNanoseconds()
        while true {
            let after = try UnaccountedMemory.current()
            let isLost = KernelTrial.isLost(before: before, after: after, pageSize: pageSize.bytes)
            let isOver = HostKernel.monotonicNanoseconds() - start > Self.patienceNanoseconds
            if isLost != true || isOver { return isLost }
            HostKernel.sleep(nanoseconds: Self.pauseNanoseconds)
        }
    }
}
