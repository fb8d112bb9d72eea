import HostMemory
import VmemmapEmulator

/// What an outsider found in the processes of emulated NUMA nodes.
struct InspectNodesResult: Hashable, Sendable, Codable {
    /// Where they were looked at.
    let host: HostBlock
    /// What was asked for, of all nodes together.
    let configuration: InspectResult.Configuration
    /// The nodes, from 0, each as if it had been looked at alone.
    let nodes: [InspectResult]
    /// The checks of all of them together.
    let checks: [Check]

    /// Looks at the processes one after the other.
    init(_ processes: [Int32], _ configuration: InspectResult.Configuration) throws(ExperimentError) {
        host = try HostBlock.current()
        self.configuration = configuration
        nodes = try processes.map { (pid) throws(ExperimentError) in
            try InspectExperiment(pid: pid, configuration: configuration).run()
        }
        checks = Check.all(ofNodes: nodes.map(\.checks))
    }
}

extension InspectNodesResult: ExportableResult {
    static var command: String { "inspect" }

    var tables: [ExportTable] { [table] }

    private var table: ExportTable {
        ExportTable(
            "node", "The figures of each emulated node's region.", Array(nodes.enumerated()),
            [.label("node", "The emulated node.") { "\($0.offset)" }.shown("node")] + ExportColumn.region(\.element))
    }
}

extension InspectReport {
    /// The report of several nodes. Of each that is not the first a picture is drawn only if everything is to be told.
    static func lines(ofNodes result: InspectNodesResult, _ style: Style = .plain) -> [String] {
        let title = "vmemmap inspect: \(Format.count(result.nodes.count, "emulated node")), read from outside"
        let nodes = result.nodes.enumerated().flatMap { number, node in
            style.wrapped(["node \(number)  process \(node.pid)"] + region(node))
                + (number == 0 || style.isVerbose ? [""] + picture(node, style) + [""] : [])
        }
        return style.wrapped([title, ""] + PlanReport.lines(result.host)) + [""] + nodes + [""]
            + result.tables.flatMap { $0.lines(style) } + [""] + Check.lines(result.checks, style)
    }
}
