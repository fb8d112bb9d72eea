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
                [
                    "vmemmap savings: \(PlanReport.title(plan)), \(ByteText.short(memory(plan))) of HugeTLB memory", "",
                ] + PlanReport.lines(result.host) + PlanReport.lines(plan)) + [""]
        guard !result.rows.isEmpty else { return head + ["A dry run: nothing was mapped."] }
        var table = TextTable(headings: [
            "", "distinct\nframes", "planned", "gross", "mappings", "page\ntables", "templates", "net", "time",
        ])
        for row in result.rows {
            table.add([
                row.step.rawValue, CountText.grouped(row.distinctFrames.rawValue),
                CountText.grouped(row.expectedFrames.rawValue), ByteText.short(row.grossSavingBytes),
                ByteText.short(row.mappingBytes), ByteText.short(row.pageTableBytes), ByteText.short(row.templateBytes),
                ByteText.short(row.netSavingBytes), DurationText.short(nanoseconds: row.durationNanoseconds),
            ])
        }
        let wrong = result.wrongReads.value ?? 0
        let since = result.construction == .populated ? "since populated" : "from nothing"
        let given = result.construction == .populated ? "frames given back" : "frames never taken"
        return head + table.lines(style)
            + style.notes([
                "Gross: \(given), from pagemap. Net: less the mappings (\(result.host.mappingCostBytes) bytes each), the growth",
                "of page tables \(since), and the template frames. \(wrong) wrong reads by the walker that touched all.",
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
            "Built optimized: the tails were never populated. At most \(ByteText.short(peak)) of memory while it was built (growth of VmHWM",
            "and the memory file together), for frames of \(ByteText.short(frames)); populated it would have been "
                + "\(ByteText.short(result.plan.regionBytes)).", "",
        ]
    }

    private static func memory(_ plan: PlanBlock) -> ByteCount { plan.hugePageBytes * plan.pages.rawValue }
}
