import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory, divided among emulated NUMA nodes: a process each, which
/// populate, optimize and restore at the same time, and each have a limit of mappings of their own.
struct SavingsNodesExperiment: Sendable {
    /// All huge pages.
    let memory: EmulatedMemory
    /// The nodes.
    let nodes: NodeCount

    /// What is planned, without doing it: where there is no room for it, that is an error.
    func plan() throws(ExperimentError) -> SavingsResult {
        let host = try HostBlock.current()
        let shares = try NodeShares(memory, nodes, on: HostRoom.current())
        return SavingsResult(
            host: host, memory: memory, nodes: nodes, plans: shares.plans, [], [], durations: [:])
    }

    /// Does it, all nodes step by step together. Memory is measured by each node of itself when all hold theirs.
    ///
    /// - Parameter signals: made before there were threads; one that comes ends all nodes.
    func run(_ signals: TerminationSignals, progress: ProgressSink) throws(ExperimentError) -> SavingsResult {
        let host = try HostBlock.current()
        let shares = try NodeShares(memory, nodes, on: HostRoom.current())
        let group = try NodeGroup("savings", shares.memories.map(\.arguments), signals)
        defer { group.end() }
        var results = [SavingsResult?](repeating: nil, count: group.count)
        var phases = NodePhases(group.count)
        var sum = NodeProgress()
        while let event = try group.next() {
            switch event {
            case .said(.ready, let phase, _):
                if try phases.isComplete(with: phase) { group.letGo() }
            case .said(.progress, let text, let node):
                progress(sum.sum(try NodeGroup.decoded(text, from: node), by: node))
            case .said(.result, let text, let node): results[node] = try NodeGroup.decoded(text, from: node)
            case .signal(let number): throw .signal(number)
            case .ended, .input: break
            }
        }
        let all = results.compactMap(\.self)
        guard all.count == group.count else { throw .unexpected("a node has ended without a result") }
        return SavingsResult(
            host: host, memory: memory, nodes: nodes, plans: shares.plans, all, group.processIDs,
            durations: phases.durations)
    }
}

/// The phases that nodes go through together, and how long each took: from the moment all were let go until the last
/// was ready for the next.
struct NodePhases {
    private(set) var durations: [String: Int] = [:]
    private let count: Int
    private var waiting = 0
    private var phase: (name: String, start: Int)?
    private var next: String?

    init(_ count: Int) { self.count = count }

    /// Takes in that a node is ready for `phase`. Returns whether all are, and so can be let go.
    mutating func isComplete(with phase: String) throws(ExperimentError) -> Bool {
        guard next == nil || next == phase else { throw .unexpected("nodes wait for different phases") }
        next = phase
        waiting += 1
        guard waiting == count else { return false }
        let now = HostKernel.monotonicNanoseconds()
        if let current = self.phase { durations[current.name] = now - current.start }
        self.phase = (phase, now)
        (waiting, next) = (0, nil)
        return true
    }
}

extension SavingsResult {
    /// What one process, an emulated NUMA node, had of it.
    struct Node: Hashable, Sendable, Codable {
        /// Which, from 0.
        let node: Int
        /// Its process; null where nothing was run.
        let pid: Measured<Int32>
        /// Its huge pages.
        let pages: HugePageCount
        /// Before it had a region; null where nothing was run.
        let baseline: Measured<MemoryFigures>
        /// Its steps; none where nothing was run.
        let rows: [Row]
        /// Wrong reads of its walker; null where nothing was run.
        let wrongReads: Measured<Int>
    }

    /// The sum of what nodes did.
    ///
    /// - Parameters:
    ///   - count: how many nodes were asked for.
    ///   - plans: one a node.
    ///   - results: one a node; none where nothing was run.
    ///   - pids: as many.
    ///   - durations: how long each step took all of them together.
    init(
        host: HostBlock, memory: EmulatedMemory, nodes count: NodeCount, plans: [MappingPlan],
        _ results: [SavingsResult], _ pids: [Int32], durations: [String: Int]
    ) {
        self.host = host
        configuration = Configuration(memory: MemoryBlock(memory), nodes: .value(count.text))
        guard let plan = plans.map({ PlanBlock($0, cost: host.mappingCost) }).sum() else {
            preconditionFailure("no node")
        }
        self.plan = plan
        countingMethod = results.first?.countingMethod ?? .notMeasured
        baseline = results.map(\.baseline).sum() ?? .notMeasured
        rows = (results.first?.rows ?? []).indices.compactMap { place in
            var row = results.map { $0.rows[place] }.sum()
            if let all = row.flatMap({ durations[$0.step.rawValue] }) { row?.durationNanoseconds = all }
            return row
        }
        peakBytes = results.map(\.peakBytes).sum() ?? .notMeasured
        wrongReads = results.map(\.wrongReads).sum() ?? .notMeasured
        checks = Check.all(ofNodes: results.map(\.checks))
        timeline = .notMeasured
        nodes = plans.indices.map { node in
            let result = results.isEmpty ? nil : results[node]
            return Node(
                node: node, pid: Measured(result.map { _ in pids[node] }), pages: plans[node].hugePages,
                baseline: result?.baseline ?? .notMeasured, rows: result?.rows ?? [],
                wrongReads: result?.wrongReads ?? .notMeasured)
        }
    }

    /// What is saved in each node after its steps.
    ///
    /// - Parameter isShown: which steps.
    func nodeTable(_ isShown: (Row) -> Bool = { _ in true }) -> ExportTable {
        ExportTable(
            "node", "What is saved in each emulated node after each step.",
            nodes.flatMap { node in node.rows.filter(isShown).map { (node: node.node, row: $0) } },
            [
                .label("node", "The emulated node.") { "\($0.node)" }.shown("node"),
                .label("step", "The step.") { $0.row.step.rawValue }.shown(""),
            ] + ExportColumn.savings(\.row, showsPSS: true))
    }
}
