import HostMemory

/// A result as Markdown: where it comes from, then every table.
enum MarkdownExport {
    /// The text, with a newline at its end.
    static func text(_ result: some ExportableResult) -> String {
        let host = result.host
        var lines = [
            "# \(Tool.name) \(type(of: result).command)", "",
            "\(Tool.name) \(Tool.version) on Linux \(host.kernelRelease) \(host.machine), pages of "
                + "\(host.pageSizeBytes.rawValue) bytes, "
                + "\(Format.count(host.processors, "processor")), \(host.isRoot ? "root" : "an ordinary user").",
        ]
        lines +=
            ["", "Run on \(escaped(RunDescription.current.hostName)) at \(RunDescription.current.startedAt):", ""]
            + ["    \(RunDescription.current.commandLine)"]
        if let closing = result.closing {
            lines += ["", result.verdict == true ? "\(closing.capitalizedFirst)." : "**\(closing.capitalizedFirst).**"]
        }
        lines += result.notes.flatMap { ["", "\(escaped($0.capitalizedFirst))."] }
        for table in result.allTables where !table.rows.isEmpty { lines += [""] + self.lines(table) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ table: ExportTable) -> [String] {
        [
            "## \(table.name)", "", table.help, "",
            line(table.headings.map { escaped($0.unit.suffix == "_ratio" ? $0.name : $0.key) }),
            line(table.headings.map { $0.unit.isText ? ":---" : "---:" }),
        ] + table.rows.map { row in line(zip(table.headings, row).map { escaped(text($1, $0) ?? "") }) }
    }

    /// Words as in every export, figures and sizes with their units: it is for people, who paste it. Times that tell
    /// rows apart are not rounded.
    private static func text(_ cell: ExportTable.Cell, _ heading: ExportTable.Heading) -> String? {
        heading.unit.isText && heading.measure != .bytes ? cell.plain : heading.text(cell)
    }

    private static func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "|", "\\", "`", "*", "<", "[": escaped += "\\\(character)"
            case _ where character.isNewline: escaped += " "
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
