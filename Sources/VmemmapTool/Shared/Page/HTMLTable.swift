import HostMemory

/// A table of a result on a page. One with many columns and few rows lies on its side; on a narrow screen every row
/// becomes a list.
struct HTMLTable {
    private let table: ExportTable

    init(_ table: ExportTable) { self.table = table }

    /// The table under its sentence, without a heading.
    var plain: Markup {
        .element(
            "table", ["class": className],
            [.element("caption", [:], [Markup(table.help)]), isOnItsSide ? onItsSide : upright])
    }

    /// The table under its heading and its sentence.
    var markup: Markup {
        let whole = plain
        let title = Markup.element("h3", [:], [Markup(Format.words(table.name).capitalizedFirst)])
        // A long one is there for those who look for it.
        guard table.rows.count > 24 else { return Markup([title, whole]) }
        let summary = Markup.element("summary", [:], ["\(Format.count(table.rows.count, "row"))"])
        return Markup([title, .element("details", [:], [summary, whole])])
    }

    /// Dense: many columns. Short: kept together on paper.
    private var className: String? {
        let names =
            (isOnItsSide || table.headings.count <= 8 ? [] : ["dense"])
            + ((isOnItsSide ? table.headings.count : table.rows.count) <= 12 ? ["short"] : [])
        return names.isEmpty ? nil : names.joined(separator: " ")
    }

    private var labels: [Int] { table.headings.indices.filter { table.headings[$0].unit.isText } }

    private var isOnItsSide: Bool {
        table.rows.count <= 6 && table.headings.count > (labels.count <= 1 ? 7 : 12)
    }

    /// Where there are many columns, the ends of a median's range are told where the pointer rests on it.
    private var upright: Markup {
        let columns = table.headings.indices.filter {
            table.headings.count <= 12 || !table.headings[$0].isEndOfRange(in: table)
        }
        let headings = columns.map { table.headings[$0] }.map { heading in
            Markup.element(
                "th", ["scope": "col", "class": heading.unit.isText ? "label" : nil, "title": heading.help],
                [Markup(heading.words)])
        }
        let rows = table.rows.map { row in
            Markup.element(
                "tr", [:],
                columns.map { column in
                    let heading = table.headings[column]
                    return .element(
                        heading.unit.isText ? "th" : "td",
                        [
                            "scope": heading.unit.isText ? "row" : nil, "data-label": heading.words,
                            "title": columns.count < row.count ? range(heading, row) : nil,
                        ], [Self.text(row[column], heading)])
                })
        }
        return Markup([
            .element("thead", [:], [.element("tr", [:], headings)]), .element("tbody", [:], rows),
        ])
    }

    private func range(_ heading: ExportTable.Heading, _ row: [ExportTable.Cell]) -> String? {
        table.measured(heading, row).range.map { range in
            [range.lowerBound, range.upperBound].compactMap { heading.text(.number($0)) }.joined(separator: " to ")
        }
    }

    /// A row a column, under the labels of the rows.
    private var onItsSide: Markup {
        let names = table.rows.enumerated().map { number, row in
            labels.isEmpty
                ? (table.rows.count == 1 ? "" : "\(number + 1)")
                : labels.compactMap { table.headings[$0].label(row[$0]) }.joined(separator: ", ")
        }
        let headings = ([""] + names).map { Markup.element("th", ["scope": "col"], [Markup($0)]) }
        let rows = table.headings.indices.filter { !labels.contains($0) }.map { column in
            let heading = table.headings[column]
            return Markup.element(
                "tr", [:],
                [.element("th", ["scope": "row", "title": heading.help], [Markup(heading.words)])]
                    + zip(names, table.rows).map { name, row in
                        .element("td", ["data-label": name], [Self.text(row[column], heading)])
                    })
        }
        return Markup([
            .element("thead", [:], [.element("tr", [:], headings)]), .element("tbody", [:], rows),
        ])
    }

    /// A number stays with its unit.
    private static func text(_ cell: ExportTable.Cell, _ heading: ExportTable.Heading) -> Markup {
        guard let text = heading.text(cell) else { return .element("span", ["title": "not measured"], ["\u{2013}"]) }
        if heading.unit == .text { return Markup(text) }
        return heading.unit.isText && text == cell.plain ? breakable(text) : Markup(text.replacing(" ", with: "\u{a0}"))
    }

    /// A name that may go on below after each underscore.
    private static func breakable(_ name: String) -> Markup {
        let parts = name.split(separator: "_", omittingEmptySubsequences: false).map { Markup(String($0)) }
        return Markup(Array(parts.map { [$0] }.joined(separator: ["_", .element("wbr")])))
    }
}
