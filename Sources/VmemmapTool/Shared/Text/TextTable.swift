/// A table in plain text: the first column to the left, the others to the right, two spaces between.
struct TextTable: Sendable {
    private let headings: [[String]]
    private let dispensable: [Int]
    private var rows: [[String]] = []

    /// A table with these headings; a line break in one starts another heading line.
    ///
    /// - Parameter dispensable: columns that are left out, one after the other, where there is no room for all of them
    ///   and not everything is to be told.
    init(headings: [String], dispensable: [Int] = []) {
        self.dispensable = dispensable
        let split = headings.map { $0.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) }
        let height = split.map(\.count).max() ?? 0
        // Short headings stand at the bottom, next to their figures.
        self.headings = (0..<height).map { line in
            split.map { line < height - $0.count ? "" : $0[line - (height - $0.count)] }
        }
    }

    /// Adds a row. It must have as many cells as there are headings.
    mutating func add(_ row: [String]) { rows.append(row) }

    /// The lines of the table, without trailing space. Where it is too wide without what is dispensable, its columns
    /// stand in several tables one below the other, each with the first column; an empty line between.
    func lines(_ style: Style) -> [String] {
        let all = style.width.map(withFoldedKeys) ?? headings + rows
        let widths = (all.first ?? []).indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let blocks = Self.blocks(columns(widths, style), widths, width: style.width ?? .max).map { block in
            // Headings of fewer lines than those of another block leave empty ones.
            all.map { row in
                trimmed(block.map { pad(row[$0], to: widths[$0], atFront: $0 > 0) }.joined(separator: "  "))
            }.drop { $0.isEmpty }
        }
        return Array(blocks.joined(separator: [""]))
    }

    /// Headings and rows, with keys that leave no room for the widest other column divided at their commas: the figures
    /// stand beside the last part.
    private func withFoldedKeys(width: Int) -> [[String]] {
        let all = headings + rows
        let widest = all.flatMap { $0.dropFirst() }.map(\.count).max() ?? 0
        return all.flatMap { row -> [[String]] in
            guard let key = row.first, key.count + 2 + widest > width else { return [row] }
            let parts = key.split(separator: ", ").map(String.init)
            return parts.dropLast().map { [$0 + ","] + row.dropFirst().map { _ in "" } }
                + [[parts.last ?? key] + row.dropFirst()]
        }
    }

    /// The columns that are shown.
    private func columns(_ widths: [Int], _ style: Style) -> [Int] {
        var columns = Array(widths.indices)
        guard let width = style.width, !style.isVerbose else { return columns }
        for column in dispensable where columns.map({ widths[$0] + 2 }).reduce(-2, +) > width {
            columns.removeAll { $0 == column }
        }
        return columns
    }

    /// The columns of each table that fits `width`: the first, and as many others as there is room for, but one at
    /// least.
    private static func blocks(_ columns: [Int], _ widths: [Int], width: Int) -> [[Int]] {
        guard let first = widths.first else { return [] }
        var blocks = [[0]]
        var used = first
        for column in columns.dropFirst() {
            if used + 2 + widths[column] > width, blocks[blocks.count - 1].count > 1 {
                blocks.append([0])
                used = first
            }
            blocks[blocks.count - 1].append(column)
            used += 2 + widths[column]
        }
        return blocks
    }

    private func pad(_ text: String, to width: Int, atFront: Bool) -> String {
        let space = String(repeating: " ", count: width - text.count)
        return atFront ? space + text : text + space
    }

    private func trimmed(_ text: String) -> String {
        String(text[..<(text.lastIndex { $0 != " " }.map { text.index(after: $0) } ?? text.startIndex)])
    }
}
