import HostMemory
import VmemmapEmulator

/// Holds an optimized vmemmap that is divided among emulated NUMA nodes, a process each.
final class HoldNodes {
    /// Where they are, as exported.
    let description: HoldNodesResult
    private let group: NodeGroup

    /// Starts the nodes, and waits until each holds its share.
    ///
    /// - Parameters:
    ///   - memory: all huge pages.
    ///   - nodes: how many nodes.
    ///   - options: what each does with its share, as options of `hold`.
    ///   - signals: made before there were threads; one that comes meanwhile ends all nodes.
    init(
        _ memory: EmulatedMemory, _ nodes: NodeCount, options: [String], _ signals: TerminationSignals,
        progress: ProgressSink
    ) throws(ExperimentError) {
        let shares = try NodeShares(memory, nodes, on: HostRoom.current())
        group = try NodeGroup("hold", shares.memories.map { $0.arguments + options }, signals)
        var held = [HoldResult?](repeating: nil, count: group.count)
        var sum = NodeProgress()
        while held.contains(nil) {
            switch try group.next() {
            case .said(.progress, let text, let node):
                progress(sum.sum(try NodeGroup.decoded(text, from: node), by: node))
            case .said(.result, let text, let node): held[node] = try NodeGroup.decoded(text, from: node)
            case .signal(let number): throw .signal(number)
            case .said(.ready, _, _), .input: break
            case .ended, nil: throw .unexpected("a node has ended before it held anything")
            }
        }
        let all = held.compactMap(\.self)
        description = HoldNodesResult(
            pid: HostKernel.processID, pages: memory.pages, hugePageBytes: memory.pageSize.bytes, scheme: memory.scheme,
            nodes: all)
    }

    /// Holds them until a line comes on standard input, or a signal.
    ///
    /// - Parameter forEndOfInput: whether the end of standard input ends it, too.
    /// - Throws: ``ExperimentError/node(_:)`` if a node ends before that; the others have been ended then.
    func awaitEnd(forEndOfInput: Bool = false) throws(ExperimentError) {
        var input = true
        while true {
            switch try group.next(orInput: input) {
            case .signal: return
            case .input:
                let byte = StandardStreams.nextByte()
                if byte == UInt8(ascii: "\n") { return }
                if byte == nil, forEndOfInput { return }
                // Started without a terminal: a signal is waited for.
                if byte == nil { input = false }
            case .said: break
            case .ended, nil: throw .unexpected("a node has ended by itself")
            }
        }
    }

    /// Has all nodes end in order. Returns what their walkers have read; nil if there were none.
    func end() throws(ExperimentError) -> HoldReads? {
        group.endInput()
        var sum: HoldReads?
        while let event = try group.next() {
            switch event {
            case .said(.result, let text, let node):
                let reads: HoldReads = try NodeGroup.decoded(text, from: node)
                sum = HoldReads(reads: (sum?.reads ?? 0) + reads.reads, wrong: (sum?.wrong ?? 0) + reads.wrong)
            // A second one does not wait for anybody.
            case .signal(let number): throw .signal(number)
            case .said, .ended, .input: break
            }
        }
        return sum
    }
}

/// What walkers have read while memory was held.
struct HoldReads: Hashable, Sendable, Codable {
    /// compound_heads.
    let reads: Int
    /// Those of them that were wrong.
    let wrong: Int
}

/// Where a held vmemmap is that is divided among emulated NUMA nodes.
struct HoldNodesResult: Hashable, Sendable, Codable {
    /// The process that leads the nodes, and holds nothing itself.
    let pid: Int32
    /// Huge pages of all nodes.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// How their vmemmap is shared.
    let scheme: Scheme
    /// The nodes, from 0.
    let nodes: [HoldResult]
}
