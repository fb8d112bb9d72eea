import HostMemory
import VmemmapEmulator

/// What optimizing costs on this host: the emulated pool with and without, and what stands beside it.
struct BenchResult: Hashable, Sendable, Codable {
    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: BenchBlock
    /// The number of the signal that ended it early, with the pairs that there were. Null where none did.
    let endedBySignal: Measured<Int>
    /// Each scheme on each backing.
    let combinations: [BenchCombination]
    /// The host's own kernel, with and without HVO.
    let kernel: PeerRow<KernelPeer>
    /// What showed the host's own optimization to be broken, with which its measurement ended. Null where it was not
    /// stopped.
    let stoppedBy: Measured<KernelTrial>
    /// Why no goal is judged: too few huge pages, or pairs. Null if they are enough.
    let notJudged: Measured<String>
    /// The figures to reach, as far as the peers for them ran.
    let goals: [BenchGoal]

    /// That readers saw no wrong head, and that the host's own optimization is not broken, as far as that was looked
    /// at. Goals decide nothing.
    var checks: [Check] {
        let loads = combinations.compactMap { $0.measured?.readers.value }
        let readers = Check.walkersReadRight(
            wrong: loads.reduce(0) { $0 + $1.wrongReads }, of: loads.reduce(0) { $0 + $1.reads })
        let trial = stoppedBy.value ?? kernel.value?.measurement.trial
        return (loads.isEmpty ? [] : [readers]) + (trial?.checks ?? [])
    }

    /// Why nothing is judged, and which pairs stand far out; empty where there is nothing to say.
    var notes: [String] {
        let outliers = combinations.flatMap { combination in
            (combination.measured?.spreads ?? []).compactMap { name, spread in
                SampleSize.note("\(BenchReport.name(combination)), \(name)", spread)
            }
        }
        let end = endedBySignal.value.map {
            ["ended by signal \($0): these are the pairs until then, one at least of what had begun"]
        }
        let reason = notJudged.value.map { ["no time is judged: \($0)"] } ?? []
        // The kernel may have given fewer huge pages than the emulator has; the same reason is said once.
        let ofKernel = kernel.value.map { $0.measurement.notes(besides: notJudged.value) } ?? []
        return (end ?? []) + reason + outliers + ofKernel
    }
}

/// The configuration of a benchmark, as exported.
struct BenchBlock: Hashable, Sendable, Codable {
    /// Huge pages asked for; null: as many as the cover letter measured, or as fit.
    let pagesAsked: Measured<HugePageCount>
    /// Huge pages measured.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// Counted pairs.
    let pairs: Int
    /// What was to stand beside the engine.
    let peers: [Peer]
    /// Readers.
    let walkers: Int
    /// Whether single operations were timed too.
    let takesHistograms: Bool
}

/// One scheme on one backing.
struct BenchCombination: Hashable, Sendable, Codable {
    /// How vmemmap is shared.
    let scheme: Scheme
    /// What the region consists of.
    let backing: Backing
    /// What was measured; null if the host has no room for it.
    let outcome: Measured<Outcome>
    /// Why nothing was measured; null if something was.
    let refusal: Measured<String>

    /// The figures of one scheme on one backing.
    struct Outcome: Hashable, Sendable, Codable {
        /// What was optimized and restored.
        let plan: PlanBlock
        /// The pool, freed huge pages being restored at once.
        let synchronous: PoolTiming
        /// The pool, freed huge pages being restored by a worker.
        let deferred: PoolTiming
        /// Demoting a 1 GiB page over growing the pool by as many of 2 MiB; null with fewer than those, or where the
        /// host has no room.
        let demoteOverGrow: Measured<Spread>
        /// Huge page by huge page; empty unless asked for.
        let latencies: [PoolLatency]
        /// The C baseline of the same system calls.
        let baseline: PeerRow<BaselineResult>
        /// KSM on the same contents.
        let ksm: PeerRow<KsmResult>
        /// Dma-bufs over the same memory file.
        let udmabuf: PeerRow<UdmabufResult>
        /// With readers; null unless asked for.
        let readers: Measured<ReaderLoad>

        /// The fewest pairs of anything that was measured of the pool.
        var fewestPairs: Int { min(synchronous.pairs.count, deferred.pairs.count) }

        /// The times of the pool that the report shows, each with its name.
        var spreads: [(name: String, spread: Spread)] {
            [
                ("allocate", synchronous.allocate), ("free", synchronous.free), ("free deferred", deferred.free),
                ("until restored", deferred.untilRestored),
            ].flatMap { name, comparison in
                [
                    ("\(name), on", comparison.onNanoseconds), ("\(name), off", comparison.offNanoseconds),
                ]
            }
                + [
                    ("engine beside baseline, optimize", baseline.value?.optimize.ratio),
                    ("engine beside baseline, restore", baseline.value?.restore.ratio),
                ].compactMap { name, spread in spread.map { (name, $0) } }
        }
    }

    /// The figures, if there are any.
    var measured: Outcome? { outcome.value }
}

/// What can stand beside the engine.
enum Peer: String, Hashable, Sendable, Codable, CaseIterable {
    /// The C baseline of the same system calls.
    case baseline
    /// The kernel's thread that merges equal pages.
    case ksm
    /// Dma-bufs that name one page of a memory file many times.
    case udmabuf
    /// The host's own HugeTLB vmemmap optimization.
    case kernel
}

/// What a peer took, or why it was not measured.
struct PeerRow<Value: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
    /// Its figures; null if it was not measured.
    let measured: Measured<Value>
    /// Why it was not; null if it was.
    let reason: Measured<String>

    /// A peer that was measured.
    init(_ value: Value) {
        measured = .value(value)
        reason = .notMeasured
    }

    /// One that was not.
    init(notMeasured reason: String) {
        measured = .notMeasured
        self.reason = .value(reason)
    }

    /// The figures, if there are any.
    var value: Value? { measured.value }

    /// One that nobody asked for.
    static var notAskedFor: PeerRow { PeerRow(notMeasured: "not asked for (--peers)") }
}
