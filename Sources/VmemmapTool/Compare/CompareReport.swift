/// What changed between two exports, for people.
enum CompareReport {
    /// The report, line by line.
    static func lines(_ result: ComparisonResult, _ style: Style = .plain) -> [String] {
        style.wrapped(
            ["vmemmap compare: two exports of vmemmap \(result.comparedCommand)", ""]
                + [("old", result.old), ("new", result.new)].flatMap { source($0, $1) } + different(result) + [""])
            + table(result, style) + [""] + style.wrapped(closing(result, style))
    }

    private static func source(_ name: String, _ source: ComparisonResult.Source) -> [String] {
        let run = source.run.value.map { " on \($0.hostName), \($0.startedAt)" } ?? ""
        return ["\(name)  \(source.file): Linux \(source.host.kernelRelease)\(run)"]
            + (source.run.value.map { ["     \($0.commandLine)"] } ?? [])
    }

    private static func different(_ result: ComparisonResult) -> [String] {
        if result.differentConfiguration.isEmpty { return [] }
        return ["", "They were not asked for the same (old, new):"] + result.differentConfiguration.map { "  " + $0 }
    }

    /// The figures that are not the same and not within noise; verbose, all of them.
    private static func table(_ result: ComparisonResult, _ style: Style) -> [String] {
        let shown = result.rows.filter { style.isVerbose || $0.verdict != .same && $0.verdict != .withinNoise }
        guard !shown.isEmpty else { return style.wrapped(["No figure differs by more than noise."]) }
        var table = TextTable(headings: ["figure", "old", "new", "new/old", "verdict"])
        for row in shown {
            let words = [row.row, Format.words(row.figure)].filter { !$0.isEmpty }.joined(separator: ", ")
            table.add([
                "\(Format.words(row.table)): \(words)", row.text(row.old.value), row.text(row.new.value),
                row.ratio.map { Format.decimal($0, 3) } ?? "-", Format.words(row.verdict.rawValue),
            ])
        }
        return table.lines(style)
    }

    private static func closing(_ result: ComparisonResult, _ style: Style) -> [String] {
        let counts = ComparisonResult.Verdict.allCases.map { verdict in
            (Format.words(verdict.rawValue), result.rows.count { $0.verdict == verdict })
        }
        let summary =
            "\(Format.count(result.rows.count, "figure")): "
            + counts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        guard let percent = result.failAbovePercent.value else { return [summary] }
        let limit = "\(Format.decimal(percent, 3, isTrimmed: true)) %"
        let reasons = [
            result.differentConfiguration.isEmpty ? nil : "they were not asked for the same",
            result.failures.isEmpty ? nil : "\(result.failures.count) grew or changed by more than \(limit)",
            result.lost.isEmpty ? nil : "\(result.lost.count) of the old figures are missing in the new export",
            result.new.holds.value == false ? "the new run failed its own checks" : nil,
        ].compactMap(\.self)
        return [
            summary,
            style.verdict(
                reasons.isEmpty,
                reasons.isEmpty ? "nothing grew or changed by more than \(limit)" : reasons.joined(separator: "; ")),
        ]
    }
}
