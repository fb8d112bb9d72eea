import HostMemory

/// A table of a result on a page. One with many columns and few rows lies on its side; on a narrow screen every row
/// becomes a list.
struct HTMLTable {
    private let table: ExportTable

    init(_ table: ExportTable) { self.table = table }

    /// The table under its sentence, without a heading.
    var plain: Markup { body(caption: [table.help] + common.facts) }

    private func body(caption: [String]) -> Markup {
        .element(
            "table", ["class": className],
            (caption.isEmpty ? [] : [.element("caption", [:], [Markup(caption.joined(separator: " "))])])
                + [isOnItsSide ? onItsSide : upright])
    }

    /// The table under its sentence as a heading, with its name in the other exports.
    var markup: Markup {
        let whole = body(caption: common.facts)
        let sentence = table.help.hasSuffix(".") ? String(table.help.dropLast()) : table.help
        let title = Markup.element("h3", [:], [Markup(sentence), " ", .element("code", [:], [Markup(table.name)])])
        // A long one is there for those who look for it.
        guard table.rows.count > 24 else { return Markup([title, whole]) }
        let summary = Markup.element("summary", [:], ["\(Format.count(table.rows.count, "row"))"])
        return Markup([title, .element("details", [:], [summary, whole])])
    }

    /// Dense: small letters, for its columns; still more of them, still smaller. Short: kept together on paper.
    private var className: String? {
        let names =
            (isOnItsSide || table.headings.count <= 8
                ? [] : table.headings.count <= 13 ? ["dense"] : ["dense", "many"])
            + ((isOnItsSide ? table.headings.count : table.rows.count) <= 12 ? ["short"] : [])
        return names.isEmpty ? nil : names.joined(separator: " ")
    }

    private var labels: [Int] { table.headings.indices.filter { table.headings[$0].unit.isText } }

    private var isOnItsSide: Bool {
        table.rows.count <= 6 && table.headings.count > (labels.count <= 1 ? 7 : 12)
    }

    /// The columns of an upright table of three rows or more that are the same in every row, and what is told once
    /// above it instead: nothing of what is in none.
    private var common: (columns: [Int], facts: [String]) {
        guard !isOnItsSide, table.rows.count >= 3 else { return ([], []) }
        let columns = table.headings.indices.filter { column in
            !table.headings[column].unit.isLabel && Set(table.rows.map { $0[column] }).count == 1
        }
        let facts = columns.compactMap { column -> String? in
            let heading = table.headings[column]
            guard let text = heading.text(table.rows[0][column]), !text.isEmpty else { return nil }
            return "\(heading.words) \(text)"
        }
        return (columns, facts.isEmpty ? [] : ["In every row: \(facts.joined(separator: ", "))."])
    }

    /// Where there are many columns, the ends of a median's range are told where the pointer rests on it.
    private var upright: Markup {
        let hidden = common.columns
        let shown = table.headings.indices.filter { column in
            !hidden.contains(column)
                && (table.headings.count <= 12 || !table.headings[column].isEndOfRange(in: table))
        }
        let headings = shown.map { table.headings[$0] }.map { heading in
            Markup.element(
                "th", ["scope": "col", "class": heading.unit.isText ? "label" : nil, "title": heading.help],
                [Markup(heading.words)])
        }
        let rows = table.rows.map { row in
            Markup.element(
                "tr", [:],
                shown.map { column in
                    let (heading, cell) = (table.headings[column], row[column])
                    return .element(
                        heading.unit.isText ? "th" : "td",
                        [
                            "scope": heading.unit.isText ? "row" : nil,
                            "class": heading.unit == .text && cell.plain?.count ?? 0 > 12 ? "long" : nil,
                            "data-label": heading.words,
                            "title": table.headings.count > 12 ? range(heading, row) : nil,
                        ],
                        [Self.text(cell, heading)])
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
