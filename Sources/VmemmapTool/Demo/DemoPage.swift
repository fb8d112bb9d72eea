import HostMemory
import VmemmapEmulator

extension DemoResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: PlanReport.hugePages(plan).capitalizedFirst,
            setting: PlanReport.setting(plan).capitalizedFirst, highlights: highlights,
            sections: [
                HTMLSection(
                    id: "mapping", title: "One huge page, before and after",
                    body: [
                        .paragraph(Markup(mappingText)), FrameFigure(before: before, after: after).markup,
                    ])
            ] + memory + Check.sections(checks, title: "What was checked, on the host\u{2019}s own page tables"))
    }

    private var highlights: [HTMLContent.Highlight] {
        var highlights: [HTMLContent.Highlight] = []
        if let before = figures(.populated)?.distinctFrames.value, let after = figures(.optimized)?.distinctFrames.value
        {
            highlights += [
                .init(
                    value: "\(Format.count(before.rawValue)) \u{2192} \(Format.count(after.rawValue))",
                    label: "frames behind the region, populated and optimized"),
                .init(
                    value: Format.bytes((before - after).bytes(pageSize: host.pageSizeBytes)),
                    label: "given back to the host"),
            ]
        }
        highlights.append(
            .init(
                value: Format.bytes(plan.netSavingBytes),
                label: "net of what the mappings cost, by the plan"))
        highlights.append(
            .init(
                value: Format.count(race.wrongReads),
                label: "wrong of \(Format.count(race.reads)) reads under \(Format.count(race.cycles, "cycle"))"))
        return highlights
    }

    private var mappingText: String {
        var text =
            "Huge page \(before.hugePage.rawValue) has \(Format.count(plan.vmemmapPagesPerHugePage.rawValue)) vmemmap "
            + "pages. "
            + "Optimizing it gives the frames of \(Format.count(plan.freedPagesPerHugePage.rawValue)) of them back: "
            + "these pages "
            + "then show a shared frame, read-only."
        if let mappings = after.lastFrameMappings.value {
            text += " The frame that the last of them shows is mapped \(Format.count(mappings, "time"))."
        }
        if before.vmemmapPages.count < plan.vmemmapPagesPerHugePage.rawValue {
            text += " The first and the last are drawn."
        }
        return text
    }

    private var memory: [HTMLSection] {
        guard let timeline = timeline.value, let figure = TimelineFigure.figure(timeline) else { return [] }
        return [
            HTMLSection(
                id: "time", title: "Memory over time, and why RSS is no measure",
                body: [.paragraph(Markup(DemoReport.whyRSSRises(self).joined(separator: " "))), figure.markup])
        ]
    }
}
