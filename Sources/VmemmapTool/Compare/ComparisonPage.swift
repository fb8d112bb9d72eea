import HostMemory

extension ComparisonResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        let changed = changed
        return HTMLContent(
            subject: "What changed between two runs of \(Tool.name) \(comparedCommand)",
            summary: sentence(changed), sources: [("Old", old), ("New", new)].map(Self.markup),
            tables: [Self.people(rows)],
            sections: [
                changed.isEmpty
                    ? nil
                    : HTMLSection(id: "changed", title: "What changed", body: [HTMLTable(Self.people(changed)).plain]),
                differentConfiguration.isEmpty
                    ? nil
                    : HTMLSection(
                        id: "asked", title: "They were not asked for the same",
                        body: [
                            .paragraph("Old, then new:"),
                            .element("ul", [:], differentConfiguration.map { .element("li", [:], [Markup($0)]) }),
                        ]),
                RatioDots.figure(rows).map {
                    HTMLSection(id: "ratios-section", title: "New over old", body: [$0.markup])
                },
            ].compactMap(\.self))
    }

    /// What is more than noise or missing, what fails first, the largest ratio at the top.
    var changed: [Row] {
        let failing = Set(failures + lost)
        // Of the same ratio, in the order of the rows.
        func sorted(_ rows: [Row]) -> [Row] {
            rows.enumerated().sorted { (-($0.element.ratio ?? 0), $0.offset) < (-($1.element.ratio ?? 0), $1.offset) }
                .map(\.element)
        }
        return sorted(rows.filter(failing.contains)) + sorted(differences.filter { !failing.contains($0) })
    }

    private func sentence(_ changed: [Row]) -> String {
        let first = changed.prefix(3).map { row in
            "\(row.place), \(row.name): " + (row.ratio.map { "\(Format.decimal($0, 3)) times" } ?? "no longer the same")
        }
        let names =
            first.isEmpty
            ? ""
            : " More than noise: \(first.joined(separator: "; "))\(changed.count > first.count ? "; and others" : "")."
        return (reasons.isEmpty ? "" : "\(reasons.joined(separator: "; ").capitalizedFirst).") + names
            + " \(summary.capitalizedFirst)."
    }

    private static func markup(_ name: String, _ source: Source) -> Markup {
        let run = source.run.value
        return .element(
            "p", ["class": "host"],
            [
                .element("strong", [:], [Markup("\(name): ")]),
                Markup(
                    ([run?.hostName, run?.startedAt].compactMap(\.self) + [PlanReport.host(source.host)]).joined(
                        separator: ", ")),
                .element("br"), .element("code", [:], [Markup(run?.commandLine ?? source.file)]),
            ])
    }

    /// Figures for people, with their ranges.
    private static func people(_ rows: [Row]) -> ExportTable {
        func range(_ row: Row, _ range: Measured<[Double]>) -> String {
            range.value.map { $0.map(row.text).joined(separator: " to ") } ?? ""
        }
        return ExportTable(
            "figure", "New beside old, with the range of each over its runs.", rows,
            [
                .text("figure", "The figure.") { "\($0.place), \($0.name)" },
                .text("old", "The old one.") { $0.text($0.old.value) },
                .text("old_range", "Over its runs.") { range($0, $0.oldRange) },
                .text("new", "The new one.") { $0.text($0.new.value) },
                .text("new_range", "Over its runs.") { range($0, $0.newRange) },
                .ratio("new_over_old", "The new one over the old one.") { $0.ratio },
                .text("verdict", "What the difference is worth.") { Format.words($0.verdict.rawValue) },
            ])
    }
}

/// Figures as new over old: a row each, a dot with its range on a line, and a line at 1.
struct RatioDots {
    /// A figure.
    struct Row {
        let name: String
        let ratio: Double
        /// From the smallest new run over the largest old one, to the largest over the smallest.
        let range: ClosedRange<Double>?
        let isChanged: Bool
        let text: String
    }

    let rows: [Row]
    let axis: Axis

    /// More are no picture any more.
    private static let mostRows = 40
    /// Where what is larger stands.
    private static let most = 3.0

    /// The picture; nil where there is nothing to draw. What changed is drawn first, then what has a range.
    static func figure(_ all: [ComparisonResult.Row]) -> Figure? {
        let drawn = all.filter {
            $0.ratio.map { $0 > 0 } ?? false && ($0.newRange.value != nil || $0.verdict == .differs)
        }
        let ordered = drawn.filter { $0.verdict == .differs } + drawn.filter { $0.verdict != .differs }
        let rows = ordered.prefix(mostRows).compactMap(Row.init)
        guard !rows.isEmpty else { return nil }
        let largest = rows.map { Swift.max($0.ratio, $0.range?.upperBound ?? 0) }.max() ?? 1
        let dots = RatioDots(rows: rows, axis: .ratios(upTo: Swift.min(most, Swift.max(2, largest)), count: 6))
        return Figure(
            id: "ratios", title: "Each figure: new over old", description: rows.map(\.text).joined(separator: "; "),
            caption:
                "A dot is a figure, its line the range over the runs of both; on the line at 1 nothing changed. What "
                + "is more than noise is marked and stands first."
                + (ordered.count > mostRows ? " \(ordered.count - mostRows) more are in the table." : ""),
            draw: dots.draw)
    }

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let (left, right, pitch) = (10.0, layout.width - 16, 44.0)
        let bottom = Double(rows.count) * pitch
        var drawing = Drawing(height: bottom + 48)
        func x(_ value: Double) -> Double { left + (right - left) * min(1, max(0, value / axis.end)) }
        for tick in axis.ticks {
            drawing.line("grid", x(tick.value), 0, x(tick.value), bottom)
            let half = Drawing.width(of: tick.label) / 2
            drawing.text("soft mid", min(max(x(tick.value), half), layout.width - half), bottom + 18, tick.label)
        }
        drawing.line("axis", x(1), 0, x(1), bottom)
        for (number, row) in rows.enumerated() {
            let y = Double(number) * pitch + 32
            drawing.text(row.isChanged ? "strong" : "soft", left, y - 14, row.name)
            if let range = row.range { drawing.line("axis", x(range.lowerBound), y, x(range.upperBound), y) }
            drawing.dot(row.isChanged ? "dot changed" : "dot", x(row.ratio), y, radius: 4, title: row.text)
        }
        drawing.text("soft mid", (left + right) / 2, bottom + 40, "new over old")
        return drawing
    }
}

extension RatioDots.Row {
    /// Nil of a figure without a ratio.
    init?(_ row: ComparisonResult.Row) {
        guard let ratio = row.ratio else { return nil }
        name = "\(row.place), \(row.name)"
        self.ratio = ratio
        isChanged = row.verdict == .differs
        range =
            if let old = row.oldRange.value, let new = row.newRange.value, old[0] > 0, new[0] >= 0 {
                new[0] / old[1]...new[1] / old[0]
            } else { nil }
        text = "\(name): \(Format.decimal(ratio, 3)) times" + (isChanged ? ", more than noise" : "")
    }
}
