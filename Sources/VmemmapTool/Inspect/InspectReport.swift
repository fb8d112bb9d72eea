import HostMemory
import VmemmapEmulator

/// What an outsider found in a held vmemmap, for people.
enum InspectReport {
    /// The report, line by line.
    static func lines(_ result: InspectResult, _ style: Style = .plain) -> [String] {
        style.wrapped(
            ["vmemmap inspect: process \(result.pid), read from outside", ""] + PlanReport.lines(result.host)
                + region(result)) + [""]
            + picture(result, style) + [""] + figures(result, style) + [""]
            + style.wrapped(["-     contents of the pages: not read"])
            + Check.lines(result.checks, style)
    }

    /// Where it is, what it is, and what became of its huge pages.
    static func region(_ result: InspectResult) -> [String] {
        [
            "region  \(result.regionStart)+\(result.regionLengthBytes.rawValue), "
                + "\(Format.bytes(result.regionLengthBytes))",
            "        \(PlanReport.title(result.plan))", "        \(pages(result))",
        ]
    }

    static func pages(_ result: InspectResult) -> String {
        let pages = result.pages
        return "\(Format.count(pages.optimized.rawValue)) optimized, "
            + "\(Format.count(pages.unoptimized.rawValue)) with frames of their own, "
            + "\(Format.count(pages.neither.rawValue)) neither"
    }

    static func picture(_ result: InspectResult, _ style: Style) -> [String] {
        let title = PlanReport.picture(result.picture, result.plan)
        return style.wrapped([title]) + [""] + FrameDrawing(result.picture).lines.map { "  " + $0 }
            + style.notes(FrameLetters.note([result.picture]))
    }

    private static func figures(_ result: InspectResult, _ style: Style) -> [String] {
        let method = result.countingMethod == .pfn ? "frame numbers" : "file offsets"
        return result.tables.flatMap { $0.lines(style) }
            + style.notes([
                "Frames, present pages: pagemap (\(method)). PSS: kpagecount (root). memfd:",
                "st_blocks. smaps rounds PSS down in every mapping. Process: smaps_rollup.",
            ])
    }
}
