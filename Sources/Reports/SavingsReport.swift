public import Experiments
internal import HostMemory
internal import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory, for people.
public enum SavingsReport {
    /// The report, line by line.
    public static func lines(_ result: SavingsResult, _ style: Style = .plain) -> [String] {
        let plan = result.plan
        let head =
            style.wrapped(
                ["vmemmap savings: \(ByteText.short(memory(plan))) of HugeTLB memory, \(PlanReport.title(plan))", ""]
                    + PlanReport.lines(result.host) + PlanReport.lines(plan)) + [""]
        guard !result.rows.isEmpty else { return head + ["A dry run: nothing was mapped."] }
        var table = TextTable(
            headings: [
                "", "distinct\nframes", "planned", "gross", "mappings", "page\ntables", "tem-\nplates", "net", "time",
            ], dispensable: ["planned"])
        for row in result.rows {
            table.add([
                row.step.rawValue, CountText.grouped(row.distinctFrames.rawValue),
                CountText.grouped(row.expectedFrames.rawValue), ByteText.brief(row.grossSavingBytes),
                ByteText.brief(row.mappingBytes), ByteText.brief(row.pageTableBytes), ByteText.brief(row.templateBytes),
                ByteText.brief(row.netSavingBytes), DurationText.short(nanoseconds: row.durationNanoseconds),
            ])
        }
        let wrong = result.wrongReads.value ?? 0
        let since = result.construction == .populated ? "since populated" : "from nothing"
        let given = result.construction == .populated ? "frames given back" : "frames never taken"
        return head + table.lines(style)
            + style.notes([
                "Gross: \(given), from pagemap. Net: less mappings (\(result.host.mappingCostBytes) bytes each),",
                "growth of page tables \(since), template frames. Wrong reads: \(wrong).",
            ]) + [""] + style.wrapped(peak(result)) + HugeBaseReport.lines(plan, steps(result), style)
            + [style.verdict(result.holds, result.holds ? "as planned" : "NOT as planned")]
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
            "Built optimized, the tails never populated: at most \(ByteText.short(peak)) of memory for",
            "frames of \(ByteText.short(frames)) (growth of VmHWM and of the memory file); populated: "
                + "\(ByteText.short(result.plan.regionBytes)).", "",
        ]
    }

    private static func memory(_ plan: PlanBlock) -> ByteCount { plan.hugePageBytes * plan.pages.rawValue }
}
