public import HostMemory

/// The settings of the host that a benchmark changes, noted and guarded before it starts.
public struct BenchHostChanges: Sendable {
    /// Puts them back; nil where none is changed.
    public let settings: ChangedSettings?
    /// Why KSM cannot be measured; nil if it can, or nobody asked for it.
    public let ksmRefusal: String?
    /// Puts the kernel's own pool back; nil where it is not measured.
    public let pool: ChangedSettings?
    /// Why the kernel's own pool cannot be measured; nil if it can, or nobody asked for it.
    public let kernelRefusal: String?

    /// Nothing is changed.
    public static let none = BenchHostChanges(settings: nil, ksmRefusal: nil, pool: nil, kernelRefusal: nil)
}

extension BenchExperiment {
    /// Notes and guards what the benchmark will change, and raises vm.max_map_count if it is to be and has to be.
    ///
    /// - Throws: ``ExperimentError`` where the limit may not be raised. A peer that may not be used is no error.
    public func prepare(raisingMapLimit: Bool) throws(ExperimentError) -> BenchHostChanges {
        let (settings, ksmRefusal) = try prepareSettings(raisingMapLimit ? neededMapLimit() : .zero)
        guard peers.contains(.kernel) else {
            return BenchHostChanges(settings: settings, ksmRefusal: ksmRefusal, pool: nil, kernelRefusal: nil)
        }
        let (pool, kernelRefusal) = try preparePool()
        return BenchHostChanges(
            settings: settings, ksmRefusal: ksmRefusal, pool: pool, kernelRefusal: kernelRefusal)
    }

    private func prepareSettings(
        _ mapLimit: MappingCount
    ) throws(ExperimentError) -> (ChangedSettings?, ksmRefusal: String?) {
        do throws(HostError) {
            let isRaised = try HostLimits.maxMapCount() < mapLimit
            let ksmRefusal = peers.contains(.ksm) ? try ksmRefusal() : nil
            let usesKsm = peers.contains(.ksm) && ksmRefusal == nil
            guard isRaised || usesKsm else { return (nil, ksmRefusal) }
            let settings = try ChangedSettings(
                guarding: (usesKsm ? SamePageMerging.tunables : []) + (isRaised ? [.maxMapCount] : []),
                clearing: usesKsm ? [SamePageMerging.clearing] : [])
            if isRaised { try settings.set(.maxMapCount, to: mapLimit.rawValue) }
            return (settings, ksmRefusal)
        } catch {
            throw .host(error)
        }
    }

    private func preparePool() throws(ExperimentError) -> (ChangedSettings?, refusal: String?) {
        do throws(ExperimentError) {
            return (try kernelMeasurement().guardSettings(), nil)
        } catch {
            guard let reason = Self.reasonToGoOn(error) else { throw error }
            return (nil, reason)
        }
    }

    /// The kernel's own pool, with as many huge pages as the emulator has.
    func kernelMeasurement() throws(ExperimentError) -> KernelMeasurement {
        KernelMeasurement(pages: try pagesToMeasure(), pageSize: pageSize, rounds: runs)
    }

    private func ksmRefusal() throws(HostError) -> String? {
        do throws(HostError) {
            for tunable in SamePageMerging.tunables { try tunable.checkWritable() }
        } catch  where error.code == .notPermitted {
            return "not permitted: only root may set KSM's tunables"
        } catch  where error.code == .notSupported {
            return "this kernel has no KSM"
        }
        return try SamePageMerging.isInUse()
            ? "KSM is in use here, and is left alone (as root: echo 2 > /sys/kernel/mm/ksm/run)" : nil
    }
}
