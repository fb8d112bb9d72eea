import HostMemory

/// Two exports of the same command, figure by figure.
struct ComparisonResult: Hashable, Sendable, Codable {
    /// Where one of the two comes from.
    struct Source: Hashable, Sendable, Codable {
        /// The file.
        let file: String
        /// The run; null of an export that does not say.
        let run: Measured<RunDescription>
        /// The host.
        let host: HostBlock
        /// Its own verdict; null where it has none.
        let holds: Measured<Bool>
    }

    /// A figure of both.
    struct Row: Hashable, Sendable, Codable {
        /// The table.
        let table: String
        /// The row, by its labels.
        let row: String
        /// The column, with its unit.
        let figure: String
        /// What it is counted in.
        let unit: ExportTable.Unit
        /// The old figure; null where it was not measured, or there is no such row.
        let old: Measured<Double>
        /// The new one.
        let new: Measured<Double>
        /// The range of the old one over its runs; null where it has none.
        let oldRange: Measured<[Double]>
        /// That of the new one.
        let newRange: Measured<[Double]>
        /// What the difference is worth.
        let verdict: Verdict

        /// New over old; nil without one of the two, and of 0.
        var ratio: Double? {
            guard let old = old.value, let new = new.value, old != 0 else { return nil }
            return new / old
        }
    }

    /// What a difference is worth.
    enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
        /// There is none.
        case same
        /// The two ranges meet.
        case withinNoise = "within_noise"
        /// More than noise: a count or an amount that differs at all, or ranges that do not meet.
        case differs
        /// A time or a ratio without ranges: nothing tells what its noise is.
        case unknown
        /// It differs between two runs of the same: memory of the whole process, the host's state, work done in a time.
        case varies
        /// One of the two was not measured, or is in no row or table.
        case missing
    }

    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// From how many per cent of growth (times and ratios) or change (all else) a difference fails; null: none.
        let failAbovePercent: Measured<Double>
    }

    /// What was asked for.
    let configuration: Configuration
    /// The subcommand that made both.
    let comparedCommand: String
    /// The older one, or whatever was named first.
    let old: Source
    /// The newer one.
    let new: Source
    /// What the two were asked for where that is not the same, by key.
    let differentConfiguration: [String]
    /// Every figure that both have, or one of them.
    let rows: [Row]
    /// Differences that are more than noise.
    var differences: [Row] { rows.filter { $0.verdict == .differs } }

    /// What is too large. Neither what varies by itself is, nor a time of which nothing tells the noise.
    var failures: [Row] {
        guard let percent = configuration.failAbovePercent.value else { return [] }
        return rows.filter { $0.verdict == .differs && $0.isLarger(than: percent) }
    }

    /// Figures, and outcomes of checks, that the old one has and the new one lacks: nothing can be said of them.
    var lost: [Row] { rows.filter { $0.verdict == .missing && $0.new.value == nil } }

    /// What fails beside the limit, in words: both must do the same, nothing may be too large or lost, and the new run
    /// must have passed its own checks. Empty without a limit.
    var reasons: [String] {
        guard let limit else { return [] }
        let figures = lost.count { $0.unit != .outcome }
        let checks = lost.filter { $0.unit == .outcome && $0.old.value == 1 }.map(\.row)
        return [
            differentConfiguration.isEmpty ? nil : "they were not asked for the same",
            failures.isEmpty ? nil : "\(failures.count) grew or changed by more than \(limit)",
            figures == 0 ? nil : "\(figures) of the old figures are missing in the new export",
            checks.isEmpty
                ? nil : "passed before, now missing or not measured: \(checks.joined(separator: ", "))",
            new.holds.value == false ? "the new run failed its own checks" : nil,
        ].compactMap(\.self)
    }

    /// The limit, for people.
    var limit: String? {
        configuration.failAbovePercent.value.map { "\(Format.decimal($0, 3, isTrimmed: true)) %" }
    }

    /// How many figures came out how.
    var summary: String {
        let counts = Verdict.allCases.map { verdict in
            (Format.words(verdict.rawValue), rows.count { $0.verdict == verdict })
        }
        return "\(Format.count(rows.count, "figure")): "
            + counts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
    }
}

extension ComparisonResult.Row {
    /// Whether it grew by more than `percent`: the smallest of the new runs over the largest of the old ones. Of what
    /// is no time and no ratio, whether it changed by more. Of a check never: that it failed is said by itself.
    func isLarger(than percent: Double) -> Bool {
        guard unit != .outcome, let old = oldRange.value?.last ?? old.value,
            let new = newRange.value?.first ?? new.value
        else { return false }
        let growth = unit.isTimed ? new - old : (new - old).magnitude
        return growth > old.magnitude * percent / 100
    }
}

extension ComparisonResult: ExportableResult {
    static var command: String { "compare" }
    var host: HostBlock { new.host }
    var verdict: Bool? { limit.map { _ in reasons.isEmpty } }

    var tables: [ExportTable] { [Self.table(rows)] }

    static func table(_ rows: [Row]) -> ExportTable {
        ExportTable(
            "difference", "A figure of two exports.", rows,
            [
                .label("table", "The table.") { $0.table },
                .label("row", "The row, by its labels.") { $0.row },
                .label("figure", "The column, with its unit.") { $0.figure },
                .label("unit", "What the figures are counted in.") { $0.unit.rawValue },
                .number("old", "The old figure.") { $0.old.value },
                .number("old_min", "The smallest of its runs.") { $0.oldRange.value?.first },
                .number("old_max", "The largest of them.") { $0.oldRange.value?.last },
                .number("new", "The new figure.") { $0.new.value },
                .number("new_min", "The smallest of its runs.") { $0.newRange.value?.first },
                .number("new_max", "The largest of them.") { $0.newRange.value?.last },
                .text("old_text", "The old figure, for people.") { $0.text($0.old.value) },
                .text("new_text", "The new figure, for people.") { $0.text($0.new.value) },
                .ratio("new_over_old", "The new figure over the old one.") { $0.ratio },
                .label("verdict", "What the difference is worth.") { $0.verdict.rawValue },
            ])
    }
}

extension ComparisonResult.Row {
    /// Which row of which table it is of.
    var place: String { Format.words(table) + (row.isEmpty ? "" : ": \(row)") }

    /// The column as words: what is a unit is seen in the figures, and that it is a median in its range.
    var name: String {
        let suffix = unit == .ratio ? "" : unit.suffix
        let key = figure.hasSuffix(suffix) ? figure.dropLast(suffix.count) : figure[...]
        let words = Format.words(String(key)).split(separator: " ").filter { $0 != "median" }
        return words.isEmpty ? Format.words(figure) : words.joined(separator: " ")
    }

    /// A value of the figure for people; a dash where there is none.
    func text(_ value: Double?) -> String {
        guard let value else { return "-" }
        return switch unit {
        case .nanoseconds: Format.duration(nanoseconds: value)
        case .ratio: Format.decimal(value, 3)
        case .share: Format.percent(value)
        case .bytes: Int(exactly: value).map { Format.briefBytes(ByteCount($0)) } ?? "\(value)"
        case .truth: value == 1 ? "yes" : "no"
        case .outcome: value == 1 ? "passed" : "failed"
        default: Int(exactly: value).map(Format.count) ?? Format.decimal(value, 3)
        }
    }
}
