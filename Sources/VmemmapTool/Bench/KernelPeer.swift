import VmemmapEmulator

/// What the host's own HugeTLB vmemmap optimization makes of the kernel's time for a huge page.
struct KernelPeer: Hashable, Sendable, Codable {
    /// What the kernel's pool took, off and on in turn.
    let measurement: KernelMeasurementResult

    /// What optimizing adds to an allocation: the median of the differences between neighbouring cycles. Not above 0
    /// where the host's own noise is larger.
    var addedNanoseconds: Double { measurement.allocate.addedNanoseconds.median }
}

extension BenchExperiment {
    /// Measures the kernel's own pool, and puts its settings back.
    ///
    /// - Returns: and what has shown the kernel to be broken, if that was why nothing was measured.
    func kernelPeer(
        _ pages: HugePageCount, _ changes: BenchHostChanges, _ control: BenchControl, _ progress: ProgressSink
    ) throws(ExperimentError) -> (PeerRow<KernelPeer>, stoppedBy: KernelTrial?) {
        if let refusal = changes.kernelRefusal { return (PeerRow(notMeasured: refusal), nil) }
        if control.signal != nil { return (PeerRow(notMeasured: BenchControl.reason), nil) }
        guard let pool = changes.pool else { return (PeerRow(notMeasured: "its settings are not guarded"), nil) }
        do throws(ExperimentError) {
            let measurement = try kernelMeasurement(pages).run(pool, progress: progress) { control.signal == nil }
            return (PeerRow(KernelPeer(measurement: measurement)), nil)
        } catch .brokenKernel(let trial) {
            return (PeerRow(notMeasured: trial.text), trial)
        } catch {
            guard let reason = Self.reasonToGoOn(error) else { throw error }
            return (PeerRow(notMeasured: reason), nil)
        }
    }
}
