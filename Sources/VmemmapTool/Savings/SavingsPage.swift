import HostMemory
import VmemmapEmulator

extension SavingsResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        let memory = plan.hugePageBytes * plan.pages.rawValue
        return HTMLContent(
            subject: "\(ByteText.short(memory)) of HugeTLB memory in \(PlanReport.hugePages(plan))",
            setting: PlanReport.setting(plan).capitalizedFirst, summary: summary,
            highlights: highlights,
            sections: parts + time + CoverLetter(self).sections)
    }

    private var summary: String {
        if rows.isEmpty { return "A dry run: nothing was mapped, and what is below was planned, not measured." }
        let reads = "\(CountText.grouped(wrongReads.value ?? 0)) reads were wrong."
        return holds
            ? "The frames behind the region and in the memory file are those planned after every step"
                + (isComplete ? ", and \(reads)" : ", as far as they could be measured, and \(reads)")
            : "The frames behind the region or in the memory file are not those planned after every step, or reads were wrong: "
                + reads
    }

    /// The row that shows what optimizing saves once every tail has been read.
    var optimized: Row? { rows.last { $0.step == .touched || $0.step == .optimized } }

    private var highlights: [HTMLContent.Highlight] {
        guard let row = optimized else {
            return [
                .init(value: ByteText.short(plan.regionBytes), label: "of struct pages"),
                .init(value: ByteText.short(plan.grossSavingBytes), label: "would be given back, as planned"),
                .init(value: ByteText.short(plan.netSavingBytes), label: "net of what the mappings cost, as planned"),
            ]
        }
        return [
            .init(value: ByteText.short(plan.regionBytes), label: "of struct pages"),
            .init(
                value: "\(CountText.grouped(plan.framesPopulated.rawValue)) \u{2192} "
                    + CountText.grouped(row.distinctFrames.rawValue),
                label: "frames behind them, by plan and as measured, optimized"),
            .init(
                value: ByteText.short(row.grossSavingBytes),
                label: construction == .populated ? "given back" : "never taken"),
            .init(value: ByteText.short(row.netSavingBytes), label: "net of mappings, page tables and templates"),
        ]
    }

    /// What the region takes at each step.
    private var parts: [HTMLSection] {
        if rows.isEmpty { return [] }
        let stack = rows.map { row in
            let used = host.pageSizeBytes * row.distinctFrames.rawValue - row.templateBytes
            let costs = row.mappingBytes + max(.zero, row.pageTableBytes) + row.templateBytes
            return StackFigure.Row(
                name: row.step.rawValue, text: ByteText.short(row.netSavingBytes) + " saved",
                parts: [used, costs, row.netSavingBytes].map { (Double($0.rawValue), ByteText.short($0)) })
        }
        let most = stack.map { Int($0.parts.reduce(0) { $0 + max(0, $1.value) }) }.max() ?? 1
        let axis = Axis.bytes(upTo: most, count: 5)
        let figure = StackFigure(
            key: FigureKey(names: [("frames in use", "used"), ("its cost", "cost"), ("saved, net", "saved")]),
            rows: stack, axis: axis, axisName: "memory for the struct pages, \(axis.unit)")
        let source =
            "Frames: different frames behind the region (pagemap), templates apart. Cost: its mappings at "
            + "\(host.mappingCostBytes) bytes each (\(host.mappingCostSource.rawValue)), the growth of page tables (VmPTE), and "
            + "template frames. Saved: what is left of "
        return [
            HTMLSection(
                id: "parts", title: "Where the memory goes",
                body: [
                    Figure(
                        id: "stack", title: "Memory for the struct pages after each step",
                        description: rows.map {
                            "\($0.step.rawValue): \(CountText.of($0.distinctFrames.rawValue, "frame")), "
                                + "\(ByteText.short($0.netSavingBytes)) saved net"
                        }.joined(separator: "; "),
                        caption: source
                            + (construction == .populated
                                ? "the frames when populated."
                                : "the frames there would be, populated (the plan\u{2019}s)."),
                        draw: figure.draw
                    ).markup
                ])
        ]
    }

    private var time: [HTMLSection] {
        guard let timeline = timeline.value, let figure = TimelineFigure.figure(timeline) else { return [] }
        return [HTMLSection(id: "time", title: "Memory over time", body: [figure.markup])]
    }
}
