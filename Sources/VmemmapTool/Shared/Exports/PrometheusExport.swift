/// A result in Prometheus' text format, as the textfile collector of node_exporter reads it: a gauge for each column that is a
/// figure, in base units (bytes, seconds), with the row's labels. What was not measured has no sample.
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
        if let holds = result.verdict {
            lines += family(
                "\(prefix)_holds", "Whether what was measured is what was promised.",
                [sample("\(prefix)_holds", [], holds ? "1" : "0")])
        }
        for table in result.tables { lines += self.lines(table, prefix) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ table: ExportTable, _ prefix: String) -> [String] {
        let labels = table.headings.indices.filter { table.headings[$0].unit == .label }
        return table.headings.indices.flatMap { column -> [String] in
            let heading = table.headings[column]
            if heading.unit == .label { return [] }
            let name = "\(prefix)_\(table.name)_\(baseName(heading))"
            let samples = table.rows.compactMap { row in
                baseValue(row[column], heading.unit).map { value in
                    sample(name, labels.map { (table.headings[$0].key, row[$0].plain ?? "") }, value)
                }
            }
            return samples.isEmpty ? [] : family(name, heading.help, samples)
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

    private static func baseName(_ heading: ExportTable.Heading) -> String {
        heading.unit == .nanoseconds ? heading.key + "_seconds" : heading.name
    }

    private static func baseValue(_ cell: ExportTable.Cell, _ unit: ExportTable.Unit) -> String? {
        guard unit == .nanoseconds else { return cell.plain }
        return switch cell {
        case .integer(let nanoseconds): "\(Double(nanoseconds) / 1e9)"
        case .number(let nanoseconds): "\(nanoseconds / 1e9)"
        case .text, .missing: nil
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
