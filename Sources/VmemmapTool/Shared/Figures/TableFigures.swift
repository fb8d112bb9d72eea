import HostMemory

/// Figures that a result's tables are enough for: times side by side, ratios, and histograms of powers of two. So every
/// result has pictures, whoever adds it.
struct TableFigures {
    private let table: ExportTable

    init(_ table: ExportTable) { self.table = table }

    /// The figures of every table that has some, a section each, under the table's name unless `titles` has a better
    /// one for it.
    static func sections(_ tables: [ExportTable], titles: [String: String] = [:]) -> [HTMLSection] {
        tables.compactMap { table in
            let figures = TableFigures(table).figures
            if figures.isEmpty { return nil }
            return HTMLSection(
                id: "figures-\(table.name)",
                title: titles[table.name] ?? Format.words(table.name).capitalizedFirst,
                body: [.paragraph(Markup(table.help))] + figures)
        }
    }

    private var figures: [Markup] {
        if let buckets { return [.element("div", ["class": "pair"], buckets)] }
        guard (1...24).contains(table.rows.count), !isOfSingleRuns else { return [] }
        return parts.flatMap { part in
            let figures = [times(part), ratios(part)].compactMap { $0 }
            return (part.name.isEmpty || figures.isEmpty ? [] : [.element("h3", [:], [Markup(part.name)])]) + figures
        }
    }

    /// Rows that are drawn together.
    private struct Part {
        /// What they have in common; empty where there is nothing to say.
        var name = ""
        /// What the names of its figures end with.
        var suffix = ""
        /// The label that needs not be said of each.
        var label: Int?
        var rows: [[ExportTable.Cell]]
    }

    /// All rows, or where they would be taller than a page, those of one kind after those of another: by the first
    /// label.
    private var parts: [Part] {
        guard table.rows.count > 12, let label = columns(.label).first else { return [Part(rows: table.rows)] }
        let kinds = table.rows.reduce(into: [ExportTable.Cell]()) {
            if !$0.contains($1[label]) { $0.append($1[label]) }
        }
        guard (2...6).contains(kinds.count) else { return [Part(rows: table.rows)] }
        return kinds.enumerated().map { number, kind in
            Part(
                name: table.headings[label].label(kind)?.capitalizedFirst ?? "", suffix: "-\(number + 1)",
                label: label,
                rows: table.rows.filter { $0[label] == kind })
        }
    }

    private func columns(_ unit: ExportTable.Unit) -> [Int] {
        table.headings.indices.filter {
            unit == .label ? table.headings[$0].unit.isText : table.headings[$0].unit == unit
        }
    }

    /// What tells a row from others, without what all rows have in common.
    private func name(_ row: [ExportTable.Cell], without excluded: Int? = nil) -> String {
        let labels = columns(.label).filter { label in
            label != excluded
                && (table.rows.count == 1 || table.headings[label].key == "peer"
                    || Set(table.rows.map { $0[label] }).count > 1)
        }
        return labels.compactMap { label in
            guard let text = table.headings[label].label(row[label]) else { return nil }
            // A bare number, or yes and no, says nothing without its heading.
            let isBare = text.allSatisfy(\.isNumber) || ["on", "off"].contains(text)
            return (isBare ? table.headings[label].words + " " : "") + text
        }.joined(separator: ", ")
    }

    /// Every run on its own is for those who look for it: the medians are drawn.
    private var isOfSingleRuns: Bool { columns(.label).contains { table.headings[$0].key == "pair" } }

    // MARK: Times and ratios

    /// The extremes and shares of what is drawn already stay in the table.
    private func isDetail(_ key: String) -> Bool {
        key.split(separator: "_").contains { ["min", "max", "user", "system"].contains($0) }
            || key.first == "p" && key.dropFirst().allSatisfy(\.isNumber)
    }

    private func times(_ part: Part) -> Markup? {
        let drawn = columns(.nanoseconds).filter { !isDetail(table.headings[$0].key) }.prefix(4)
        // One scale and one unit for all parts.
        let values = table.rows.flatMap { row in drawn.compactMap { Self.time(row[$0]) } }
        let unit = TimeUnit(of: values)
        let rows = part.rows.map { row in
            BarFigure.Row(
                name(row, without: part.label), drawn.map { Self.time(row[$0]).map { ($0, unit.text($0)) } })
        }
        guard table.rows.count > 1 || drawn.count > 1, let most = values.max(), most > 0 else { return nil }
        let axis = Axis.durations(upTo: most, count: 4)
        let figure = BarFigure(rows: rows, axis: axis, axisName: "time, \(axis.unit)", key: key(Array(drawn)))
        return Figure(
            id: "times-\(table.name)\(part.suffix)", title: "Times: \(table.help) \(part.name)",
            description: figure.description,
            caption: drawn.map {
                "\(table.headings[$0].words.capitalizedFirst): \(table.headings[$0].help)"
            }.joined(separator: " "), draw: figure.draw
        ).markup
    }

    /// What this program took stands out.
    private func key(_ columns: [Int]) -> FigureKey {
        let ours = ["emulator", "engine", "on"].lazy.compactMap { name in
            columns.first { table.headings[$0].key.split(separator: "_").first.map(String.init) == name }
        }.first
        var others = ["used", "third", "cost", ""][...]
        return FigureKey(
            names: columns.map { column in
                (
                    table.headings[column].words,
                    column == ours || columns.count == 1 ? "accent" : others.popFirst() ?? ""
                )
            })
    }

    private func ratios(_ part: Part) -> Markup? {
        // Where each row has a limit of its own, no one mark is right: that stays in the table.
        if columns(.ratio).contains(where: { table.headings[$0].key == "limit" }) { return nil }
        let medians = columns(.ratio).filter { !isDetail(table.headings[$0].key) }
        guard
            let column = medians.first(where: { table.headings[$0].key == "median" })
                ?? medians.first
        else {
            return nil
        }
        func bound(_ key: String, _ row: [ExportTable.Cell]) -> Double? {
            columns(.ratio).first { table.headings[$0].key == key }.flatMap { row[$0].figure }
        }
        func bars(_ rows: [[ExportTable.Cell]]) -> [BarFigure.Row] {
            rows.compactMap { row in
                row[column].figure.map { ratio in
                    var bar = BarFigure.Bar(value: ratio, text: Format.decimal(ratio, 3), style: "accent")
                    if let low = bound("min", row), let high = bound("max", row), low <= high { bar.range = low...high }
                    return BarFigure.Row(name(row, without: part.label), bar)
                }
            }
        }
        // One scale for all parts.
        let all = bars(table.rows).flatMap { $0.bars.compactMap(\.self) }
        let largest = all.map(\.value).max() ?? 0
        guard largest > 0, largest.isFinite else { return nil }
        // A single run that was disturbed must not make all the others small.
        let most = min(all.compactMap(\.range?.upperBound).max() ?? 0, 2 * largest)
        let rows = bars(part.rows)
        let shown = rows.flatMap { $0.bars.compactMap(\.self) }
        let isCut = shown.contains { ($0.range?.upperBound ?? 0) > most }
        let heading = table.headings[column]
        let figure = BarFigure(
            rows: rows, axis: .ratios(upTo: max(1.1, largest, most), count: 5), axisName: "ratio",
            mark: (1, "1: no difference"))
        return Figure(
            id: "ratios-\(table.name)\(part.suffix)", title: "Ratios: \(heading.help) \(part.name)",
            description: figure.description,
            caption: heading.help
                + (shown.contains { $0.range != nil } ? " The thin line goes from the smallest to the largest." : "")
                + (isCut ? " Where it has no end, the largest is beyond the scale." : ""),
            draw: figure.draw
        ).markup
    }

    private static func time(_ cell: ExportTable.Cell) -> Double? {
        cell.figure.flatMap { $0.magnitude < 1e18 ? $0 : nil }
    }

    // MARK: Histograms

    /// A histogram for each group of rows that have all labels but `from_ns` in common; nil of a table without that
    /// label.
    private var buckets: [Markup]? {
        guard let from = table.headings.firstIndex(where: { $0.key == "from_ns" && $0.unit == .label }),
            let count = columns(.count).first, !table.rows.isEmpty
        else { return nil }
        var groups: [(name: String, buckets: [HistogramFigure.Bucket])] = []
        for row in table.rows {
            guard let lower = row[from].plain.flatMap({ Int($0) }), let found = row[count].figure else {
                continue
            }
            let bucket = HistogramFigure.Bucket(lowerNanoseconds: lower, count: Int(found))
            let name = name(row, without: from)
            if let known = groups.firstIndex(where: { $0.name == name }) {
                groups[known].buckets.append(bucket)
            } else {
                groups.append((name, [bucket]))
            }
        }
        let what = table.headings[count].words
        // The same scale for all, so that one can be held against another.
        let all = groups.flatMap(\.buckets).filter { $0.count > 0 }.map(\.lowerNanoseconds)
        let range = (all.min() ?? 0)...(all.max() ?? 0)
        return groups.enumerated().map { number, group in
            let figure = HistogramFigure(buckets: group.buckets, range: range, what: what)
            let total = group.buckets.reduce(0) { $0 + $1.count }
            return .element(
                "figure", [:],
                [
                    .element(
                        "h3", [:],
                        [Markup(group.name.isEmpty ? Format.words(table.name).capitalizedFirst : group.name)]),
                    figure.draw().markup(
                        id: "histogram-\(table.name)-\(number + 1)", className: nil, width: 352,
                        title: "\(table.help) \(group.name)",
                        description: "\(Format.count(total)) \(what): "
                            + group.buckets.filter { $0.count > 0 }.map {
                                "from \(Format.duration(nanoseconds: $0.lowerNanoseconds)) \($0.count)"
                            }.joined(separator: ", ")),
                ])
        }
    }
}
