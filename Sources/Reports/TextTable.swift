/// A table in plain text: the first column to the left, the others to the right, two spaces between.
public struct TextTable: Sendable {
    private let headings: [[String]]
    private var rows: [[String]] = []

    /// A table with these headings; a line break in one starts another heading line.
    public init(headings: [String]) {
        let split = headings.map { $0.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
        let height = split.map(\.count).max() ?? 0
        // Short headings stand at the bottom, next to their figures.
        self.headings = (0..<height).map { line in
            split.map { line < height - $0.count ? "" : $0[line - (height - $0.count)] }
        }
    }

    /// Adds a row. It must have as many cells as there are headings.
    public mutating func add(_ row: [String]) { rows.append(row) }

    /// The lines of the table, without trailing space.
    public var lines: [String] {
        let all = headings + rows
        let columns = all.first?.count ?? 0
        let widths = (0..<columns).map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.indices.map { column in
                pad(row[column], to: widths[column], atFront: column > 0)
            }
            return trimmed(cells.joined(separator: "  "))
        }
    }

    private func pad(_ text: String, to width: Int, atFront: Bool) -> String {
        let space = String(repeating: " ", count: width - text.count)
        return atFront ? space + text : text + space
    }

    private func trimmed(_ text: String) -> String {
        String(text[..<(text.lastIndex { $0 != " " }.map { text.index(after: $0) } ?? text.startIndex)])
    }
}
