/// How a report is laid out for whoever reads it: width, colour, and how much is told. Pure.
struct Style: Hashable, Sendable {
    /// When there is colour.
    enum ColorChoice: String, Hashable, Sendable, CaseIterable {
        /// On a terminal, unless NO_COLOR says otherwise.
        case auto
        /// In any case.
        case always
        /// In no case.
        case never
    }

    /// What is known of the place that text goes to.
    struct Place: Hashable, Sendable {
        /// Whether it is a terminal.
        var isTerminal: Bool
        /// Its columns, as the terminal says; nil if it does not.
        var columns: Int?
        /// The process's environment.
        var environment: [String: String]

        /// A place.
        init(isTerminal: Bool, columns: Int? = nil, environment: [String: String] = [:]) {
            self.isTerminal = isTerminal
            self.columns = columns
            self.environment = environment
        }
    }

    /// The columns that lines fit; nil: as many as there are.
    let width: Int?
    /// Whether verdicts and notes are coloured.
    let isColored: Bool
    /// Whether everything is told, rather than what fits one screen.
    let isVerbose: Bool

    /// No limit, no colour, one screen.
    static let plain = Style(width: nil, isColored: false, isVerbose: false)

    /// A style.
    init(width: Int?, isColored: Bool, isVerbose: Bool) {
        self.width = width
        self.isColored = isColored
        self.isVerbose = isVerbose
    }

    /// The variables of the environment that count, and for what.
    static let variables: [(name: String, meaning: String)] = [
        ("COLUMNS", "How wide reports may be, in columns (default: the terminal's width, or as wide as they are)."),
        ("NO_COLOR", "If it is not empty, there is no colour unless --color asks for it."),
        ("TERM", "If it is dumb, the same."),
    ]

    /// The style for a place.
    ///
    /// COLUMNS decides the width where it is set; else a terminal does, with 80 where it does not tell; what is no
    /// terminal has no width. NO_COLOR (set to anything) and TERM=dumb turn `auto` into `never`.
    init(for place: Place, color: ColorChoice = .auto, isVerbose: Bool = false) {
        let asked = place.environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        let told = place.columns.flatMap { $0 > 0 ? $0 : nil } ?? Self.usualWidth
        width = (asked ?? (place.isTerminal ? told : nil)).map { max($0, Self.leastWidth) }
        let refusesColor = !(place.environment["NO_COLOR"] ?? "").isEmpty || place.environment["TERM"] == "dumb"
        isColored =
            switch color {
            case .auto: place.isTerminal && !refusesColor
            case .always: true
            case .never: false
            }
        self.isVerbose = isVerbose
    }

    /// What a terminal has that does not tell.
    private static let usualWidth = 80

    /// The same, with lines that end where a terminal's would.
    var withWidth: Style { Style(width: width ?? Self.usualWidth, isColored: isColored, isVerbose: isVerbose) }

    /// A table of two columns is not made narrower than this.
    static let leastWidth = 40

    // MARK: Colour

    /// What went well.
    func good(_ text: String) -> String { colored(text, "32") }

    /// What did not.
    func bad(_ text: String) -> String { colored(text, "1;31") }

    /// What explains.
    func note(_ text: String) -> String { colored(text, "2") }

    /// A verdict in words.
    func verdict(_ holds: Bool, _ text: String) -> String { holds ? good(text) : bad(text) }

    /// `ok    ` or `FAIL  ` in front of a statement; `?     ` where it was not measured.
    func mark(_ outcome: Check.Outcome) -> String {
        switch outcome {
        case .passed: good("ok") + "    "
        case .failed: bad("FAIL") + "  "
        case .notMeasured: "?     "
        }
    }

    /// The same of what is so or not.
    func mark(_ isSo: Bool) -> String { mark(isSo ? .passed : .failed) }

    private func colored(_ text: String, _ code: String) -> String {
        isColored && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }

    // MARK: Width

    /// Prose broken at spaces where it is too wide, the rest of each line under its second word, as `host    Linux ...`
    /// is.
    func wrapped(_ lines: [String]) -> [String] {
        guard let width else { return lines }
        return lines.flatMap { Self.wrapped($0, to: width) }
    }

    /// Notes: dim, and where a line is too wide, each paragraph filled anew. An empty line ends a paragraph.
    func notes(_ lines: [String]) -> [String] {
        let isTooWide = width.map { width in lines.contains { $0.count > width } } ?? false
        guard isTooWide else { return lines.map(note) }
        let paragraphs = lines.split(omittingEmptySubsequences: false) { $0.isEmpty }
        return Array(paragraphs.map { wrapped([$0.joined(separator: " ")]) }.joined(separator: [""])).map(note)
    }

    private static func wrapped(_ line: String, to width: Int) -> [String] {
        guard visibleLength(line) > width else { return [line] }
        let indent = String(repeating: " ", count: min(hang(line), width / 3))
        var lines: [String] = []
        /// A line that begins with `word`, which is indented as far as there is room.
        func start(_ indent: String, _ word: String) -> String {
            indent.prefix(max(0, width - visibleLength(word))) + word
        }
        let spaces = String(line.prefix { $0 == " " })
        var current = ""
        var isAtStart = true
        for word in words(line.dropFirst(spaces.count)) {
            let longer = isAtStart ? start(spaces, word) : current + " " + word
            if !isAtStart, visibleLength(longer) > width {
                lines.append(current)
                current = start(indent, word)
            } else {
                current = longer
            }
            isAtStart = false
        }
        return lines + [current]
    }

    /// What stands between spaces. A space between two digits is within a number: `12 345`.
    private static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        for word in line.split(separator: " ", omittingEmptySubsequences: false) {
            if let last = words.last, last.last?.isNumber == true, word.first?.isNumber == true {
                words[words.count - 1] = last + " " + word
            } else {
                words.append(String(word))
            }
        }
        return words
    }

    /// Where the second of two or more columns starts that are separated by at least two spaces; 0 in plain prose.
    private static func hang(_ line: String) -> Int {
        let spaces = line.prefix { $0 == " " }.count
        let rest = line.dropFirst(spaces)
        guard let gap = rest.firstRange(of: "  ") else { return spaces }
        let word = rest[..<gap.lowerBound]
        guard !word.contains(" ") else { return spaces }
        return spaces + visibleLength(String(word)) + rest[gap.lowerBound...].prefix { $0 == " " }.count
    }

    /// Characters that take a column: all but the escape sequences of ``colored(_:_:)``.
    private static func visibleLength(_ text: String) -> Int {
        var length = 0
        var isEscape = false
        for character in text {
            if character == "\u{1b}" { isEscape = true }
            if !isEscape { length += 1 }
            if isEscape, character == "m" { isEscape = false }
        }
        return length
    }
}
