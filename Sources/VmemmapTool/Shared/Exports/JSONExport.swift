import FoundationEssentials

/// Results as JSON: keys in snake_case with their units, bytes and times by the clock as integers, null where nothing
/// was measured.
enum JSONExport {
    /// What every exported object starts with.
    private struct Envelope<Result: Encodable>: Encodable {
        let schemaVersion = Tool.schemaVersion
        let tool = Tool.name
        let toolVersion = Tool.version
        let command: String
        let run = RunDescription.current
        let holds: Bool?
        let checks: [Check]
        let result: Result

        enum Key: String, CodingKey {
            case schemaVersion, tool, toolVersion, command, run, holds, checks
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(schemaVersion, forKey: .schemaVersion)
            try container.encode(tool, forKey: .tool)
            try container.encode(toolVersion, forKey: .toolVersion)
            try container.encode(command, forKey: .command)
            try container.encode(run, forKey: .run)
            try container.encodeIfPresent(holds, forKey: .holds)
            // Not every result stores its checks: some are read off its figures.
            if !checks.isEmpty { try container.encode(checks, forKey: .checks) }
            try result.encode(to: encoder)
        }
    }

    /// The text of a result, with a newline at its end; its keys stand beside those of the envelope.
    static func text(_ result: some ExportableResult) throws -> String {
        try encoded(
            Envelope(
                command: type(of: result).command, holds: result.verdict, checks: result.checks, result: result),
            .prettyPrinted)
    }

    /// What a line of JSON lines starts with.
    private struct Line<Report: Encodable>: Encodable {
        let schemaVersion = Tool.schemaVersion
        let tool = Tool.name
        let command: String
        let run = RunDescription.current
        let reportedAt: String
        let report: Report

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(schemaVersion, forKey: .schemaVersion)
            try container.encode(tool, forKey: .tool)
            try container.encode(command, forKey: .command)
            try container.encode(run, forKey: .run)
            try container.encode(reportedAt, forKey: .reportedAt)
            try report.encode(to: encoder)
        }

        enum Key: String, CodingKey {
            case schemaVersion, tool, command, run, reportedAt
        }
    }

    /// A report of a run as one line, dated by this host's clock.
    static func line(_ report: some Encodable, command: String) throws -> String {
        try encoded(Line(command: command, reportedAt: Date.now.ISO8601Format(), report: report))
    }

    /// The text of what has neither tables nor a verdict.
    ///
    /// - Parameters:
    ///   - result: what to export.
    ///   - command: the subcommand that made it.
    static func text(_ result: some Encodable, command: String) throws -> String {
        try encoded(Envelope(command: command, holds: nil, checks: [], result: result), .prettyPrinted)
    }

    private static func encoded(
        _ value: some Encodable, _ layout: JSONEncoder.OutputFormatting = []
    ) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, layout]
        return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    }
}
