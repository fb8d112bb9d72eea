import HostMemory
import VmemmapEmulator

extension DemoResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: PlanReport.hugePages(plan).capitalizedFirst,
            setting: PlanReport.setting(plan).capitalizedFirst, summary: summary, highlights: highlights,
            sections: [
                HTMLSection(
                    id: "mapping", title: "One huge page, before and after",
                    body: [
                        .paragraph(Markup(mappingText)), FrameFigure(before: before, after: after).markup,
                    ])
            ] + memory + [
                HTMLSection(
                    id: "claims", title: "What was claimed, and what was found",
                    body: [ClaimList.markup(proofs.map(claim))])
            ])
    }

    private var summary: String {
        let failed = proofs.count { $0.holds.value == false }
        let unmeasured = proofs.count { $0.holds.value == nil }
        if failed > 0 { return "\(failed) of \(proofs.count) claims do not hold; see below which." }
        if unmeasured > 0 { return "\(unmeasured) of \(proofs.count) claims could not be measured; the others hold." }
        return "All \(proofs.count) claims were put to the test on the host\u{2019}s own page tables, and hold."
    }

    private var highlights: [HTMLContent.Highlight] {
        var highlights: [HTMLContent.Highlight] = []
        if let before = figures(.populated)?.distinctFrames.value, let after = figures(.optimized)?.distinctFrames.value
        {
            highlights += [
                .init(
                    value: "\(CountText.grouped(before.rawValue)) \u{2192} \(CountText.grouped(after.rawValue))",
                    label: "frames behind the region, populated and optimized"),
                .init(
                    value: ByteText.short((before - after).bytes(pageSize: host.pageSizeBytes)),
                    label: "given back to the host"),
            ]
        }
        highlights.append(
            .init(
                value: ByteText.short(plan.netSavingBytes),
                label: "net of what the mappings cost, as planned"))
        highlights.append(
            .init(
                value: CountText.grouped(race.wrongReads),
                label: "wrong of \(CountText.grouped(race.reads)) reads under \(CountText.of(race.cycles, "cycle"))"))
        return highlights
    }

    private var mappingText: String {
        var text =
            "Huge page \(before.hugePage) has \(CountText.grouped(plan.vmemmapPagesPerHugePage.rawValue)) vmemmap pages. "
            + "Optimizing it gives the frames of \(CountText.grouped(plan.freedPagesPerHugePage.rawValue)) of them back: these pages "
            + "then show a shared frame, read-only."
        if let mappings = after.lastFrameMappings.value {
            text += " The frame that the last of them shows is mapped \(CountText.of(mappings, "time"))."
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

    private func claim(_ proof: Proof) -> ClaimList.Item {
        let failed = proof.figures.filter { $0.holds == false }.map { figure in
            "\(HTMLTable.words(figure.name)): expected \(figure.expected.value.map { "\($0)" } ?? "more than 0"), "
                + "measured \(figure.measured.value ?? 0)"
        }
        return ClaimList.Item(
            holds: proof.holds.value, text: DemoReport.sentence(proof, self), failure: failed.joined(separator: "; "),
            method: proof.method)
    }
}

extension String {
    /// With its first letter large, as a sentence starts.
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
