import HostMemory
import VmemmapEmulator

/// A held vmemmap, for people.
enum HoldReport {
    /// Where it is and what to look at it with.
    static func lines(_ result: HoldResult, restored: Bool, _ style: Style = .plain) -> [String] {
        style.wrapped([
            "pid     \(result.pid)",
            "region  \(result.regionStart)+\(result.regionLengthBytes.rawValue), "
                + "\(Format.bytes(result.regionLengthBytes))",
            "        \(Format.count(result.pages.rawValue)) x \(Format.bytes(result.hugePageBytes)) huge pages, "
                + "\(result.scheme.rawValue) scheme, \(restored ? "restored" : "optimized")",
            "look    vmemmap inspect --pid \(result.pid)",
            "        pmap -X \(result.pid); cat /proc/\(result.pid)/smaps_rollup; page-types -p \(result.pid) (root)",
            "Enter, SIGINT or SIGTERM ends it.",
        ])
    }

    /// The same of emulated nodes: a line for each.
    static func lines(_ result: HoldNodesResult, restored: Bool, _ style: Style = .plain) -> [String] {
        var table = TextTable(headings: ["node", "pid", "huge pages", "region"])
        for (node, held) in result.nodes.enumerated() {
            table.add([
                "\(node)", "\(held.pid)", Format.count(held.pages.rawValue),
                "\(held.regionStart)+\(held.regionLengthBytes.rawValue)",
            ])
        }
        return style.wrapped([
            "pid     \(result.pid), which leads \(Format.count(result.nodes.count, "emulated node")), a process each",
            "        \(Format.count(result.pages.rawValue)) x \(Format.bytes(result.hugePageBytes)) huge pages, "
                + "\(result.scheme.rawValue) scheme, \(restored ? "restored" : "optimized")",
            "",
        ]) + table.lines(style)
            + style.wrapped([
                "", "look    vmemmap inspect --pid PID of a node", "Enter, SIGINT or SIGTERM ends them all.",
            ])
    }
}
