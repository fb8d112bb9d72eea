import HostMemory

/// A table of a result on a page. One with many columns and few rows lies on its side; on a narrow screen every row becomes a list.
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
        let title = Markup.element("h3", [:], [Markup(Self.words(table.name).capitalizedFirst)])
        // A long one is there for those who look for it.
        guard table.rows.count > 24 else { return Markup([title, whole]) }
        let summary = Markup.element("summary", [:], ["\(CountText.of(table.rows.count, "row"))"])
        return Markup([title, .element("details", [:], [summary, whole])])
    }

    /// Dense: many columns. Short: kept together on paper.
    private var className: String? {
        let names =
            (isOnItsSide || table.headings.count <= 8 ? [] : ["dense"])
            + ((isOnItsSide ? table.headings.count : table.rows.count) <= 12 ? ["short"] : [])
        return names.isEmpty ? nil : names.joined(separator: " ")
    }

    private var labels: [Int] { table.headings.indices.filter { table.headings[$0].unit == .label } }

    private var isOnItsSide: Bool {
        table.rows.count <= 6 && table.headings.count > (labels.count <= 1 ? 7 : 12)
    }

    private var upright: Markup {
        let headings = table.headings.map { heading in
            Markup.element(
                "th", ["scope": "col", "class": heading.unit == .label ? "label" : nil, "title": heading.help],
                [Markup(Self.words(heading.key))])
        }
        let rows = table.rows.map { row in
            Markup.element(
                "tr", [:],
                zip(table.headings, row).map { heading, cell in
                    .element(
                        heading.unit == .label ? "th" : "td",
                        ["scope": heading.unit == .label ? "row" : nil, "data-label": Self.words(heading.key)],
                        [
                            cell.plain.flatMap { Self.measure($0, heading) }.map { Markup($0) }
                                ?? Self.text(cell, heading.unit)
                        ])
                })
        }
        return Markup([
            .element("thead", [:], [.element("tr", [:], headings)]), .element("tbody", [:], rows),
        ])
    }

    /// A row a column, under the labels of the rows.
    private var onItsSide: Markup {
        let names = table.rows.enumerated().map { number, row in
            labels.isEmpty
                ? (table.rows.count == 1 ? "" : "\(number + 1)")
                : labels.compactMap { Self.label(row[$0], table.headings[$0]) }.joined(separator: ", ")
        }
        let headings = ([""] + names).map { Markup.element("th", ["scope": "col"], [Markup($0)]) }
        let rows = table.headings.indices.filter { !labels.contains($0) }.map { column in
            let heading = table.headings[column]
            return Markup.element(
                "tr", [:],
                [.element("th", ["scope": "row", "title": heading.help], [Markup(Self.words(heading.key))])]
                    + zip(names, table.rows).map { name, row in
                        .element("td", ["data-label": name], [Self.text(row[column], heading.unit)])
                    })
        }
        return Markup([
            .element("thead", [:], [.element("tr", [:], headings)]), .element("tbody", [:], rows),
        ])
    }

    private static func text(_ cell: ExportTable.Cell, _ unit: ExportTable.Unit) -> Markup {
        switch (cell, unit) {
        case (.missing, _): .element("span", ["title": "not measured"], ["\u{2013}"])
        case (.text(let text), _): breakable(text)
        case (.integer(let bytes), .bytes): measured(ByteText.short(ByteCount(bytes)))
        case (.integer(let time), .nanoseconds): measured(DurationText.short(nanoseconds: time))
        case (.integer(let truth), .truth): truth == 1 ? "yes" : "no"
        case (.integer(let count), _): Markup(CountText.grouped(count))
        case (.number(let time), .nanoseconds) where time.magnitude < 1e18:
            measured(DurationText.short(nanoseconds: Int(time)))
        case (.number(let number), .ratio): Markup(DecimalText.fixed(number, decimals: 3))
        case (.number(let number), _): Markup("\(number)")
        }
    }

    /// A number stays with its unit.
    private static func measured(_ text: String) -> Markup { Markup(text.replacing(" ", with: "\u{a0}")) }

    /// A name that may go on below after each underscore.
    private static func breakable(_ name: String) -> Markup {
        let parts = name.split(separator: "_", omittingEmptySubsequences: false).map { Markup(String($0)) }
        return Markup(Array(parts.map { [$0] }.joined(separator: ["_", .element("wbr")])))
    }

    /// What a label tells rows apart by, as words; a size or a time with its unit. Nil of nothing.
    static func label(_ cell: ExportTable.Cell, _ heading: ExportTable.Heading) -> String? {
        guard let text = cell.plain, !text.isEmpty else { return nil }
        return measure(text, heading) ?? words(text)
    }

    /// A label that is a size or a time, as its heading says; nil of any other.
    private static func measure(_ text: String, _ heading: ExportTable.Heading) -> String? {
        guard heading.unit == .label, let number = Int(text) else { return nil }
        if heading.key.hasSuffix("_bytes") { return ByteText.short(ByteCount(number)) }
        return heading.key.hasSuffix("_ns") ? DurationText.short(nanoseconds: number) : nil
    }

    /// `page_tables` and `distinctFrames` as words; what has spaces is text already.
    static func words(_ key: String) -> String {
        if key.contains(" ") { return key }
        return key.reduce(into: "") { words, character in
            if character == "_" || character == "-" && words.isEmpty {
                words.append(" ")
            } else if character.isUppercase, words.last?.isLowercase == true {
                words += " " + character.lowercased()
            } else {
                words.append(character)
            }
        }
    }
}

/// Decimal fractions as people read them.
enum DecimalText {
    /// With this many decimals, rounded; in powers of ten where that would be too long.
    static func fixed(_ number: Double, decimals: Int) -> String {
        let unit = (0..<decimals).reduce(1) { unit, _ in unit * 10 }
        let scaled = (number * Double(unit)).rounded()
        guard scaled.magnitude < 1e15 else { return "\(number)" }
        let (whole, rest) = Int(scaled.magnitude).quotientAndRemainder(dividingBy: unit)
        let fraction = String(String(unit + rest).dropFirst())
        return (scaled < 0 ? "-" : "") + "\(whole)" + (decimals == 0 ? "" : "." + fraction)
    }

    /// With at most this many decimals.
    static func short(_ number: Double, decimals: Int) -> String {
        var text = fixed(number, decimals: decimals)
        if text.contains(".") {
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
        }
        return text == "-0" ? "0" : text
    }
}
