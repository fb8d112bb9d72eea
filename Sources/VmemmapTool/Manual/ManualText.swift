/// The text of a manual page, in the macros of man(7).
struct ManualText {
    private(set) var lines: [String] = []

    /// - Parameters:
    ///   - date: as year, month and day.
    ///   - title: what the manual's section has.
    init(name: String, section: Int, date: String, title: String) {
        lines = [
            ".TH \(Self.escaped(name.uppercased())) \(section) \(Self.escaped(date)) "
                + "\"\(Tool.name) \(Tool.version)\" \"\(title)\"",
            // Options are not broken, nor words pulled apart.
            ".nh", ".ad l",
        ]
    }

    /// A section.
    mutating func section(_ title: String) { lines.append(".SH \(title.uppercased())") }

    /// A part of one.
    mutating func subsection(_ title: String) { lines.append(".SS \(Self.escaped(title))") }

    /// The name of the page and what it is about, as whatis(1) has it.
    mutating func title(_ name: String, _ abstract: String) {
        let abstract = abstract.last == "." ? abstract.dropLast() : abstract[...]
        lines.append("\(Self.escaped(name)) \\- \(Self.escaped(abstract))")
    }

    /// Paragraphs, with empty lines between them.
    mutating func text(_ text: String) {
        var isBetween = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                isBetween = true
            } else {
                if isBetween { lines.append(".PP") }
                lines.append(Self.line(line))
                isBetween = false
            }
        }
    }

    /// What is written in roff already, by ``bold(_:)`` and ``italic(_:)``.
    mutating func raw(_ text: String) { lines.append(text) }

    /// A term, written in roff, and what it means.
    mutating func item(_ term: String, _ meaning: String) {
        lines += [".TP", term]
        text(meaning)
    }

    /// A line that can be typed.
    mutating func example(_ command: some StringProtocol) {
        lines += [".RS 4", ".EX", Self.line(command), ".EE", ".RE"]
    }

    /// What is written as it stands.
    static func bold(_ text: some StringProtocol) -> String { "\\fB\(escaped(text))\\fR" }

    /// What stands for something else.
    static func italic(_ text: some StringProtocol) -> String { "\\fI\(escaped(text))\\fR" }

    /// A line of text, which is no request whatever it begins with.
    private static func line(_ text: some StringProtocol) -> String {
        let line = escaped(text)
        return line.first == "." ? "\\&\(line)" : line
    }

    /// Characters that mean something to roff, or that it would print as others.
    static func escaped(_ text: some StringProtocol) -> String {
        let escapes: [Character: String] = [
            "\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "\"": "\\(dq",
            // A line may end there.
            "|": "|\\:",
        ]
        return text.reduce(into: "") { $0 += escapes[$1] ?? String($1) }
    }
}
