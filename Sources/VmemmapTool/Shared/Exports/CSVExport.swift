/// The first table of a result that has rows as comma-separated values (RFC 4180, lines ended by a newline alone): a
/// heading line, then a line a row. What was not measured is empty.
enum CSVExport {
    /// The text, with a newline at its end.
    static func text(_ result: some ExportableResult) -> String {
        (result.tables.first { !$0.rows.isEmpty } ?? result.tables.first).map(text) ?? ""
    }

    static func text(_ table: ExportTable) -> String {
        let lines = [table.headings.map(\.name)] + table.rows.map { row in row.map { $0.plain ?? "" } }
        return lines.map { $0.map(quoted).joined(separator: ",") + "\n" }.joined()
    }

    private static func quoted(_ field: String) -> String {
        // Characters, where a carriage return and a newline are one, would miss that one.
        guard field.unicodeScalars.contains(where: { "\",\r\n".unicodeScalars.contains($0) }) else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
