/// What the host's own HugeTLB vmemmap optimization makes of the kernel's time for a huge page.
struct KernelPeer: Hashable, Sendable, Codable {
    /// What the kernel's pool took, off and on in turn.
    let measurement: KernelMeasurementResult

    /// What optimizing adds to an allocation: the median of the differences between neighbouring cycles. Not above 0
    /// where the host's own noise is larger.
    var addedNanoseconds: Double { measurement.allocation.addedMedianNanoseconds }
}

extension BenchExperiment {
    /// Measures the kernel's own pool, and puts its settings back.
    ///
    /// - Returns: and what has shown the kernel to be broken, if that was why nothing was measured.
    func kernelPeer(
        _ changes: BenchHostChanges, _ progress: ProgressSink
    ) throws(ExperimentError) -> (PeerRow<KernelPeer>, stoppedBy: KernelTrial?) {
        if let refusal = changes.kernelRefusal { return (PeerRow(notMeasured: refusal), nil) }
        guard let pool = changes.pool else { return (PeerRow(notMeasured: "its settings are not guarded"), nil) }
        do throws(ExperimentError) {
            return (PeerRow(KernelPeer(measurement: try kernelMeasurement().run(pool, progress: progress))), nil)
        } catch .brokenKernel(let trial) {
            return (PeerRow(notMeasured: trial.text), trial)
        } catch {
            guard let reason = Self.reasonToGoOn(error) else { throw error }
            return (PeerRow(notMeasured: reason), nil)
        }
    }
}
