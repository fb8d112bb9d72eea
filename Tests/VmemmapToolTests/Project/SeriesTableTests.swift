import SystemPackage
import Testing

/// The documentation of the series names types, tests and scripts: each must be there.
@Suite("The series, row by row")
struct SeriesTableTests {
    private struct Row {
        let title: String
        let sources: [String]
        let tests: [String]
        let scripts: String
    }

    /// The rows: items of a list, `**title.** sources. Tests: tests. Scripts: scripts.`, over one line or several.
    private static func rows() throws -> [Row] {
        try Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/SeriesRowByRow.md")
            .replacing("\n  ", with: " ").split(separator: "\n").filter { $0.hasPrefix("- **") }
            .map { line in
                let title = line.dropFirst(4).prefix { $0 != "*" }
                let cells = line.dropFirst(4 + title.count).split(separator: /Tests:|Scripts:/)
                try #require(cells.count == 3, "\(line)")
                return Row(
                    title: String(title), sources: code(String(cells[0])), tests: code(String(cells[1])),
                    scripts: cells[2].filter { $0 != " " && $0 != "." })
            }
    }

    /// What stands between backticks, without what a call has behind its name.
    private static func code(_ cell: String) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element.prefix { $0 != "(" }) }
    }

    /// What each file below a folder declares or extends: `keyword name`.
    private static func declarations(below folder: String) async throws -> [String: Set<String>] {
        let keywords = "func|var|let|case|struct|class|enum|protocol|extension"
        let found = try await Command.run(
            "/bin/grep", ["-roE", "(\(keywords)) [A-Za-z]+", "\(Command.repository)/\(folder)"])
        return found.output.split(separator: "\n").reduce(into: [:]) { files, line in
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { files[String(parts[0]), default: []].insert(String(parts[1])) }
        }
    }

    /// Whether a name, of a type or of its own, is declared in one of the files.
    private static func isDeclared(_ name: String, in files: [String: Set<String>]) -> Bool {
        let parts = name.split(separator: ".").map(String.init)
        guard let last = parts.last else { return false }
        var files = Array(files.values)
        if let type = parts.first, type.first?.isUppercase == true {
            let kinds = ["struct", "class", "enum", "protocol", "extension"].map { "\($0) \(type)" }
            files = files.filter { !$0.isDisjoint(with: kinds) }
            if parts.count == 1 { return !files.isEmpty }
        }
        let kinds = ["func", "var", "let", "case", "struct", "enum"].map { "\($0) \(last)" }
        return files.contains { !$0.isDisjoint(with: kinds) }
    }

    @Test("Every patch of the series has its row, and every row what does it, a test and a script")
    func complete() throws {
        let rows = try Self.rows()
        let numbers = rows.flatMap { $0.title.split { !$0.isNumber } }.compactMap { Int($0) }
        #expect(Set(1...21).isSubset(of: numbers))
        for row in rows {
            #expect(!row.sources.isEmpty && !row.scripts.isEmpty, "\(row.title)")
            #expect(!row.tests.isEmpty, "\(row.title)")
        }
    }

    @Test("Every type, function, option and file that the rows name is in the sources")
    func sources() async throws {
        let files = try await Self.declarations(below: "Sources")
        let shims = try await Repository.names(in: "CSystemShims")
        for row in try Self.rows() {
            for name in row.sources {
                if name.hasSuffix(".c") {
                    #expect(shims.contains(name), "\(row.title): \(name)")
                } else {
                    let declared = name.hasPrefix("--") ? Self.camelCased(name) : name
                    #expect(Self.isDeclared(declared, in: files), "\(row.title): \(name)")
                }
            }
        }
    }

    @Test("Every test that they name is there")
    func tests() async throws {
        let files = try await Self.declarations(below: "Tests")
        for row in try Self.rows() {
            for name in row.tests {
                #expect(Self.isDeclared(name, in: files), "\(row.title): \(name)")
            }
        }
    }

    @Test("Every script that they name is there, and they name every script")
    func scripts() async throws {
        let names = try Self.rows().flatMap { $0.scripts.split(separator: ",").map(String.init) }
            .filter { !$0.hasPrefix("(") }
        let scripts = try await Repository.names(in: "scripts/examples").filter { $0.hasSuffix(".pool") }
            .map { String($0.dropLast(5)) }
        #expect(Set(names) == Set(scripts))
    }

    /// `--at-boot` as its variable has it: `atBoot`.
    private static func camelCased(_ option: String) -> String {
        let words = option.split(separator: "-").map(String.init)
        return words.prefix(1).joined() + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
}
