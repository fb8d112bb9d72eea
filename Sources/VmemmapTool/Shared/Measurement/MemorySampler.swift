import HostMemory
import Synchronization

/// A thread that looks at the process's memory at a bounded rate, into storage of a bounded size.
///
/// RSS at every turn; PSS so seldom that it takes at most a hundredth of the time, since smaps_rollup walks every page
/// table and holds off whoever maps meanwhile.
final class MemorySampler: Sendable {
    private let shared: Shared
    private let thread: HostThread

    /// When it was started, on the monotonic clock.
    var start: Int { shared.start }

    /// Starts sampling, and returns once there is a sample.
    ///
    /// - Parameters:
    ///   - interval: nanoseconds between two samples, at first.
    ///   - capacity: samples to keep.
    init(interval: Int = 1_000_000, capacity: Int = 1024) throws(HostError) {
        let shared = Shared(SampleLog(interval: interval, capacity: capacity), try MemoryMeter())
        thread = try HostThread { shared.run() }
        self.shared = shared
        // On a busy host a thread may wait for its first turn longer than a step takes.
        while !shared.isSampling.load(ordering: .acquiring) { HostKernel.sleep(nanoseconds: 100_000) }
    }

    deinit { _ = stop() }

    /// Stops, and returns what was seen.
    func stop() -> SampleLog {
        shared.shouldStop.store(true, ordering: .releasing)
        thread.join()
        return shared.log.withLock { $0 }
    }
}

/// What the sampler and its thread share.
private final class Shared: Sendable {
    let shouldStop = Atomic(false)
    let isSampling = Atomic(false)
    let log: Guarded<SampleLog>
    let start = HostKernel.monotonicNanoseconds()
    /// The thread's own; the lock is never waited for.
    private let meter: Guarded<MemoryMeter>

    init(_ log: SampleLog, _ meter: consuming sending MemoryMeter) {
        self.log = Guarded(log)
        self.meter = Guarded(meter)
    }

    func run() {
        // Long enough not to weigh, short enough to stop at once.
        let nap = 20_000_000
        var rollupDue = 0
        while !shouldStop.load(ordering: .acquiring) {
            let due = HostKernel.monotonicNanoseconds() + look(&rollupDue)
            isSampling.store(true, ordering: .releasing)
            while !shouldStop.load(ordering: .acquiring) {
                let rest = due - HostKernel.monotonicNanoseconds()
                if rest <= 0 { break }
                HostKernel.sleep(nanoseconds: min(rest, nap))
            }
        }
        // The last one has a PSS, due or not.
        rollupDue = 0
        _ = look(&rollupDue)
    }

    /// Takes a sample, with PSS if that is due, and says how long to wait for the next.
    private func look(_ rollupDue: inout Int) -> Int {
        let before = HostKernel.monotonicNanoseconds()
        guard let rss = meter.withLock({ $0.residentBytes() }) else { return .max / 2 }
        let between = HostKernel.monotonicNanoseconds()
        let pss = between < rollupDue ? nil : meter.withLock { $0.proportionalBytes() }
        let after = HostKernel.monotonicNanoseconds()
        if pss != nil { rollupDue = after + 100 * (after - between) }
        return log.withLock { log in
            log.statmCost.add(between - before)
            if pss != nil { log.rollupCost.add(after - between) }
            log.add(MemoryTimeline.Sample(nanoseconds: before - start, rssBytes: rss, pssBytes: Measured(pss)))
            return log.interval
        }
    }
}

/// Samples in storage of a fixed size: when it is full, every second one goes, and the interval doubles.
struct SampleLog: Sendable {
    private(set) var samples: [MemoryTimeline.Sample] = []
    private(set) var interval: Int
    var statmCost = MemoryTimeline.Cost()
    var rollupCost = MemoryTimeline.Cost()
    private let capacity: Int

    init(interval: Int, capacity: Int) {
        self.interval = interval
        self.capacity = capacity
        samples.reserveCapacity(capacity)
    }

    mutating func add(_ sample: MemoryTimeline.Sample) {
        if samples.count >= capacity { thin() }
        samples.append(sample)
    }

    /// In place: nothing is allocated. Of two samples the one with a PSS stays.
    private mutating func thin() {
        for pair in 0..<samples.count / 2 {
            let (first, second) = (samples[2 * pair], samples[2 * pair + 1])
            samples[pair] = first.pssBytes.value == nil && second.pssBytes.value != nil ? second : first
        }
        samples.removeSubrange((samples.count / 2)...)
        interval *= 2
    }
}

extension MemoryTimeline.Cost {
    mutating func add(_ taken: Int) {
        reads += 1
        nanoseconds += taken
    }
}
