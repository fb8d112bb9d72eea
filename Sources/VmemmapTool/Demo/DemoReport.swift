import HostMemory
import VmemmapEmulator

/// A demo's result for people.
enum DemoReport {
    /// The report, line by line.
    static func lines(_ result: DemoResult, _ style: Style = .plain) -> [String] {
        let plan = result.plan
        // A first screen of 24 lines has the drawing and the table.
        var lines = style.wrapped(["vmemmap demo: \(PlanReport.title(plan))"]) + [""]
        lines += picture(result, style) + [""]
        lines += table(result, style) + [""]
        lines += style.wrapped(PlanReport.lines(result.host) + PlanReport.lines(plan)) + [""]
        lines += PMDTable.lines(result.plan, result.steps.map { ($0.step, $0.figures) }, style)
        // With a table more, what explains the first one would take a second screen.
        if plan.mapping == .pte || style.isVerbose { lines += style.notes(whyRSSRises(result)) + [""] }
        return lines + Check.lines(result.checks, style)
    }

    private static func picture(_ result: DemoResult, _ style: Style) -> [String] {
        let title = PlanReport.picture(result.after, result.plan)
        let labels = FrameLetters.labels([result.before, result.after])
        let before = FrameDrawing(result.before, labels: labels[0])
        let after = FrameDrawing(result.after, labels: labels[1])
        let beside = FrameDrawing.beside(before, "before", after, "after")
        let fits = beside.allSatisfy { $0.count + 2 <= style.width ?? .max }
        let drawing = fits ? beside : ["before"] + before.lines + ["", "after"] + after.lines
        return style.wrapped([title]) + drawing.map { "  " + $0 }
    }

    private static func table(_ result: DemoResult, _ style: Style) -> [String] {
        let method = result.countingMethod == .pfn ? "frame numbers" : "file offsets"
        return result.stepTable.lines(style)
            + style.notes(
                [
                    "RSS, PSS: smaps_rollup. Distinct frames: the region's pagemap, by \(method).",
                    "memfd: st_blocks. Page tables: VmPTE. Mappings: /proc/self/maps. Dash: none.",
                ] + FrameLetters.note([result.before, result.after]))
    }

    /// Why RSS is no measure, with the figures of this run.
    static func whyRSSRises(_ result: DemoResult) -> [String] {
        guard let optimized = result.figures(.optimized), let touched = result.figures(.touched),
            let rss = change(optimized.rssBytes, touched.rssBytes),
            let pss = change(optimized.pssBytes, touched.pssBytes),
            let framesBefore = optimized.distinctFrames.value, let framesAfter = touched.distinctFrames.value
        else {
            return ["This kernel has no smaps_rollup, so there is no RSS to compare (Linux 4.14 has it)."]
        }
        return [
            "Why RSS is no measure: it counts page table entries, not frames. Optimizing took",
            "the tails' entries away; a walker that read every tail brought them back, and",
            "RSS went \(rss). The frames behind the region were",
            "\(Format.count(framesBefore.rawValue)) before it and \(Format.count(framesAfter.rawValue)) after: "
                + "what was given back stayed given back. PSS,",
            "which shares a frame out, went \(pss): the shared frames.",
        ]
    }

    private static func change(_ before: Measured<ByteCount>, _ after: Measured<ByteCount>) -> String? {
        guard let before = before.value, let after = after.value else { return nil }
        return "from \(Format.bytes(before)) to \(Format.bytes(after))"
    }
}
