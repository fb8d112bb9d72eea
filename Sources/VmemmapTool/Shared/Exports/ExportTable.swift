import HostMemory

/// A part of a result as rows and columns: what the terminal's tables, CSV, Markdown, Prometheus text and the page are
/// made of.
struct ExportTable: Hashable, Sendable {
    /// What a column's figures are counted in.
    enum Unit: String, Hashable, Sendable, Codable {
        /// Not a figure: one of a few words, or a number, that tells the rows apart.
        case label
        /// A label that says what the row's figures count, with their unit. In Prometheus text it is a part of the
        /// metric's name.
        case metric
        /// Not a figure: free text. Prometheus text leaves it out.
        case text
        /// Things. The column's name says which.
        case count
        /// Bytes.
        case bytes
        /// Nanoseconds.
        case nanoseconds
        /// A figure over another of the same unit.
        case ratio
        /// A part over the whole; for people a percentage.
        case share
        /// 1 for yes and 0 for no.
        case truth
        /// `passed`, `failed` or `not_measured`; in Prometheus text 1, 0 and nothing.
        case outcome

        /// What the unit adds to a column's name.
        var suffix: String {
            switch self {
            case .label, .metric, .text, .count, .truth, .outcome: ""
            case .bytes: "_bytes"
            case .nanoseconds: "_nanoseconds"
            case .ratio, .share: "_ratio"
            }
        }

        /// Whether its figures differ from run to run.
        var isTimed: Bool { self == .nanoseconds || self == .ratio }
        /// Whether it tells rows apart.
        var isLabel: Bool { self == .label || self == .metric }
        /// Whether its cells are words.
        var isText: Bool { isLabel || self == .text || self == .outcome }

        /// Whether its cells are figures, or what came of checks.
        var isFigure: Bool { !isText || self == .outcome }
    }

    /// What stands over a column.
    struct Heading: Hashable, Sendable {
        /// In snake_case, without a unit.
        let key: String
        /// What its figures are counted in.
        let unit: Unit
        /// What it means and where it comes from, in one sentence.
        let help: String
        /// What stands over it on a terminal, with line breaks; nil: it is not shown there.
        var short: String?
        /// In which order it is left out of a terminal that is too narrow, from 1; nil: it is not.
        var drop: Int?
        /// Of a label that is a number: what it is counted in. Nil of any other.
        var measure: Unit?
        /// Of times that would be written in several units: the one that they have in common.
        fileprivate(set) var timeUnit: TimeUnit?
        /// Whether it is of what differs between two runs of the same: of a whole process, by its threads' stacks and
        /// its heap; of the host's state; or of how much was done in some time.
        var varies = false

        /// The key with its unit, as in every export.
        var name: String { key + unit.suffix }
        /// The key as words, as on a page.
        var words: String { Format.words(key) }
    }

    /// A value in a row.
    enum Cell: Hashable, Sendable {
        /// A label.
        case text(String)
        /// A whole number of the column's unit.
        case integer(Int)
        /// A number that need not be whole.
        case number(Double)
        /// Not measured.
        case missing
    }

    /// In snake_case, for one row: `step`.
    let name: String
    /// What a row is, in one sentence.
    let help: String
    /// A heading a column; the labels of a row are different from every other row's.
    private(set) var headings: [Heading]
    /// The rows, each with a cell a heading.
    private(set) var rows: [[Cell]]

    /// A table of `items`, a row each.
    init<Item>(_ name: String, _ help: String, _ items: [Item], _ columns: [ExportColumn<Item>]) {
        self.name = name
        self.help = help
        headings = columns.map(\.heading)
        rows = items.map { item in columns.map { $0.cell(item) } }
        settleTimeUnits()
    }

    private mutating func settleTimeUnits() {
        for column in headings.indices where headings[column].unit == .nanoseconds {
            headings[column].timeUnit = TimeUnit(ofColumn: rows.compactMap { $0[column].figure })
        }
    }

    /// The table with a row more that sums the others up: the only row of `total`, which has the same columns but for
    /// the labels.
    func adding(_ total: ExportTable, as name: String) -> ExportTable {
        guard let row = total.rows.first else { return self }
        let cells = Dictionary(zip(total.headings.map(\.name), row)) { first, _ in first }
        var table = self
        var names = [Cell.text(name)]
        table.rows.append(headings.map { cells[$0.name] ?? names.popLast() ?? .text("") })
        table.settleTimeUnits()
        return table
    }
}

/// A column of an ``ExportTable``, and how an item fills it.
struct ExportColumn<Item> {
    private(set) var heading: ExportTable.Heading
    let cell: (Item) -> ExportTable.Cell

    private init(
        _ key: String, _ unit: ExportTable.Unit, _ help: String, _ cell: @escaping (Item) -> ExportTable.Cell
    ) {
        heading = ExportTable.Heading(key: key, unit: unit, help: help)
        self.cell = cell
    }

    /// The column, shown on a terminal too.
    ///
    /// - Parameters:
    ///   - short: its heading there; with KiB in it bytes are in KiB, as /proc shows them.
    ///   - drop: in which order it is left out of a terminal that is too narrow; nil: it is not.
    func shown(_ short: String, drop: Int? = nil) -> Self {
        var column = self
        column.heading.short = short
        column.heading.drop = drop
        return column
    }

    /// The column, on no terminal.
    func hidden() -> Self {
        var column = self
        (column.heading.short, column.heading.drop) = (nil, nil)
        return column
    }

    /// The column, of figures that differ between two runs of the same.
    func varying() -> Self {
        var column = self
        column.heading.varies = true
        return column
    }

    static func label(_ key: String, _ help: String, _ value: @escaping (Item) -> String) -> Self {
        Self(key, .label, help) { .text(value($0)) }
    }

    /// A label that is a size.
    static func sizeLabel(_ key: String, _ help: String, _ value: @escaping (Item) -> ByteCount) -> Self {
        measured(in: .bytes, label(key, help) { "\(value($0).rawValue)" })
    }

    /// A label that is a time.
    static func timeLabel(_ key: String, _ help: String, nanoseconds value: @escaping (Item) -> Int) -> Self {
        measured(in: .nanoseconds, label(key, help) { "\(value($0))" })
    }

    private static func measured(in unit: ExportTable.Unit, _ column: Self) -> Self {
        var column = column
        column.heading.measure = unit
        return column
    }

    static func metric(_ key: String, _ help: String, _ value: @escaping (Item) -> String) -> Self {
        Self(key, .metric, help) { .text(value($0)) }
    }

    static func text(_ key: String, _ help: String, _ value: @escaping (Item) -> String) -> Self {
        Self(key, .text, help) { .text(value($0)) }
    }

    static func outcome(_ key: String, _ help: String, _ value: @escaping (Item) -> Check.Outcome) -> Self {
        Self(key, .outcome, help) { .text(value($0).rawValue) }
    }

    static func count(_ key: String, _ help: String, _ value: @escaping (Item) -> Int?) -> Self {
        Self(key, .count, help) { ExportTable.Cell(value($0)) }
    }

    /// A number in a unit that another column names.
    static func number(_ key: String, _ help: String, _ value: @escaping (Item) -> Double?) -> Self {
        Self(key, .count, help) { ExportTable.Cell(value($0)) }
    }

    static func bytes(_ key: String, _ help: String, _ value: @escaping (Item) -> ByteCount?) -> Self {
        Self(key, .bytes, help) { ExportTable.Cell(value($0)?.rawValue) }
    }

    static func nanoseconds(_ key: String, _ help: String, _ value: @escaping (Item) -> Int?) -> Self {
        Self(key, .nanoseconds, help) { ExportTable.Cell(value($0)) }
    }

    /// Nanoseconds that need not be whole: a mean, or the median of an even number.
    static func meanNanoseconds(_ key: String, _ help: String, _ value: @escaping (Item) -> Double?) -> Self {
        Self(key, .nanoseconds, help) { ExportTable.Cell(value($0)) }
    }

    static func ratio(_ key: String, _ help: String, _ value: @escaping (Item) -> Double?) -> Self {
        Self(key, .ratio, help) { ExportTable.Cell(value($0)) }
    }

    static func share(_ key: String, _ help: String, _ value: @escaping (Item) -> Double?) -> Self {
        Self(key, .share, help) { ExportTable.Cell(value($0)) }
    }

    static func truth(_ key: String, _ help: String, _ value: @escaping (Item) -> Bool?) -> Self {
        Self(key, .truth, help) { ExportTable.Cell(value($0).map { $0 ? 1 : 0 }) }
    }
}

extension ExportTable.Cell {
    init(_ value: Int?) { self = value.map { .integer($0) } ?? .missing }

    /// What is no number was not measured.
    init(_ value: Double?) { self = value.flatMap { $0.isFinite ? .number($0) : nil } ?? .missing }

    /// The bare value; nil where there is none.
    var plain: String? {
        switch self {
        case .text(let text): text
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .missing: nil
        }
    }

    /// The figure; nil of words and where there is none.
    var figure: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number): number
        case .text, .missing: nil
        }
    }
}

extension ExportTable.Heading {
    /// A cell of the column for people, in the column's unit; nil: nothing was measured.
    ///
    /// - Parameter isBrief: in as few digits as say something.
    func text(_ cell: ExportTable.Cell, isBrief: Bool = false) -> String? {
        // A terminal has no room for that.
        if !isBrief, let timeUnit, let time = cell.figure { return timeUnit.text(time) }
        return switch (cell, unit) {
        case (.missing, _): nil
        case (.text(let text), .outcome): Format.words(text)
        case (.text(let text), _): measured(text) ?? text
        case (.integer(let bytes), .bytes) where isBrief && short?.contains("KiB") == true: "\(bytes / 1024)"
        case (.integer(let bytes), .bytes):
            isBrief ? Format.briefBytes(ByteCount(bytes)) : Format.bytes(ByteCount(bytes))
        case (.integer(let time), .nanoseconds): Format.duration(nanoseconds: time)
        case (.integer(let truth), .truth): truth == 1 ? "yes" : "no"
        case (.integer(let count), _): Format.count(count)
        case (.number(let time), .nanoseconds): Format.duration(nanoseconds: time)
        case (.number(let number), .ratio): Format.decimal(number, 3)
        case (.number(let number), .share): Format.percent(number)
        case (.number(let number), _): "\(number)"
        }
    }

    /// What a label tells rows apart by, as words; a size or a time with its unit. Nil of nothing.
    func label(_ cell: ExportTable.Cell) -> String? {
        guard let text = cell.plain, !text.isEmpty else { return nil }
        return measured(text) ?? Format.words(text)
    }

    /// A label that is a size or a time, with its unit; nil of any other.
    private func measured(_ text: String) -> String? {
        guard let number = Int(text) else { return nil }
        return switch measure {
        case .bytes: Format.bytes(ByteCount(number))
        case .nanoseconds: Format.duration(nanoseconds: number)
        default: nil
        }
    }
}

extension ExportTable {
    /// The table on a terminal: the columns that have a short heading. The labels stand in one column, without those
    /// that have an empty heading and are the same in all rows.
    func lines(_ style: Style) -> [String] {
        let shown = headings.indices.filter { headings[$0].short != nil }
        let labels = shown.filter { column in
            !headings[column].unit.isFigure
                && (rows.count < 2 || headings[column].short != "" || Set(rows.map { $0[column] }).count > 1)
        }
        let figures = shown.filter { headings[$0].unit.isFigure }
        var table = TextTable(
            headings: [labels.compactMap { headings[$0].short }.filter { !$0.isEmpty }.joined(separator: ", ")]
                + figures.map { headings[$0].short ?? "" },
            dispensable: figures.indices.filter { headings[figures[$0]].drop != nil }
                .sorted { headings[figures[$0]].drop ?? 0 < headings[figures[$1]].drop ?? 0 }.map { $0 + 1 })
        for row in rows {
            table.add(
                [labels.compactMap { headings[$0].label(row[$0]) }.joined(separator: ", ")]
                    + figures.map { headings[$0].text(row[$0], isBrief: true) ?? "-" })
        }
        return table.lines(style)
    }
}
