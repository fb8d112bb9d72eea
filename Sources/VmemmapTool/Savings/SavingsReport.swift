import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory, for people.
enum SavingsReport {
    /// The report, line by line.
    static func lines(_ result: SavingsResult, _ style: Style = .plain) -> [String] {
        let plan = result.plan
        let head =
            style.wrapped(
                ["vmemmap savings: \(PlanReport.memory(plan)), \(PlanReport.title(plan))", ""]
                    + PlanReport.lines(result.host) + PlanReport.lines(plan) + nodes(result)) + [""]
        guard !result.rows.isEmpty else { return head + ["A dry run: nothing was mapped."] }
        let since = result.construction == .populated ? "since populated" : "from nothing"
        let given = result.construction == .populated ? "frames given back" : "frames never taken"
        return head + result.stepTable.lines(style) + nodeTable(result, style)
            + style.notes([
                "Gross: \(given), from pagemap and the memory file's st_blocks. Net: less mappings "
                    + "(\(result.host.mappingCostBytes.rawValue) bytes each),",
                "growth of page tables \(since), template frames."
                    + (result.nodes.isEmpty ? "" : " PSS: smaps_rollup of each node."),
            ]) + [""] + style.wrapped(peak(result)) + PMDTable.lines(plan, steps(result), style)
            + style.wrapped(result.notes.map { "Note: \($0)." }) + Check.lines(result.checks, style)
    }

    /// Into what it was divided.
    private static func nodes(_ result: SavingsResult) -> [String] {
        guard let largest = result.nodes.first else { return [] }
        return [
            "nodes   \(Format.count(result.nodes.count, "emulated NUMA node")), a process each, of "
                + "\(Format.count(largest.pages.rawValue, "huge page")) at most; all figures are their sum"
        ]
    }

    /// A row a node, once every tail has been read.
    private static func nodeTable(_ result: SavingsResult, _ style: Style) -> [String] {
        guard style.isVerbose, !result.nodes.isEmpty, let step = result.optimized?.step else { return [] }
        return [""] + result.nodeTable { $0.step == step }.lines(style)
    }

    /// The steps, from before there was a region.
    private static func steps(_ result: SavingsResult) -> [(Step, MemoryFigures)] {
        let baseline = result.baseline.value.map { [(Step.baseline, $0)] } ?? []
        return baseline + result.rows.map { ($0.step, $0.figures) }
    }

    private static func peak(_ result: SavingsResult) -> [String] {
        guard let peak = result.peakBytes.value, let built = result.rows.first else { return [] }
        let frames = result.host.pageSizeBytes * built.distinctFrames.rawValue
        return [
            "Built optimized, the tails never populated: at most \(Format.bytes(peak)) of memory for",
            "frames of \(Format.bytes(frames)) (growth of VmHWM and of the memory file); populated: "
                + "\(Format.bytes(result.plan.regionBytes)).", "",
        ]
    }
}
