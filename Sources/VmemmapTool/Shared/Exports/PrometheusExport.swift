/// A result in Prometheus' text format, as the textfile collector of node_exporter reads it: a gauge for each column
/// that is a figure, in base units (bytes, seconds), with the row's labels. What was not measured has no sample.
enum PrometheusExport {
    /// The text, with a newline at its end.
    static func text(_ result: some ExportableResult) -> String {
        let prefix = "\(Tool.name)_\(type(of: result).command)"
        let host = result.host
        var lines = family(
            "\(prefix)_info", "What made this, and where.",
            [
                sample(
                    "\(prefix)_info",
                    [
                        ("tool_version", Tool.version), ("kernel_release", host.kernelRelease),
                        ("machine", host.machine), ("root", host.isRoot ? "true" : "false"),
                    ], "1")
            ])
        lines += family(
            "\(prefix)_start_timestamp_seconds", "When the program started, in seconds since 1970.",
            [sample("\(prefix)_start_timestamp_seconds", [], "\(RunDescription.startSeconds)")])
        if let holds = result.verdict {
            lines += family(
                "\(prefix)_holds", "Whether no check failed.", [sample("\(prefix)_holds", [], holds ? "1" : "0")])
        }
        for table in result.allTables { lines += self.lines(table, prefix) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ table: ExportTable, _ prefix: String) -> [String] {
        let labels = table.headings.indices.filter { table.headings[$0].unit == .label }
        let metric = table.headings.firstIndex { $0.unit == .metric }
        // What the rows' figures count is a part of the metric's name: a metric has one unit.
        let metrics = metric.map { column in
            table.rows.reduce(into: [String]()) { names, row in
                if let name = row[column].plain, !names.contains(name) { names.append(name) }
            }
        }
        return (metrics ?? [""]).flatMap { counted in
            let rows = table.rows.filter { row in metric.map { row[$0].plain == counted } ?? true }
            return table.headings.indices.flatMap { column -> [String] in
                let heading = table.headings[column]
                let name = self.name("\(prefix)_\(table.name)", counted, heading)
                let samples = rows.compactMap { row in
                    baseValue(row[column], heading.unit).map { value in
                        sample(name, labels.map { (table.headings[$0].key, row[$0].plain ?? "") }, value)
                    }
                }
                return samples.isEmpty ? [] : family(name, heading.help, samples)
            }
        }
    }

    /// The unit comes last, and is a base unit.
    private static func name(_ table: String, _ counted: String, _ heading: ExportTable.Heading) -> String {
        if !counted.isEmpty {
            let suffix = [ExportTable.Unit.bytes, .nanoseconds].map(\.suffix).first(where: counted.hasSuffix) ?? ""
            return "\(table)_\(counted.dropLast(suffix.count))_\(heading.key)\(suffix)"
        }
        return switch heading.unit {
        case .nanoseconds: "\(table)_\(heading.key)_seconds"
        case .outcome: "\(table)_passed"
        default: "\(table)_\(heading.name)"
        }
    }

    private static func family(_ name: String, _ help: String, _ samples: [String]) -> [String] {
        ["# HELP \(name) \(escaped(help, quotes: false))", "# TYPE \(name) gauge"] + samples
    }

    private static func sample(_ name: String, _ labels: [(String, String)], _ value: String) -> String {
        if labels.isEmpty { return "\(name) \(value)" }
        let pairs = labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }
        return "\(name){\(pairs.joined(separator: ","))} \(value)"
    }

    private static func baseValue(_ cell: ExportTable.Cell, _ unit: ExportTable.Unit) -> String? {
        switch (cell, unit) {
        case (.text(let outcome), .outcome): Check.Outcome(rawValue: outcome)?.figure.map { "\($0)" }
        case (.text, _): nil
        case (_, .nanoseconds): cell.figure.map { "\($0 / 1e9)" }
        default: cell.plain
        }
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
