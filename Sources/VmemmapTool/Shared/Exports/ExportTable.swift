import HostMemory

/// A part of a result as rows and columns: what CSV, Markdown and Prometheus text are made of.
struct ExportTable: Hashable, Sendable {
    /// What a column's figures are counted in.
    enum Unit: Hashable, Sendable {
        /// Not a figure: tells the rows apart.
        case label
        /// Things. The column's name says which.
        case count
        /// Bytes.
        case bytes
        /// Nanoseconds.
        case nanoseconds
        /// A figure over another of the same unit.
        case ratio
        /// 1 for yes and 0 for no.
        case truth

        /// What the unit adds to a column's name.
        var suffix: String {
            switch self {
            case .label, .count, .truth: ""
            case .bytes: "_bytes"
            case .nanoseconds: "_nanoseconds"
            case .ratio: "_ratio"
            }
        }
    }

    /// What stands over a column.
    struct Heading: Hashable, Sendable {
        /// In snake_case, without a unit.
        let key: String
        /// What its figures are counted in.
        let unit: Unit
        /// What it means and where it comes from, in one sentence.
        let help: String

        /// The key with its unit.
        var name: String { key + unit.suffix }
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
    let headings: [Heading]
    /// The rows, each with a cell a heading.
    let rows: [[Cell]]

    /// A table of `items`, a row each.
    init<Item>(_ name: String, _ help: String, _ items: [Item], _ columns: [ExportColumn<Item>]) {
        self.name = name
        self.help = help
        headings = columns.map(\.heading)
        rows = items.map { item in columns.map { $0.cell(item) } }
    }
}

/// A column of an ``ExportTable``, and how an item fills it.
struct ExportColumn<Item> {
    let heading: ExportTable.Heading
    let cell: (Item) -> ExportTable.Cell

    private init(
        _ key: String, _ unit: ExportTable.Unit, _ help: String, _ cell: @escaping (Item) -> ExportTable.Cell
    ) {
        heading = ExportTable.Heading(key: key, unit: unit, help: help)
        self.cell = cell
    }

    static func label(_ key: String, _ help: String, _ value: @escaping (Item) -> String) -> Self {
        Self(key, .label, help) { .text(value($0)) }
    }

    static func count(_ key: String, _ help: String, _ value: @escaping (Item) -> Int?) -> Self {
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
}
