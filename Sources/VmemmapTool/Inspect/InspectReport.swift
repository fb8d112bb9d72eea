import HostMemory
import VmemmapEmulator

/// What an outsider found in a held vmemmap, for people.
enum InspectReport {
    /// The report, line by line.
    static func lines(_ result: InspectResult, _ style: Style = .plain) -> [String] {
        style.wrapped(
            ["vmemmap inspect: process \(result.pid), read from outside", ""] + PlanReport.lines(result.host) + [
                "region  \(result.regionStart)+\(result.regionLengthBytes), \(ByteText.short(result.regionLengthBytes))",
                "        \(PlanReport.title(result.plan))", "        \(pages(result))",
            ]) + [""]
            + picture(result, style) + [""] + figures(result, style) + [""] + checks(result, style)
    }

    private static func pages(_ result: InspectResult) -> String {
        let pages = result.pages
        return "\(CountText.grouped(pages.optimized.rawValue)) optimized, "
            + "\(CountText.grouped(pages.unoptimized.rawValue)) with frames of their own, "
            + "\(CountText.grouped(pages.neither.rawValue)) neither"
    }

    private static func picture(_ result: InspectResult, _ style: Style) -> [String] {
        let title = PlanReport.picture(result.picture, result.plan)
        return style.wrapped([title]) + [""] + FrameDrawing(result.picture).lines.map { "  " + $0 }
    }

    private static func figures(_ result: InspectResult, _ style: Style) -> [String] {
        let figures = result.figures
        let page = result.host.pageSizeBytes
        var table = TextTable(headings: [
            "", "RSS\nKiB", "PSS\nKiB", "smaps RSS\nsum, KiB", "smaps PSS\nsum, KiB", "distinct\nframes", "memfd\nKiB",
            "mappings",
        ])
        table.add([
            "region", ByteText.kibibytes(page * figures.presentPages.rawValue), text(figures.pssBytes),
            ByteText.kibibytes(figures.smapsRssBytes), ByteText.kibibytes(figures.smapsPssBytes),
            "\(figures.distinctFrames)", text(figures.memfdBytes), "\(figures.regionMappings)",
        ])
        table.add(["process", text(figures.processRssBytes), text(figures.processPssBytes), "-", "-", "-", "-", "-"])
        let method = result.countingMethod == .pfn ? "frame numbers" : "file offsets"
        return table.lines(style)
            + style.notes([
                "Region: RSS, frames: pagemap (\(method)). PSS: kpagecount (root). memfd:",
                "st_blocks. smaps rounds PSS down in every mapping. Process: smaps_rollup.",
            ])
    }

    private static func text(_ bytes: Measured<ByteCount>) -> String { bytes.value.map(ByteText.kibibytes) ?? "-" }

    private static func checks(_ result: InspectResult, _ style: Style) -> [String] {
        result.checks.flatMap { check in
            let measured = check.measured.value.map { CountText.grouped($0) } ?? "not measured"
            let scheme = check.expected.value.map { (check.isUpperBound ? "at most " : "") + CountText.grouped($0) }
            let line =
                (check.holds.map(style.mark) ?? "-     ")
                + "\(name(check.subject)): the scheme says \(scheme ?? "nothing of huge pages out of it"), "
                + "found \(measured)"
            return style.wrapped([line])
        } + style.wrapped(result.firstDifference.value.map { ["      " + $0] } ?? [])
            + style.wrapped(["-     contents of the pages: not read"])
            + style.wrapped([verdict(result)]).map { style.verdict(result.holds, $0) }
    }

    private static func verdict(_ result: InspectResult) -> String {
        if !result.holds { return "it is NOT what the scheme says" }
        return "seen from outside, it is what the scheme says"
            + (result.isComplete ? "" : ", as far as it could be measured")
    }

    private static func name(_ subject: InspectResult.Check.Subject) -> String {
        switch subject {
        case .hugePagesOutOfScheme: "huge pages out of scheme"
        case .pagesMappedOtherwise: "vmemmap pages mapped otherwise"
        case .guardPages: "guard pages"
        case .zeroPages: "vmemmap pages that show the kernel's zero page"
        case .distinctFrames: "distinct frames"
        case .regionMappings: "mappings of the region"
        case .memfdBytes: "bytes of the memory file"
        }
    }
}
