import HostLab
import HostMemory
import VmemmapEmulator

/// The settings of the host that a benchmark changes, noted and guarded before it starts.
struct BenchHostChanges: Sendable {
    /// How many huge pages are measured: as many as are asked for, or as fit now that the limit is raised.
    let pages: HugePageCount
    /// Puts vm.max_map_count back; empty where it is not raised.
    let mapLimit: [ChangedSettings]
    /// Puts KSM's tunables back; nil where KSM is not measured.
    let ksm: ChangedSettings?
    /// Why KSM cannot be measured; nil if it can, or nobody asked for it.
    let ksmRefusal: String?
    /// Puts the kernel's own pool back; nil where it is not measured.
    let pool: ChangedSettings?
    /// Why the kernel's own pool cannot be measured; nil if it can, or nobody asked for it.
    let kernelRefusal: String?

    /// All that are to be put back.
    var settings: [ChangedSettings] { mapLimit + [ksm, pool].compactMap(\.self) }
}

extension BenchExperiment {
    /// Notes and guards what the benchmark will change, and raises vm.max_map_count if it is to be and has to be.
    ///
    /// - Throws: ``ExperimentError`` where the limit may not be raised. A peer that may not be used is no error.
    func prepare(raisingMapLimit: Bool) throws(ExperimentError) -> BenchHostChanges {
        let needed = schemesAndBackings.map { memory($0, $1, self.pages ?? Self.letterPages) }
        let spare = MappingAccount.spareWhileTiming
        let mapLimit = raisingMapLimit ? try RaisedMapLimit.raise(for: needed, keepingFree: spare) : []
        let pages = if let asked = self.pages { asked } else { try fittingPages() }
        let (ksm, ksmRefusal) = peers.contains(.ksm) ? try prepareKsm() : (nil, nil)
        let (pool, kernelRefusal) = peers.contains(.kernel) ? try preparePool(pages) : (nil, nil)
        return BenchHostChanges(
            pages: pages, mapLimit: mapLimit, ksm: ksm, ksmRefusal: ksmRefusal, pool: pool, kernelRefusal: kernelRefusal
        )
    }

    private func prepareKsm() throws(ExperimentError) -> (ChangedSettings?, refusal: String?) {
        do throws(SettingRefusal) {
            let settings = try ChangedSettings(
                guarding: SamePageMerging.tunables, clearing: [SamePageMerging.clearing])
            // Looked at with the lock in hand: a run that has just ended used it, too.
            let isInUse: Bool
            do throws(HostError) { isInUse = try SamePageMerging.isInUse() } catch { throw .host(error) }
            if !isInUse { return (settings, nil) }
            return (nil, "KSM is in use here, and is left alone (as root: echo 2 > /sys/kernel/mm/ksm/run)")
        } catch {
            switch error {
            case .inUse(let settings): return (nil, "\(settings)")
            case .leftChanged(let setting): return (nil, "\(setting)")
            case .noLock(let error): return (nil, "KSM's tunables cannot be locked: \(error)")
            case .host(let error) where HostRefusal(error) == .permission:
                return (nil, "not permitted: only root may set KSM's tunables")
            case .host(let error) where error.code == .notSupported:
                return (nil, "there is no /sys/kernel/mm/ksm: this kernel has no KSM, or /sys is hidden")
            case .host(let error): throw .host(error)
            }
        }
    }

    private func preparePool(_ pages: HugePageCount) throws(ExperimentError) -> (ChangedSettings?, refusal: String?) {
        do throws(ExperimentError) {
            return (try kernelMeasurement(pages).guardSettings(), nil)
        } catch {
            guard let reason = Self.reasonToGoOn(error) else { throw error }
            return (nil, reason)
        }
    }

    /// The kernel's own pool, with as many huge pages as the emulator has.
    func kernelMeasurement(_ pages: HugePageCount) -> KernelMeasurement {
        KernelMeasurement(pages: pages, pageSize: pageSize, pairs: pairs)
    }
}
