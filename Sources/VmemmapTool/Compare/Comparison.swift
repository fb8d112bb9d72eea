import ArgumentParser

/// Reads two exports of the same command and holds their tables against each other.
struct Comparison: Sendable {
    /// The older export's file.
    let old: String
    /// The newer one's.
    let new: String
    /// From how many per cent on a difference fails.
    var failAbovePercent: Double?

    /// Reads both.
    ///
    /// - Throws: a usage error for a file that is no export, or that of another command.
    func run() throws -> ComparisonResult {
        let (old, new) = (try Export(old), try Export(new))
        guard old.command == new.command else {
            throw ValidationError(
                "\(old.file) is of vmemmap \(old.command), and \(new.file) of vmemmap \(new.command): give two of "
                    + "the same.")
        }
        return ComparisonResult(
            configuration: .init(failAbovePercent: Measured(failAbovePercent)), comparedCommand: old.command,
            old: old.source, new: new.source,
            differentConfiguration: Self.different(old.configuration, new.configuration),
            rows: Self.rows(old.tables, new.tables))
    }

    // MARK: What was asked for

    private static func different(_ old: [String: JSONValue], _ new: [String: JSONValue]) -> [String] {
        let (old, new) = (JSONValue.object(old).members, JSONValue.object(new).members)
        return Set(old.keys).union(new.keys).sorted().filter { old[$0] != new[$0] }.map { key in
            "\(key): \(old[key].map(\.text) ?? "-"), \(new[key].map(\.text) ?? "-")"
        }
    }

    // MARK: Figures

    /// Every figure of both, or of one of them, and what came of each check. Tables of single runs are left out: what
    /// is said of them is compared.
    static func rows(_ old: [ExportTable], _ new: [ExportTable]) -> [ComparisonResult.Row] {
        let names = old.map(\.name)
        return old.flatMap { table in rows(table, new.first { $0.name == table.name }) }
            + new.filter { !names.contains($0.name) }.flatMap { rows(nil, $0) }
    }

    private static func rows(_ old: ExportTable?, _ new: ExportTable?) -> [ComparisonResult.Row] {
        guard let table = old ?? new, !table.isOfSingleRuns else { return [] }
        let headings = table.headings.filter(\.unit.isFigure).filter { !$0.isEndOfRange(in: table) }
        let (oldRows, newRows) = (old?.rowsByLabels ?? [:], new?.rowsByLabels ?? [:])
        let order = (old?.allLabels ?? []) + (new?.allLabels ?? []).filter { oldRows[$0] == nil }
        func measured(_ table: ExportTable?, _ heading: ExportTable.Heading, _ row: [ExportTable.Cell]?)
            -> ExportTable.MeasuredFigure
        {
            table?.measured(heading, row) ?? .init(value: nil)
        }
        return order.flatMap { labels in
            headings.map { heading in
                row(
                    table.name, labels, heading, measured(old, heading, oldRows[labels]),
                    measured(new, heading, newRows[labels]))
            }
        }
    }

    private static func row(
        _ table: String, _ labels: String, _ heading: ExportTable.Heading, _ old: ExportTable.MeasuredFigure,
        _ new: ExportTable.MeasuredFigure
    ) -> ComparisonResult.Row {
        ComparisonResult.Row(
            table: table, row: labels, figure: heading.name, unit: heading.unit, old: Measured(old.value),
            new: Measured(new.value), oldRange: Measured(old.range.map { [$0.lowerBound, $0.upperBound] }),
            newRange: Measured(new.range.map { [$0.lowerBound, $0.upperBound] }),
            verdict: verdict(heading.unit, old, new, varies: heading.varies))
    }

    /// What a difference is worth.
    static func verdict(
        _ unit: ExportTable.Unit, _ old: ExportTable.MeasuredFigure, _ new: ExportTable.MeasuredFigure,
        varies: Bool = false
    ) -> ComparisonResult.Verdict {
        if old.value == new.value { return .same }
        if varies { return .varies }
        guard old.value != nil, new.value != nil else { return .missing }
        guard unit.isTimed else { return .differs }
        guard let oldRange = old.range, let newRange = new.range else { return .unknown }
        return oldRange.overlaps(newRange) ? .withinNoise : .differs
    }
}

extension ExportTable {
    /// A figure of a row, and the range of what it is the median of.
    struct MeasuredFigure: Hashable, Sendable {
        let value: Double?
        var range: ClosedRange<Double>?
    }

    /// Whether its rows are single runs, or single huge pages by how long they took.
    fileprivate var isOfSingleRuns: Bool { ["pair", "cycle", "latency_bucket", "event", "sample"].contains(name) }

    /// A row's labels as words.
    fileprivate func labels(_ row: [Cell]) -> String {
        headings.indices.filter { headings[$0].unit.isLabel }.compactMap { headings[$0].label(row[$0]) }
            .joined(separator: ", ")
    }

    fileprivate var allLabels: [String] { rows.map(labels) }

    fileprivate var rowsByLabels: [String: [Cell]] {
        Dictionary(rows.map { (labels($0), $0) }) { first, _ in first }
    }

    /// The figure under a heading. The ends of its range stand under `min` and `max` in place of `median` or
    /// `measured`.
    func measured(_ heading: Heading, _ row: [Cell]?) -> MeasuredFigure {
        guard let row, let column = headings.firstIndex(where: { $0.name == heading.name }) else {
            return MeasuredFigure(value: nil)
        }
        func end(_ word: String) -> Double? {
            guard let key = heading.keyOfRange(word) else { return nil }
            return headings.firstIndex { $0.key == key && $0.unit == heading.unit }.flatMap { row[$0].figure }
        }
        var figure = MeasuredFigure(value: row[column].figure ?? row[column].outcomeFigure(heading.unit))
        // One run, or two of the same time, say nothing about noise.
        if let least = end("min"), let most = end("max"), least < most { figure.range = least...most }
        return figure
    }
}

extension ExportTable.Cell {
    /// What came of a check, as a figure.
    fileprivate func outcomeFigure(_ unit: ExportTable.Unit) -> Double? {
        guard unit == .outcome else { return nil }
        return plain.flatMap(Check.Outcome.init)?.figure.map(Double.init)
    }
}

extension ExportTable.Heading {
    /// The key of an end of this figure's range; nil of what is no median.
    fileprivate func keyOfRange(_ end: String) -> String? {
        for word in ["median", "measured"] where key == word || key.hasSuffix("_\(word)") {
            return key.dropLast(word.count) + end
        }
        return nil
    }

    /// Whether it is the end of another's range, and no figure of its own.
    func isEndOfRange(in table: ExportTable) -> Bool {
        table.headings.contains { $0.unit == unit && ($0.keyOfRange("min") == key || $0.keyOfRange("max") == key) }
    }
}
