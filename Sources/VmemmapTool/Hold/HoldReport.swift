import HostMemory
import VmemmapEmulator

/// A held vmemmap, for people.
enum HoldReport {
    /// Where it is and what to look at it with.
    static func lines(_ result: HoldResult, restored: Bool, _ style: Style = .plain) -> [String] {
        style.wrapped([
            "pid     \(result.pid)",
            "region  \(result.regionStart)+\(result.regionLengthBytes), \(Format.bytes(result.regionLengthBytes))",
            "        \(Format.count(result.pages.rawValue)) x \(Format.bytes(result.hugePageBytes)) huge pages, "
                + "\(result.scheme.rawValue) scheme, \(restored ? "restored" : "optimized")",
            "look    vmemmap inspect --pid \(result.pid)",
            "        pmap -X \(result.pid); cat /proc/\(result.pid)/smaps_rollup; page-types -p \(result.pid) (root)",
            "Enter, SIGINT or SIGTERM ends it.",
        ])
    }

    /// What the walkers saw.
    static func line(reads: Int, wrong: Int) -> String {
        "walkers: \(Format.count(reads)) reads, \(Format.count(wrong)) wrong"
    }
}
