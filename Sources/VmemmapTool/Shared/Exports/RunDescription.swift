import FoundationEssentials
import HostMemory

/// Which run an export comes from, so that two can be told apart and the run made again.
struct RunDescription: Hashable, Sendable, Codable {
    /// When the program started: ISO 8601, UTC, to the second.
    let startedAt: String
    /// The host's name (`uname -n`).
    let hostName: String
    /// The command line, quoted for a shell.
    let commandLine: String

    /// This run.
    static let current = RunDescription(
        startedAt: start.ISO8601Format(), hostName: SystemName.current.node,
        commandLine: ([Tool.name] + CommandLine.arguments.dropFirst()).map(quoted).joined(separator: " "))

    /// Seconds since 1970 at which the program started.
    static var startSeconds: Int { Int(start.timeIntervalSince1970) }

    /// Evaluated by ``EntryPoint``; a library's client has none before its first export.
    static let start = Date.now

    /// The word as a shell takes it for one, on one line: control characters are spelled out, as in `$'a\nb'`.
    static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=:,@+%".contains($0)) }
        if isPlain { return word }
        guard word.unicodeScalars.contains(where: isControl) else {
            return "'" + word.replacing("'", with: "'\\''") + "'"
        }
        return "$'" + word.unicodeScalars.map(spelled).joined() + "'"
    }

    /// What would steer a terminal or break a line.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
    }

    private static func spelled(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\t": "\\t"
        case "'", "\\": "\\\(scalar)"
        // Its bytes, in three octal digits each, so that none that follows is taken for a part of it.
        case _ where isControl(scalar):
            String(scalar).utf8.map { "\\" + String(0o1000 + Int($0), radix: 8).dropFirst() }.joined()
        default: String(scalar)
        }
    }
}
