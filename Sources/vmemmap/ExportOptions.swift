internal import ArgumentParser
internal import Reports

/// The options that say where a result goes besides the terminal.
struct ExportOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Write the result as JSON; - is standard output.", valueName: "FILE|-"))
    var exportJson: String?

    @Option(help: ArgumentHelp("Write the main table as comma-separated values.", valueName: "FILE|-"))
    var exportCsv: String?

    @Option(help: ArgumentHelp("Write the tables as Markdown.", valueName: "FILE|-"))
    var exportMarkdown: String?

    @Option(
        help: ArgumentHelp(
            "Write the figures as Prometheus text, for node_exporter's textfile collector.", valueName: "FILE|-"))
    var exportPrometheus: String?

    @Option(help: ArgumentHelp("Write one HTML page with figures, for a browser or a printer.", valueName: "FILE|-"))
    var exportHtml: String?

    private var destinations: [(ExportFormat, String)] {
        [
            (.json, exportJson), (.csv, exportCsv), (.markdown, exportMarkdown), (.prometheus, exportPrometheus),
            (.html, exportHtml),
        ].compactMap { format, destination in destination.map { (format, $0) } }
    }

    func validate() throws {
        let named = destinations.map(\.1)
        for destination in Set(named) where named.count(where: { $0 == destination }) > 1 {
            let place = destination == "-" ? "standard output" : destination
            throw ValidationError("two exports cannot both go to \(place): give each a file of its own.")
        }
    }

    /// Opens every destination, before anything is run. Exits as a usage error if one cannot be written.
    func open() throws -> Exports {
        Exports(
            try destinations.map { format, destination in (format, try ExportFile(destination)) })
    }
}

/// The exports of a run.
struct Exports {
    private let files: [(format: ExportFormat, file: ExportFile)]

    fileprivate init(_ files: [(ExportFormat, ExportFile)]) { self.files = files }

    /// Whether there are none.
    var isEmpty: Bool { files.isEmpty }

    /// Whether the report may be printed: an export to standard output has it to itself.
    var leaveStandardOutput: Bool { !files.contains { $0.file.isStandardOutput } }

    /// Whether a page is made: it shows memory over time, which is sampled for nothing else.
    var showMemoryOverTime: Bool { files.contains { $0.format == .html } }

    /// Writes the result in every form asked for.
    func finish(_ result: some ExportableResult) throws {
        for (format, file) in files { try file.finish(try format.text(result)) }
    }
}
