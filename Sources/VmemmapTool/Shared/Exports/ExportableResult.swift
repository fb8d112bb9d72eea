/// A result that every form of export can be made of.
protocol ExportableResult: Encodable, Sendable {
    /// The subcommand that made it.
    static var command: String { get }
    /// Where it was run.
    var host: HostBlock { get }
    /// What was checked; empty where nothing was.
    var checks: [Check] { get }
    /// Whether no check failed, and nothing else was found that must not be.
    var holds: Bool { get }
    /// The same; nil where nothing was verified.
    var verdict: Bool? { get }
    /// What a reader must know of its figures, or of why it failed: sentences without their full stops.
    var notes: [String] { get }
    /// Its tables, the main one first.
    var tables: [ExportTable] { get }
    /// What its page shows before the tables. Unless it says otherwise, the figures that can be drawn of the tables.
    var html: HTMLContent { get }
}

extension ExportableResult {
    var checks: [Check] { [] }
    var notes: [String] { [] }

    var holds: Bool { checks.holds }
    var verdict: Bool? { checks.isEmpty ? nil : holds }

    /// Its tables, and those of what was checked.
    var allTables: [ExportTable] { tables + Check.tables(checks) }

    /// The verdict in words; nil where there is none.
    var closing: String? {
        verdict.map { passed in
            !checks.isEmpty && passed == checks.holds ? Check.closing(checks) : passed ? "passed" : "failed"
        }
    }

    /// The subcommand as a heading, the figures of the tables, and what was checked.
    var html: HTMLContent {
        HTMLContent(
            subject: "The result of \(Self.command)",
            sections: TableFigures.sections(tables) + Check.sections(checks))
    }
}

/// A form of export.
enum ExportFormat: String, Hashable, Sendable, CaseIterable {
    /// Everything there is, as one object.
    case json
    /// The main table.
    case csv
    /// Every table, for people.
    case markdown
    /// Every figure, for the textfile collector of node_exporter.
    case prometheus
    /// Figures and tables on one page, for a browser or a printer.
    case html

    /// The text of a result, with a newline at its end.
    func text(_ result: some ExportableResult) throws -> String {
        switch self {
        case .json: try JSONExport.text(result)
        case .csv: CSVExport.text(result)
        case .markdown: MarkdownExport.text(result)
        case .prometheus: PrometheusExport.text(result)
        case .html: HTMLExport.text(result)
        }
    }
}
