import HostMemory
import VmemmapEmulator

extension InspectResult {
    /// What its page shows before the tables: as the report, process, region, scheme and drawing.
    var html: HTMLContent {
        HTMLContent(
            subject: "Process \(pid), read from outside",
            setting: "Region \(regionStart), \(Format.bytes(regionLengthBytes)): \(PlanReport.title(plan))",
            summary: "\(InspectReport.pages(self)).",
            highlights: [
                .init(value: Format.count(figures.distinctFrames.rawValue), label: "frames behind the region"),
                .init(
                    value: Format.count(figures.regionMappings.rawValue), label: "mappings of the region (maps)"),
            ],
            sections: [
                HTMLSection(
                    id: "mapping", title: "A huge page in the middle",
                    body: [
                        .paragraph(Markup("\(PlanReport.picture(picture, plan).capitalizedFirst).")),
                        FrameFigure(
                            id: "frames", [.init(id: "now", title: "Now", picture: picture)]
                        ).markup,
                    ])
            ] + Check.sections(checks, title: "What was checked, on the host\u{2019}s own page tables")
                + TableFigures.sections(tables))
    }
}
