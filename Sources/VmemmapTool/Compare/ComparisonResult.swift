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
        /// Each figure lies within the other's range.
        case withinNoise = "within_noise"
        /// More than noise: a count or an amount that differs at all, or figures outside each other's ranges.
        case differs
        /// A time or a ratio without ranges: nothing tells what its noise is.
        case unknown
        /// One of the two was not measured.
        case missing
    }

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
    /// From how many per cent of growth (times and ratios) or change (all else) a difference fails; null: none does.
    let failAbovePercent: Measured<Double>

    /// Differences that are more than noise.
    var differences: [Row] { rows.filter { $0.verdict == .differs } }

    /// What is too large. A time without a range counts: nothing says that it is noise. A whole process's memory does
    /// not: that it varies is known.
    var failures: [Row] {
        guard let percent = failAbovePercent.value else { return [] }
        return rows.filter {
            ($0.verdict == .differs || $0.verdict == .unknown && $0.unit.isTimed) && $0.isLarger(than: percent)
        }
    }

    /// Figures that the old one has and the new one lacks: nothing can be said of them.
    var lost: [Row] { rows.filter { $0.old.value != nil && $0.new.value == nil } }

    /// Whether what was asked for holds: both did the same, nothing is too large or lost, and the new run passed its
    /// own checks.
    private var isWithinLimit: Bool {
        differentConfiguration.isEmpty && failures.isEmpty && lost.isEmpty && new.holds.value != false
    }
}

extension ComparisonResult.Row {
    /// Whether it grew by more than `percent`; of what is no time and no ratio, whether it changed by more.
    func isLarger(than percent: Double) -> Bool {
        guard let old = old.value, let new = new.value else { return false }
        let growth = unit == .nanoseconds || unit == .ratio ? new - old : (new - old).magnitude
        return growth > old.magnitude * percent / 100
    }
}

extension ComparisonResult: ExportableResult {
    static var command: String { "compare" }
    var host: HostBlock { new.host }
    var verdict: Bool? { failAbovePercent.value == nil ? nil : isWithinLimit }

    var tables: [ExportTable] { [Self.table(rows)] }

    static func table(_ rows: [Row]) -> ExportTable {
        ExportTable(
            "difference", "A figure of two exports.", rows,
            [
                .label("table", "The table.") { $0.table }.shown(""),
                .label("row", "The row, by its labels.") { $0.row }.shown("figure"),
                .label("figure", "The column, with its unit.") { $0.figure }.shown(""),
                .ratio("old", "The old figure, in its unit.") { $0.old.value },
                .ratio("new", "The new figure, in its unit.") { $0.new.value },
                .text("old_text", "The old figure, for people.") { $0.text($0.old.value) },
                .text("new_text", "The new figure, for people.") { $0.text($0.new.value) },
                .ratio("new_over_old", "The new figure over the old one.") { $0.ratio }.shown("new/old"),
                .label("verdict", "What the difference is worth.") { $0.verdict.rawValue },
            ])
    }
}

extension ComparisonResult.Row {
    /// A value of the figure for people; a dash where there is none.
    func text(_ value: Double?) -> String {
        guard let value else { return "-" }
        return switch unit {
        case .nanoseconds: Format.duration(nanoseconds: value)
        case .ratio: Format.decimal(value, 3)
        case .share: Format.percent(value)
        case .bytes: Int(exactly: value).map { Format.briefBytes(ByteCount($0)) } ?? "\(value)"
        case .truth: value == 1 ? "yes" : "no"
        default: Int(exactly: value).map(Format.count) ?? Format.decimal(value, 3)
        }
    }
}
