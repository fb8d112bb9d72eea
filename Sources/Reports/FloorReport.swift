public import Experiments
internal import VmemmapEmulator

/// The engine beside the bare C loop, for people.
public enum FloorReport {
    /// The report, line by line.
    public static func lines(_ result: FloorResult, _ style: Style = .plain) -> [String] {
        let plan = result.plan
        var table = TextTable(headings: [
            "per huge page", "engine\nmedian", "bare C\nmedian", "ratio\nmedian", "min", "max",
        ])
        for (name, operation) in [("optimize", result.optimize), ("restore", result.restore)] {
            table.add([
                name, microseconds(operation.engineNanosecondsPerPageMedian),
                microseconds(operation.floorNanosecondsPerPageMedian), ratio(operation.ratioMedian),
                ratio(operation.ratioMin), ratio(operation.ratioMax),
            ])
        }
        return style.wrapped(
            ["vmemmap bench: \(PlanReport.title(plan)), \(CountText.of(result.runs, "alternating pair"))", ""]
                + PlanReport.lines(result.host)) + [""] + table.lines(style)
            + style.notes([
                "Ratios are taken pair by pair: the engine and a bare C loop of the same system calls, one right after the other, on",
                "the same region.",
            ]) + style.wrapped(growth(result))
    }

    private static func growth(_ result: FloorResult) -> [String] {
        guard let growth = result.growth.value else { return [] }
        let from = CountText.grouped(growth.fromPages.rawValue)
        let to = CountText.grouped(result.plan.pages.rawValue)
        return [
            "",
            "From \(from) to \(to) huge pages the time for one grows: optimize \(ratio(growth.engineOptimize)) x "
                + "(bare C \(ratio(growth.floorOptimize)) x), restore \(ratio(growth.engineRestore)) x "
                + "(bare C \(ratio(growth.floorRestore)) x).",
        ]
    }

    private static func microseconds(_ nanoseconds: Double) -> String {
        DurationText.short(nanoseconds: Int(nanoseconds.rounded()))
    }

    private static func ratio(_ value: Double) -> String {
        let thousandths = Int((value * 1000).rounded())
        let rest = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}
