import HostMemory
import VmemmapEmulator

/// What optimizing costs on this host, as the cover letter measured it: the emulated pool grown to N huge pages and
/// emptied, with optimizing on and off; and what stands beside the engine, on the same contents in the same run.
struct BenchExperiment: Sendable {
    /// How many huge pages; nil: as many as the cover letter measured, or as fit in every scheme and backing asked for.
    var pages: HugePageCount? = nil
    /// Their size.
    var pageSize: HugePageSize = .twoMebibytes
    /// The schemes.
    var schemes: [Scheme] = [.firstTail]
    /// The backings.
    var backings: [Backing] = [.anonymous]
    /// How many frames in a row serve the tails; nil: one, and in the shared-tail scheme, where more cost nothing a
    /// huge page, `auto`.
    var tailFrames: TailFrames? = nil
    /// Counted pairs of each measurement.
    var pairs: Int = 5
    /// What is to stand beside the engine.
    var peers: Set<Peer> = []
    /// Readers; 0: none, and nothing is measured with them.
    var walkers: Int = 0
    /// Whether single operations are timed too, in a pass of their own.
    var takesHistograms: Bool = false
    /// A smaller number of huge pages for the C baseline to begin with.
    var growthFrom: HugePageCount? = nil

    /// The cover letter's number of huge pages.
    static let letterPages = HugePageCount(10240)

    /// Runs it.
    ///
    /// - Parameters:
    ///   - changes: what ``prepare(raisingMapLimit:)`` made.
    ///   - control: ends it early.
    ///   - progress: told how far it is, between two pairs.
    /// - Throws: ``ExperimentError``: a shortage only if there is room for no scheme on no backing.
    func run(
        _ changes: BenchHostChanges, control: BenchControl = BenchControl(), progress: ProgressSink = { _ in }
    ) throws(ExperimentError) -> BenchResult {
        let host = try HostBlock.current()
        let pages = changes.pages
        var combinations: [BenchCombination] = []
        var shortage: ExperimentError?
        let pairsOfEach = pairsOfEach(changes)
        for (number, (scheme, backing)) in schemesAndBackings.enumerated() {
            var done = number * pairsOfEach
            if number > 0, control.signal != nil {
                combinations.append(
                    BenchCombination(
                        scheme: scheme, backing: backing, outcome: .notMeasured, refusal: .value(BenchControl.reason)))
                continue
            }
            do throws(ExperimentError) {
                let plan = try plan(scheme, backing, pages)
                combinations.append(
                    BenchCombination(
                        scheme: scheme, backing: backing,
                        outcome: .value(
                            try measure(
                                plan, host, changes, control,
                                {
                                    done += 1
                                    progress(
                                        .count("bench", done, of: schemesAndBackings.count * pairsOfEach, unit: "pairs")
                                    )
                                    return control.signal == nil
                                })), refusal: .notMeasured))
            } catch {
                guard let reason = Self.reasonToGoOn(error) else { throw error }
                shortage = shortage ?? error
                combinations.append(
                    BenchCombination(scheme: scheme, backing: backing, outcome: .notMeasured, refusal: .value(reason)))
            }
        }
        if let shortage, combinations.allSatisfy({ $0.measured == nil }) { throw shortage }
        let (kernel, trial) =
            peers.contains(.kernel) ? try kernelPeer(pages, changes, control, progress) : (.notAskedFor, nil)
        let fewest = combinations.compactMap { $0.measured?.fewestPairs }.min() ?? pairs
        let notJudged = SampleSize.shortfall(pages, of: pageSize.bytes, pairs: fewest)
        return BenchResult(
            host: host,
            configuration: BenchBlock(
                pagesAsked: Measured(self.pages), pages: pages, hugePageBytes: pageSize.bytes, pairs: pairs,
                peers: Peer.allCases.filter(peers.contains), walkers: walkers, takesHistograms: takesHistograms),
            endedBySignal: Measured(control.signal.map { Int($0) }), combinations: combinations, kernel: kernel,
            stoppedBy: Measured(trial), notJudged: Measured(notJudged),
            goals: BenchGoal.all(
                combinations, kernel.value.flatMap { $0.measurement.notJudged.value == nil ? $0 : nil },
                isJudged: notJudged == nil))
    }

    // MARK: What fits

    /// The pairs that a scheme on a backing takes, those that warm up too.
    private func pairsOfEach(_ changes: BenchHostChanges) -> Int {
        let measurements = [
            true, true, peers.contains(.ksm) && changes.ksmRefusal == nil,
            peers.contains(.udmabuf) && UdmabufExperiment.refusal() == nil, walkers > 0,
        ]
        let ofBaseline = (pairs + 1) * (growthFrom == nil ? 1 : 2) + (walkers > 0 ? pairs : 0)
        return measurements.count { $0 } * (pairs + 1) + (peers.contains(.baseline) ? ofBaseline : 0)
    }

    var schemesAndBackings: [(Scheme, Backing)] { schemes.flatMap { scheme in backings.map { (scheme, $0) } } }

    func memory(_ scheme: Scheme, _ backing: Backing, _ pages: HugePageCount) -> EmulatedMemory {
        let asked = tailFrames ?? (scheme.usesTemplates ? .auto : .frames(1))
        return EmulatedMemory(
            pages: pages, pageSize: pageSize, scheme: scheme, backing: backing,
            tailFrames: scheme.takesTailFrames ? asked : .frames(1))
    }

    private func plan(
        _ scheme: Scheme, _ backing: Backing, _ pages: HugePageCount
    ) throws(ExperimentError) -> MappingPlan {
        try memory(scheme, backing, pages).planOnThisHost(keepingFree: MappingAccount.spareWhileTiming)
    }

    /// As many as the cover letter measured, or as fit in every scheme and backing.
    func fittingPages() throws(ExperimentError) -> HugePageCount {
        var fitting = Self.letterPages
        for (scheme, backing) in schemesAndBackings {
            do throws(ExperimentError) {
                _ = try plan(scheme, backing, fitting)
            } catch .shortage(let shortage) where shortage.largest > .zero {
                fitting = shortage.largest
            } catch {
                // Its row will say why it is not measured.
            }
        }
        return fitting
    }

    /// What the row says of what the host has no room for, or does not support; nil for any other error.
    static func reasonToGoOn(_ error: ExperimentError) -> String? {
        switch error {
        case .notSupported(let reason), .notPermitted(let reason): return reason
        case .inUse(let settings): return "\(settings)"
        case .shortage: return ErrorText.line(error)
        case .mapLimit, .notFound, .host, .refused, .vmemmap, .node, .signal, .setting, .brokenKernel, .unexpected:
            return nil
        }
    }

    // MARK: One scheme on one backing

    private func measure(
        _ plan: MappingPlan, _ host: HostBlock, _ changes: BenchHostChanges, _ control: BenchControl,
        _ isThrough: () -> Bool
    ) throws(ExperimentError) -> BenchCombination.Outcome {
        return try ExperimentError.wrapping {
            var latencies: [PoolLatency] = []
            // One machine after the other: restored, the first would still take mappings from the second.
            func time(_ release: MachineConfiguration.Release) throws -> PoolTiming {
                let pool = try PoolBench(plan, release)
                let timing = try pool.time(pairs: pairs, isThrough: isThrough)
                if takesHistograms { latencies += try pool.latencies() }
                return timing
            }
            let (synchronous, deferred) = (try time(.synchronous), try time(.deferred))
            func unlessEnded<Value>(
                _ peer: Peer, _ measure: () throws -> PeerRow<Value>
            ) rethrows -> PeerRow<Value> {
                let isLate = control.signal != nil && peers.contains(peer)
                return isLate ? PeerRow(notMeasured: BenchControl.reason) : try measure()
            }
            let demote = control.signal == nil ? try demoteOverGrow(plan) : nil
            let baseline = try unlessEnded(.baseline) { try baselinePeer(plan, isThrough) }
            let ksm = try unlessEnded(.ksm) { try ksmPeer(plan, changes, isThrough) }
            let udmabuf = try unlessEnded(.udmabuf) { try udmabufPeer(plan, isThrough) }
            let readers =
                walkers > 0 && control.signal == nil
                ? try ReaderLoad.measure(
                    plan, walkers: walkers, pairs: pairs, isBesideBaseline: peers.contains(.baseline),
                    isThrough: isThrough) : nil
            return BenchCombination.Outcome(
                plan: PlanBlock(plan, cost: host.mappingCost), synchronous: synchronous, deferred: deferred,
                demoteOverGrow: Measured(demote), latencies: latencies, baseline: baseline, ksm: ksm,
                udmabuf: udmabuf, readers: Measured(readers))
        }
    }

    private func demoteOverGrow(_ plan: MappingPlan) throws -> Spread? {
        let size = HugePageSize.oneGibibyte.bytes
        guard pageSize == .twoMebibytes, size <= pageSize.bytes * plan.hugePages.rawValue else { return nil }
        return try DemoteBench(plan).time(pairs: pairs)
    }

    private func baselinePeer(
        _ plan: MappingPlan, _ isThrough: () -> Bool
    ) throws(ExperimentError) -> PeerRow<BaselineResult> {
        guard peers.contains(.baseline) else { return .notAskedFor }
        let experiment = BaselineExperiment(plan: plan, pairs: pairs, growthFrom: growthFrom)
        return PeerRow(try experiment.run(isThrough: isThrough))
    }

    private func udmabufPeer(_ plan: MappingPlan, _ isThrough: () -> Bool) throws -> PeerRow<UdmabufResult> {
        guard peers.contains(.udmabuf) else { return .notAskedFor }
        if let refusal = UdmabufExperiment.refusal() { return PeerRow(notMeasured: refusal) }
        do {
            return PeerRow(try UdmabufExperiment(plan: plan, pairs: pairs).run(isThrough: isThrough))
        } catch let error as HostError where error.code != .interrupted {
            return PeerRow(notMeasured: ErrorText.line(.host(error)))
        }
    }

    private func ksmPeer(
        _ plan: MappingPlan, _ changes: BenchHostChanges, _ isThrough: () -> Bool
    ) throws -> PeerRow<KsmResult> {
        guard peers.contains(.ksm) else { return .notAskedFor }
        if let refusal = changes.ksmRefusal { return PeerRow(notMeasured: refusal) }
        guard let settings = changes.ksm else { return PeerRow(notMeasured: "its tunables are not guarded") }
        do {
            return PeerRow(try KsmExperiment(plan: plan, pairs: pairs, settings: settings).run(isThrough: isThrough))
        } catch let error as KsmExperiment.OutOfReach {
            return PeerRow(notMeasured: error.reason)
        } catch let error as HostError where error.code != .interrupted {
            return PeerRow(notMeasured: ErrorText.line(.host(error)))
        }
    }
}
