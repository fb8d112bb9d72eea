import HostMemory
import VmemmapEmulator

/// Optimizes, restores, allocates, frees, dissolves, demotes and poisons huge pages from several threads under
/// concurrent readers and failures, and holds what it sees against a model: the run that is left going overnight.
struct StressExperiment: Sendable {
    /// What is run.
    var configuration: StressConfiguration

    /// A run.
    init(_ configuration: StressConfiguration) { self.configuration = configuration }

    /// Runs it.
    ///
    /// - Parameters:
    ///   - control: ends it early.
    ///   - progress: told what was done since the last time, when it is time for a report; from a thread of the run's
    ///     own.
    ///   - heartbeat: told how far it is, five times a second at most, from that thread.
    /// - Throws: ``ExperimentError`` when there is no room to begin with. A violation is a result.
    func run(
        control: StressControl = StressControl(), progress: @escaping StressProgressSink = { _, _ in },
        heartbeat: @escaping @Sendable (Progress) -> Void = { _ in }
    ) throws(ExperimentError) -> StressResult {
        // Here, before there are other threads: this one's heap is to be theirs.
        if configuration.faults.isHost { HeapReserve.fill() }
        try StressRun(configuration, control, progress, heartbeat).checkRoom()
        let outcome = Guarded<Result<StressResult, ExperimentError>?>(nil)
        // Not on the main thread: its stack grows as it is used, and where RLIMIT_AS is reached, that is its end.
        let box = StressBox(outcome: outcome)
        let configuration = configuration
        do throws(HostError) {
            try HostThread {
                let result = Result { () throws(ExperimentError) in
                    try StressRun(configuration, control, progress, heartbeat).run()
                }
                box.outcome.withLock { $0 = result }
            }.join()
        } catch {
            throw .host(error)
        }
        guard let result = box.outcome.withLock({ $0 }) else { throw .unexpected("the run left no result") }
        return try result.get()
    }
}

/// Where the coordinator leaves its result.
private final class StressBox: Sendable {
    let outcome: Guarded<Result<StressResult, ExperimentError>?>

    init(outcome: consuming sending Guarded<Result<StressResult, ExperimentError>?>) { self.outcome = outcome }
}
