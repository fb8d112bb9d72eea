import HostMemory

extension PoolResult {
    /// What its page shows before the tables: the script as a course of the pools, and what was checked.
    var html: HTMLContent {
        HTMLContent(
            subject: "A pool script, line by line",
            setting: "\(configuration.script), \(Format.count(lines.count, "line"))",
            sections: (course.map { [$0] } ?? []) + Check.sections(checks, showsFigures: comparison.value != nil))
    }

    /// Frames, optimized huge pages and surplus, after each line; nil where no line left a machine.
    private var course: HTMLSection? {
        let after = lines.compactMap { line in line.machine.value.map { (line: line, machine: $0) } }
        guard let first = after.first, let last = after.last, after.count > 1 else { return nil }
        func panel(_ name: String, _ figure: (PoolFigures) -> Int) -> LineFigure.Panel {
            let values = after.map { figure($0.machine) }
            return LineFigure.Panel(
                name: name, axis: .count(upTo: values.max() ?? 0, count: 3),
                series: [
                    LineFigure.Series(
                        style: "pss", points: zip(after, values).map { (Double($0.line.number), Double($1)) },
                        titles: after.count > 40
                            ? []
                            : zip(after, values).map {
                                "line \($0.line.number), \($0.line.statement): \(Format.count($1))"
                            })
                ], note: "in the end \(Format.count(values.last ?? 0))")
        }
        func all(_ count: @escaping (PoolFigures.Pool) -> Int) -> (PoolFigures) -> Int {
            { $0.pools.reduce(0) { $0 + count($1) } }
        }
        let panels = [
            panel("frames of struct pages", \.measured.distinctFrames.rawValue),
            panel("huge pages optimized", all(\.optimizedPages)), panel("huge pages in surplus", all(\.surplusPages)),
        ]
        let (from, to) = (first.line.number, last.line.number)
        let figure = LineFigure(
            panels: panels, bands: [], axis: .numbers(upTo: to, count: min(to, 12)), axisName: "line of the script",
            range: Double(from) - 0.5...Double(to) + 0.5)
        return HTMLSection(
            id: "course", title: "Over the script",
            body: [
                Figure(
                    id: "pools", title: "The pools after each line",
                    description: panels.map { "\($0.name): \($0.note)" }.joined(separator: "; "),
                    caption: "Frames: different ones behind the machine\u{2019}s struct pages (pagemap). Optimized and "
                        + "surplus: huge pages of all sizes. Lines that only say something are left out.",
                    draw: figure.draw
                ).markup
            ])
    }
}
