import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory, for people.
enum SavingsReport {
    /// The report, line by line.
    static func lines(_ result: SavingsResult, _ style: Style = .plain) -> [String] {
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
                "Gross: \(given), from pagemap and the memory file's st_blocks. Net: less mappings (\(result.host.mappingCostBytes) bytes each),",
                "growth of page tables \(since), template frames. Wrong reads: \(wrong).",
            ]) + [""] + style.wrapped(peak(result)) + PMDMappedReport.lines(plan, steps(result), style)
            + style.wrapped(differences(result)) + [style.verdict(result.holds, verdict(result))]
    }

    private static func verdict(_ result: SavingsResult) -> String {
        if !result.holds { return "NOT as planned" }
        return "as planned" + (result.isComplete ? "" : ", as far as it could be measured")
    }

    /// What is not as planned, or could not be measured, step by step.
    private static func differences(_ result: SavingsResult) -> [String] {
        var lines: [String] = []
        for row in result.rows {
            if row.distinctFrames != row.expectedFrames {
                lines.append(
                    "\(row.step.rawValue): \(CountText.grouped(row.distinctFrames.rawValue)) frames are mapped, "
                        + "\(CountText.grouped(row.expectedFrames.rawValue)) planned")
            }
            let planned = "\(CountText.grouped(row.expectedMemfdBytes.rawValue)) bytes planned"
            if let held = row.figures.memfdBytes.value, held != row.expectedMemfdBytes {
                lines.append(
                    "\(row.step.rawValue): the memory file holds \(CountText.grouped(held.rawValue)) bytes, \(planned)")
            } else if row.figures.memfdBytes.value == nil {
                lines.append("\(row.step.rawValue): what the memory file holds was not measured, \(planned)")
            }
        }
        switch result.splitsHugePages {
        case true?: break
        case false?: lines.append("optimized: parts of huge pages that were not split are replaced, and not given back")
        case nil: lines.append("whether huge pages were split was not measured: /proc/kpageflags is shown to root")
        }
        return lines
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
