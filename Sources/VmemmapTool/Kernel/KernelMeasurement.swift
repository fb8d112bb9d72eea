import HostLab
import HostMemory
import VmemmapEmulator

/// The host's own HugeTLB pool made larger by some huge pages and smaller again, with vmemmap optimization off and on
/// in turn.
///
/// Changes the pool's size and vm.hugetlb_optimize_vmemmap, and puts both back; takes root. Never takes a huge page
/// from the pool as it was: what it asks for is added, and only that is taken out again.
struct KernelMeasurement: Sendable {
    /// Huge pages to add.
    var pages: HugePageCount
    /// Their size.
    var pageSize: HugePageSize = .twoMebibytes
    /// Counted pairs of a cycle with the optimization off and one with it on.
    var pairs: Int = SampleSize.leastPairs
    /// The option that asks for it.
    var option = "--measure"

    /// Runs it and puts the settings back.
    func run() throws(ExperimentError) -> KernelMeasurementResult { try run(guardSettings()) }

    /// Looks whether it can be run here, and starts the guardian of what it will change. Nothing is changed yet.
    ///
    /// For callers that put the settings back upon a signal; the others call ``run()``.
    ///
    /// - Throws: ``ExperimentError/notSupported(_:)`` without root, on a kernel without the optimization or such huge
    ///   pages, and for a pool with surplus; ``ExperimentError/shortage(_:)`` where there is not memory enough.
    func guardSettings() throws(ExperimentError) -> ChangedSettings {
        try checkSupport()
        let settings: ChangedSettings
        do throws(SettingRefusal) {
            let pool: HostSetting
            do throws(HostError) { pool = try HugeTLBPool.size(ofPagesOf: pageSize.bytes) } catch { throw .host(error) }
            // The pool first: only then is nothing allocated any more that the other could act on.
            settings = try ChangedSettings(guarding: [pool, .optimizeVmemmap])
        } catch {
            throw ExperimentError.ofChangingPools(error)
        }
        // With the lock in hand: what another run has added is no surplus, and no memory in use.
        try checkSurplus()
        try checkMemory()
        return settings
    }

    /// Runs it and puts `settings` back, whatever happens.
    ///
    /// - Parameters:
    ///   - settings: as ``guardSettings()`` made them.
    ///   - progress: told how far it is, between two cycles.
    ///   - isThrough: called after every pair; false ends it with those that there are.
    /// - Throws: ``ExperimentError``; ``ExperimentError/setting(_:)`` where one of them is not what it was.
    func run(
        _ settings: ChangedSettings, progress: ProgressSink = { _ in }, isThrough: () -> Bool = { true }
    ) throws(ExperimentError) -> KernelMeasurementResult {
        let outcome: Result<KernelMeasurementResult, ExperimentError>
        do throws(ExperimentError) {
            outcome = .success(try ExperimentError.wrapping { try measure(settings, progress, isThrough) })
        } catch {
            outcome = .failure(error)
        }
        do throws(SettingNotPutBack) { try settings.putBack() } catch { throw .setting(error) }
        return try outcome.get()
    }

    // MARK: Before

    private func checkSupport() throws(ExperimentError) {
        try ExperimentError.wrapping {
            try ExperimentError.checkCanChangePools(
                "changing the host's pool of huge pages takes root: sudo vmemmap kernel \(option) ...")
            guard let pools = try HugeTLBPool.all() else {
                throw ExperimentError.notSupported("the pools cannot be read: /sys/kernel/mm/hugepages is hidden")
            }
            guard pools.contains(where: { $0.pageSize == pageSize.bytes }) else {
                throw ExperimentError.notSupported("this kernel has no huge pages of \(pageSize.bytes.rawValue) bytes")
            }
        }
    }

    /// Writing the pool's size makes surplus pages ordinary ones: putting the size back could not undo that.
    private func checkSurplus() throws(ExperimentError) {
        try ExperimentError.wrapping {
            guard let surplus = HugeTLBPool.current(ofPagesOf: pageSize.bytes)?.surplus else {
                throw HugeTLBPool.hidden(pagesOf: pageSize.bytes)
            }
            guard surplus != .zero else { return }
            throw ExperimentError.notSupported(
                "the pool has \(surplus.rawValue) huge pages in surplus, which a change of its size would make "
                    + "permanent; "
                    + "try again when they are gone")
        }
    }

    /// Memory that is left to everybody else: a sixteenth of what there is, and no less than this.
    private static let leastReserve = ByteCount.mebibytes(256)

    private func checkMemory() throws(ExperimentError) {
        let memory: ByteCount
        do throws(HostError) { memory = try HostLimits.hostAvailableMemory() } catch { throw .host(error) }
        let reserve = max(Self.leastReserve, ByteCount(memory.rawValue / 16))
        let available = max(.zero, memory - reserve)
        let largest = HugePageCount(available.rawValue / pageSize.bytes.rawValue)
        guard pages > largest else { return }
        throw .shortage(
            Shortage(
                resource: .memory(source: "MemAvailable"), asked: pages, pageSize: pageSize,
                needed: pageSize.bytes.multiplied(by: pages.rawValue)?.rawValue, available: available.rawValue,
                limit: memory.rawValue, largest: largest))
    }

    // MARK: The run

    private func measure(
        _ settings: ChangedSettings, _ progress: ProgressSink, _ isThrough: () -> Bool
    ) throws -> KernelMeasurementResult {
        let pool = try HugeTLBPool.size(ofPagesOf: pageSize.bytes)
        guard let geometry = Geometry(basePageSize: HostLimits.pageSize, hugePageSize: pageSize),
            let before = settings.original(pool)
        else { throw ExperimentError.unexpected("\(pool) is not among the settings guarded") }
        let host = HostPool(settings: settings, size: pool, before: before, asked: pages, pageSize: pageSize)
        func tell(_ cycles: Int) { progress(.count("kernel", cycles, of: 2 * pairs + 2, unit: "cycles")) }
        tell(0)
        let trial = try KernelTrialRun(settings, pool: pool, pageSize: pageSize).run()
        let scheme = SchemeOfKernel(pageTables: trial.scheme.value, release: SystemName.current.release)
        // Both ways, as whatever comes first pays for memory that the host sees for the first time.
        var flagsOff: FlagsCheck?
        var flagsOn: FlagsCheck?
        let warmUp = KernelMeasurementResult.Pair(
            off: try host.cycle(optimizing: false) { flagsOff = try host.flags(geometry) },
            on: try host.cycle(optimizing: true) { flagsOn = try host.flags(geometry) })
        var cycles = 2
        func cycle(optimizing: Bool) throws -> KernelMeasurementResult.Cycle {
            tell(cycles)
            cycles += 1
            return try host.cycle(optimizing: optimizing)
        }
        let measured = try PairedRuns.alternate(
            pairs, { try cycle(optimizing: false) }, { try cycle(optimizing: true) }, isThrough: isThrough)
        return KernelMeasurementResult(
            asked: pages, size: pageSize, before: HostHugePageCount(before), trial: trial, scheme: scheme,
            warmUp: warmUp, pairs: measured.map { .init(off: $0.first, on: $0.second) },
            freedPagesPerHugePage: scheme.scheme.freedPages(geometry),
            flagsOff: flagsOff, flagsOn: flagsOn)
    }
}

/// The host's pool while it is measured.
private struct HostPool {
    let settings: ChangedSettings
    let size: HostSetting
    let before: Int
    let asked: HugePageCount
    let pageSize: HugePageSize

    /// Puts the huge pages in and takes them out again.
    ///
    /// - Parameter between: what to do while they are in; not timed.
    func cycle(optimizing: Bool, between: () throws -> Void = {}) throws -> KernelMeasurementResult.Cycle {
        try settings.set(.optimizeVmemmap, to: optimizing ? 1 : 0)
        let countsBefore = try MemmapCounts.current()
        let allocate = try settings.set(size, to: before + asked.rawValue)
        let given = try size.value() - before
        let countsWith = try MemmapCounts.current()
        if given <= 0 { throw try ExperimentError.noneGiven(asked, of: pageSize) }
        try between()
        let free = try settings.set(size, to: before)
        let left = try size.value() - before
        let countsAfter = try MemmapCounts.current()
        if left != 0 {
            throw ExperimentError.notTakenOut(left, of: size)
        }
        func difference(_ later: MemmapCounts?) -> PageCount? {
            guard let countsBefore, let later else { return nil }
            return countsBefore.total - later.total
        }
        return KernelMeasurementResult.Cycle(
            isOptimizing: optimizing, pages: HugePageCount(given), allocateNanoseconds: allocate,
            freeNanoseconds: free, memmapFallPages: Measured(difference(countsWith)),
            memmapMissingPages: Measured(difference(countsAfter)))
    }

    /// The flags of a huge page from the pool, mapped for a moment; nil where the kernel does not show them. Not while
    /// the pool's size is being put back: a page in use would stay in it.
    func flags(_ geometry: Geometry) throws -> FlagsCheck? {
        let words = try settings.during { () throws(HostError) in
            let page = try HostKernel.mapHugePages(size: pageSize.bytes)
            defer { try? HostKernel.unmap(page) }
            try HostKernel.populate(page)
            return try KernelPages.flags(ofHugePageAt: page)
        }
        return words.map { FlagsCheck([$0], geometry) }
    }
}

extension ExperimentError {
    /// The error for huge pages that stay in the host's pool.
    static func notTakenOut(_ left: Int, of size: HostSetting) -> ExperimentError {
        .notSupported(
            "\(left) of the huge pages added to \(size) could not be taken out again: somebody else uses them, or "
                + "there is no memory for their struct pages")
    }

    /// The error for a host that gave not one of the huge pages that its pool was to be made larger by.
    static func noneGiven(_ asked: HugePageCount, of pageSize: HugePageSize) throws(HostError) -> ExperimentError {
        let memory = try HostLimits.hostAvailableMemory()
        return .shortage(
            Shortage(
                resource: .contiguousMemory, asked: asked, pageSize: pageSize,
                needed: pageSize.bytes.multiplied(by: asked.rawValue)?.rawValue, available: memory.rawValue,
                limit: memory.rawValue, largest: .zero))
    }
}
