import HostLab
import HostMemory
import VmemmapEmulator

/// `vmemmap kernel`: what the host's own kernel offers, and where asked, what its pool takes beside the emulator under
/// the same scheme.
struct KernelExperiment: Sendable {
    /// An experiment.
    init() {}

    /// What the kernel offers and uses. Changes nothing, and needs no privileges.
    func look() throws(ExperimentError) -> KernelResult {
        KernelResult(
            host: try HostBlock.current(), kernel: try KernelOverview.current(),
            pageTables: PageTablesExperiment().lookIfAllowed(), checksPageTables: false)
    }

    /// Looks whether both can be measured here, and starts the guardian of what the measurement will change. Nothing is
    /// changed yet.
    ///
    /// - Throws: ``ExperimentError``; also when the emulator has no room for as many huge pages.
    func guardSettings(of measurement: KernelMeasurement) throws(ExperimentError) -> ChangedSettings {
        // The kernel first: who may not measure it need not make room for the emulator.
        let settings = try measurement.guardSettings()
        let scheme = SchemeOfKernel.scheme(ofRelease: SystemName.current.release)
        _ = try Self.memory(measurement.pages, of: measurement, scheme).planOnThisHost()
        return settings
    }

    /// Measures the host's pool, puts the settings back, and runs the emulator on as many huge pages as the host gave.
    ///
    /// - Parameters:
    ///   - measurement: what is measured.
    ///   - settings: as ``guardSettings(of:)`` made them.
    ///   - progress: told how far it is, between two cycles.
    func measure(
        _ measurement: KernelMeasurement, _ settings: ChangedSettings, progress: ProgressSink = { _ in }
    ) throws(ExperimentError) -> KernelResult {
        let (host, kernel) = (try HostBlock.current(), try KernelOverview.current())
        let configuration = KernelResult.Configuration(.measure, measurement)
        let measured: KernelMeasurementResult
        do throws(ExperimentError) {
            measured = try measurement.run(settings, progress: progress)
        } catch .brokenKernel(let trial) {
            return KernelResult(host: host, configuration: configuration, kernel: kernel, stoppedBy: trial)
        }
        let plan = try Self.memory(measured.fewestPages, of: measurement, measured.scheme).planOnThisHost()
        return try ExperimentError.wrapping {
            let emulator = try Self.emulator(plan, beside: measured, cost: host.mappingCost, progress)
            return KernelResult(
                host: host, configuration: configuration, kernel: kernel, measurement: measured, emulator: emulator)
        }
    }

    private static func memory(
        _ pages: HugePageCount, of measurement: KernelMeasurement, _ scheme: Scheme
    ) -> EmulatedMemory {
        EmulatedMemory(pages: pages, pageSize: measurement.pageSize, scheme: scheme)
    }

    private static func emulator(
        _ plan: MappingPlan, beside kernel: KernelMeasurementResult, cost: MappingCost, _ progress: ProgressSink
    ) throws -> KernelResult.Emulator {
        let region = try VmemmapRegion(plan)
        let all = region.layout.allHugePages
        // The warm-up is looked at, the others are timed.
        let populated = try FrameCount.count(in: region.range)
        try region.optimize(all, writers: .excluded)
        let optimized = try FrameCount.count(in: region.range)
        let flags = FlagsCheck(all.lazy.map { region.kernelPageFlags(ofHugePage: $0) }, plan.geometry)
        try region.restore(all, writers: .excluded)
        let cycles = try kernel.pairs.indices.map { number in
            progress(.count("emulator", number + 1, of: kernel.pairs.count + 1, unit: "cycles"))
            return KernelResult.Emulator.Cycle(
                optimizeNanoseconds: try timed { try region.optimize(all, writers: .excluded) }.nanoseconds,
                restoreNanoseconds: try timed { try region.restore(all, writers: .excluded) }.nanoseconds)
        }
        func perPage(_ time: (KernelResult.Emulator.Cycle) -> Int) -> Spread {
            Spread(cycles.map { Double(time($0)) / Double(plan.hugePages.rawValue) })
        }
        let (optimize, restore) = (perPage(\.optimizeNanoseconds), perPage(\.restoreNanoseconds))
        func ratio(_ time: Spread, _ operation: KernelMeasurementResult.Operation) -> Measured<Double> {
            let added = operation.addedNanoseconds.median
            return Measured(added > 0 && kernel.notJudged.value == nil ? time.median / added : nil)
        }
        return KernelResult.Emulator(
            plan: PlanBlock(plan, cost: cost), framesFreed: populated.distinct - optimized.distinct,
            templateFrames: plan.templates, countingMethod: optimized.method, cycles: cycles,
            optimizeNanoseconds: optimize, restoreNanoseconds: restore,
            optimizeOverAdded: ratio(optimize, kernel.allocate), restoreOverAdded: ratio(restore, kernel.free),
            flags: flags)
    }
}
