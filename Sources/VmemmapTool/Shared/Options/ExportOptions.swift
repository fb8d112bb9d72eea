import ArgumentParser

/// The option that every command has that exports anything.
struct JSONOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("Write the result as JSON; - is standard output.", valueName: "FILE|-"),
        completion: .file())
    var exportJson: String?
}

/// The options that say where a result goes besides the terminal.
struct ExportOptions: ParsableArguments {
    @OptionGroup var json: JSONOption

    @Option(
        help: ArgumentHelp("Write the main table as comma-separated values.", valueName: "FILE|-"),
        completion: .file())
    var exportCsv: String?

    @Option(help: ArgumentHelp("Write the tables as Markdown.", valueName: "FILE|-"), completion: .file())
    var exportMarkdown: String?

    @Option(
        help: ArgumentHelp(
            "Write the figures as Prometheus text, for node_exporter's textfile collector.", valueName: "FILE|-"),
        completion: .file())
    var exportPrometheus: String?

    @Option(
        help: ArgumentHelp("Write one HTML page with figures, for a browser or a printer.", valueName: "FILE|-"),
        completion: .file())
    var exportHtml: String?

    private var destinations: [(ExportFormat, String)] {
        [
            (.json, json.exportJson), (.csv, exportCsv), (.markdown, exportMarkdown), (.prometheus, exportPrometheus),
            (.html, exportHtml),
        ].compactMap { format, destination in destination.map { (format, $0) } }
    }

    /// Opens every destination, before anything is run. Exits as a usage error if one cannot be written, or if two are
    /// the same.
    ///
    /// - Parameters:
    ///   - other: where an export of the command's own goes: `--export-kpageflags`, `--export-jsonl`.
    ///   - inputs: files that the command reads, which no export may replace.
    func open(beside other: String? = nil, reading inputs: [String] = []) throws -> Exports {
        let files = try ExportFile.open(destinations.map(\.1) + [other], reading: inputs)
        return Exports(
            files: zip(destinations, files).compactMap { named, file in file.map { (named.0, $0) } },
            besides: files.last ?? nil)
    }

    /// Opens a file beside the exports that nobody else is to read: see ``ExportFile/openPrivate(_:beside:)``.
    func openPrivate(_ destination: String) throws -> ExportFile {
        try ExportFile.openPrivate(destination, beside: destinations.map(\.1))
    }
}

/// The exports of a run.
struct Exports {
    fileprivate let files: [(format: ExportFormat, file: ExportFile)]

    /// The command's own export, which it writes itself.
    let besides: ExportFile?

    /// Whether there are none.
    var isEmpty: Bool { files.isEmpty }

    /// Whether the report may be printed: an export to standard output has it to itself.
    var leaveStandardOutput: Bool {
        !files.contains { $0.file.isStandardOutput } && besides?.isStandardOutput != true
    }

    /// Whether a page is made: it shows memory over time, which is sampled for nothing else.
    var showMemoryOverTime: Bool { files.contains { $0.format == .html } }

    /// Writes the result in every form asked for, before the report is printed: whoever reads that may go away.
    func finish(_ result: some ExportableResult) throws {
        for (format, file) in files { file.finish(try format.text(result)) }
        besides?.finish()
    }

    /// Writes what there is of a result into every plain file; see ``ExportFile/rewrite(_:)``.
    func rewrite(_ result: some ExportableResult) {
        for (format, file) in files where file.isReplaced {
            if let text = try? format.text(result) { file.rewrite(text) }
        }
    }
}
