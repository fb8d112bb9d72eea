import HostMemory
import VmemmapEmulator

/// A stress run in each of several emulated NUMA nodes at the same time: a process each, with a region, a machine, a
/// seed and threads of its own.
struct StressNodesExperiment: Sendable {
    /// What is run. Huge pages and cycles are divided among the nodes; each has so many threads.
    let configuration: StressConfiguration
    /// The nodes.
    let nodes: NodeCount

    /// Runs it.
    ///
    /// - Parameters:
    ///   - signals: made before there were threads. The first that comes has all nodes end in order, with a verdict; a
    ///     second one ends them at once.
    ///   - progress: told what all nodes together have done since the last time.
    /// - Throws: ``ExperimentError`` when there is no room to begin with, or a node fails. A violation is a result;
    ///   then the other nodes end in order.
    func run(
        _ signals: TerminationSignals, progress: (StressProgress, _ soFar: () -> StressResult) -> Void
    ) throws(ExperimentError) -> StressResult {
        let host = try HostBlock.current()
        let runs = try divided()
        let group = try NodeGroup("stress", runs.map(\.arguments), signals)
        defer { group.end() }
        var results = [StressResult?](repeating: nil, count: group.count)
        var reports = StressNodesProgress(group.count, seed: configuration.seed)
        var wasEnded = false
        while let event = try group.next() {
            switch event {
            case .said(.progress, let text, let node):
                if let all = reports.all(with: try NodeGroup.decoded(text, from: node), by: node) {
                    progress(all) { soFar(host, all.total, reports.history.moments, wasEnded: wasEnded) }
                }
            case .said(.result, let text, let node):
                let result: StressResult = try NodeGroup.decoded(text, from: node)
                results[node] = result
                if !result.holds { group.endInput() }
            case .signal(let number):
                if wasEnded { throw .signal(number) }
                wasEnded = true
                group.endInput()
            case .said(.ready, _, _), .ended, .input: break
            }
        }
        let all = results.compactMap(\.self)
        guard all.count == group.count else { throw .unexpected("a node has ended without a result") }
        return StressResult(
            host: host, configuration, runs, all, group.processIDs, history: reports.history.moments, wasEnded: wasEnded
        )
    }

    /// What there is while they run: sums alone. What each combination and each node did, they say when they end.
    private func soFar(
        _ host: HostBlock, _ total: StressFigures, _ history: [StressMoment], wasEnded: Bool
    ) -> StressResult {
        StressResult(
            host: host, of: configuration, combinations: [], total: total, leftOut: [], footprints: [],
            history: history, checks: [], wasEnded: wasEnded, isComplete: false, violation: nil)
    }

    /// The run of each node.
    private func divided() throws(ExperimentError) -> [StressConfiguration] {
        guard let combination = configuration.combinations.first else { return [] }
        let memory = EmulatedMemory(
            pages: configuration.pages, pageSize: configuration.pageSize, basePageSize: configuration.basePageSize,
            scheme: combination.scheme,
            backing: combination.backing)
        // The machine of each is as large as its region.
        let shares = try NodeShares(memory, nodes, on: HostRoom.current().half).memories
        let cycles = configuration.cycles.map { NodeCount.shares(of: $0, among: shares.count) }
        return shares.indices.map { node in
            var run = configuration
            run.pages = shares[node].pages
            run.cycles = cycles?[node]
            run.seed = StressSeed.derive(configuration.seed, UInt64(node))
            return run
        }
    }
}

/// What nodes report of themselves, put together once each has.
private struct StressNodesProgress {
    private var totals: [Int: StressFigures] = [:]
    private var reported: Set<Int> = []
    private var last = StressFigures()
    private let count: Int
    private let seed: UInt64
    private(set) var history = StressHistory()

    init(_ count: Int, seed: UInt64) { (self.count, self.seed) = (count, seed) }

    /// Takes in a report. Returns what all have done, once each has reported since the last time.
    mutating func all(with report: StressProgress, by node: Int) -> StressProgress? {
        totals[node] = report.total
        reported.insert(node)
        guard reported.count == count else { return nil }
        reported = []
        let total = StressFigures(of: Array(totals.values))
        defer { last = total }
        if history.isDue(total.elapsedNanoseconds) { history.note(total) }
        return StressProgress(
            seed: seed, scheme: report.scheme, backing: report.backing, sinceLast: total.since(last), total: total)
    }
}

/// What one process, an emulated NUMA node, did of a stress run.
struct StressNode: Hashable, Sendable, Codable {
    /// Which, from 0.
    let node: Int
    /// Its process.
    let pid: Int32
    /// Everything that it drew followed from this, which follows from the run's seed.
    let seed: UInt64
    /// Huge pages of its region, and of its machine.
    let pages: HugePageCount
    /// All that it did.
    let total: StressFigures
    /// The process after each set-up, in order.
    let footprints: [StressFootprint]
    /// Whether it found nothing that must not be.
    let holds: Bool
}

extension StressResult {
    /// The sum of what nodes did.
    init(
        host: HostBlock, _ configuration: StressConfiguration, _ runs: [StressConfiguration],
        _ results: [StressResult], _ pids: [Int32], history: [StressMoment], wasEnded: Bool
    ) {
        self.init(
            host: host, of: configuration,
            combinations: configuration.combinations.indices.compactMap { place in
                let parts = results.compactMap { $0.combinations.dropFirst(place).first }
                guard let first = parts.first else { return nil }
                return StressCombinationResult(
                    scheme: first.scheme, backing: first.backing, figures: StressFigures(of: parts.map(\.figures)))
            }, total: StressFigures(of: results.map(\.total)),
            leftOut: results.reduce(into: []) { all, result in
                all += result.leftOut.filter { !all.contains($0) }
            }, footprints: [], history: history, checks: Self.checks(results), wasEnded: wasEnded, isComplete: true,
            violation: results.compactMap(\.violation).first,
            nodes: results.indices.map { node in
                StressNode(
                    node: node, pid: pids[node], seed: runs[node].seed, pages: runs[node].pages,
                    total: results[node].total, footprints: results[node].footprints, holds: results[node].holds)
            })
    }

    /// Each check, by how often all nodes together have looked.
    private static func checks(_ nodes: [StressResult]) -> [Check] {
        StressCheck.allCases.map { check in
            let times = nodes.flatMap(\.checks).filter { $0.id == check.id }.compactMap {
                $0.figures.first { $0.name == "times" }?.measured.value
            }
            return check.result(
                times: times.reduce(0, +), isViolated: nodes.contains { $0.violation?.check == check.id })
        }
    }
}

extension StressConfiguration {
    /// The options that a node is started with.
    var arguments: [String] {
        func option<Value: RawRepresentable<String>>(_ values: [Value]) -> String {
            values.count == 1 ? values[0].rawValue : "all"
        }
        return [
            "--duration", "\(durationNanoseconds / 1_000_000)ms", "--pages", "\(pages.rawValue)", "--page-size",
            pageSize.defaultValueDescription, "--scheme", option(schemes), "--backing", option(backings), "--walkers",
            "\(walkers)", "--workers", "\(workers)", "--seed", "\(seed)", "--faults", faults.rawValue,
            "--report-every", "\(reportEveryNanoseconds / 1_000_000)ms",
        ] + GeometryOptions.arguments(basePageSize: basePageSize) + (cycles.map { ["--cycles", "\($0)"] } ?? [])
    }
}
