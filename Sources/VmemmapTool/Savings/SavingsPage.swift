import HostMemory
import VmemmapEmulator

extension SavingsResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: "\(PlanReport.memory(plan)) in \(PlanReport.hugePages(plan))",
            setting: PlanReport.setting(plan).capitalizedFirst, summary: summary,
            highlights: highlights,
            sections: parts + time + CoverLetter(self).sections + Check.sections(checks))
    }

    private var summary: String {
        let nodes =
            nodes.isEmpty
            ? "" : "Divided among \(Format.count(nodes.count, "emulated NUMA node")), a process each; all is their sum."
        let isDry = rows.isEmpty ? "A dry run: nothing was mapped, and what is below was planned, not measured." : ""
        return ([isDry, nodes] + notes.map { "\($0)." }).filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// The row that shows what optimizing saves once every tail has been read.
    var optimized: Row? { rows.last { $0.step == .touched || $0.step == .optimized } }

    private var highlights: [HTMLContent.Highlight] {
        guard let row = optimized else {
            return [
                .init(value: Format.bytes(plan.regionBytes), label: "of struct pages"),
                .init(value: Format.bytes(plan.grossSavingBytes), label: "would be given back, by the plan"),
                .init(value: Format.bytes(plan.netSavingBytes), label: "net of what the mappings cost, by the plan"),
            ]
        }
        return [
            .init(value: Format.bytes(plan.regionBytes), label: "of struct pages"),
            .init(
                value: "\(Format.count(plan.framesPopulated.rawValue)) \u{2192} "
                    + Format.count(row.distinctFrames.rawValue),
                label: "frames behind them, by plan and as measured, optimized"),
            .init(
                value: Format.bytes(row.grossSavingBytes),
                label: construction == .populated ? "given back" : "never taken"),
            .init(value: Format.bytes(row.netSavingBytes), label: "net of mappings, page tables and templates"),
        ]
    }

    /// What the region takes at each step.
    private var parts: [HTMLSection] {
        if rows.isEmpty { return [] }
        let stack = rows.map { row in
            let used = host.pageSizeBytes * row.distinctFrames.rawValue - row.templateOverheadBytes
            let costs = row.mappingOverheadBytes + max(.zero, row.pageTableOverheadBytes) + row.templateOverheadBytes
            return BarFigure.Row(
                row.step.rawValue, text: Format.bytes(row.netSavingBytes) + " saved",
                [used, costs, row.netSavingBytes].map { (Double($0.rawValue), Format.bytes($0)) })
        }
        let most = stack.map { Int($0.bars.reduce(0) { $0 + max(0, $1?.value ?? 0) }) }.max() ?? 1
        let axis = Axis.bytes(upTo: most, count: 5)
        let figure = BarFigure(
            rows: stack, axis: axis, axisName: "memory for the struct pages, \(axis.unit)",
            key: FigureKey(names: [("frames in use", "used"), ("its cost", "cost"), ("saved, net", "saved")]),
            isStacked: true)
        let source =
            "Frames: different frames behind the region (pagemap), templates apart. Cost: its mappings at "
            + "\(host.mappingCostBytes.rawValue) bytes each (\(host.mappingCostSource.rawValue)), the growth of page "
            + "tables "
            + "(VmPTE), and "
            + "template frames. Saved: what is left of "
        return [
            HTMLSection(
                id: "parts", title: "Where the memory goes",
                body: [
                    Figure(
                        id: "stack", title: "Memory for the struct pages after each step",
                        description: rows.map {
                            "\($0.step.rawValue): \(Format.count($0.distinctFrames.rawValue, "frame")), "
                                + "\(Format.bytes($0.netSavingBytes)) saved net"
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
