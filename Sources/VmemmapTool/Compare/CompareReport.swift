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
        // A file of somebody else's may have anything in them.
        return
            (["\(name)  \(source.file): Linux \(source.host.kernelRelease)\(run)"]
            + (source.run.value.map { ["     \($0.commandLine)"] } ?? [])).map { Format.visible($0) }
    }

    private static func different(_ result: ComparisonResult) -> [String] {
        if result.differentConfiguration.isEmpty { return [] }
        return ["", "They were not asked for the same (old, new):"]
            + result.differentConfiguration.map {
                "  " + Format.visible($0)
            }
    }

    /// The figures that are more than noise, or of which nothing tells; verbose, all of them. Two lines each, under the
    /// row that they are of: old and new, with the ranges of both.
    private static func table(_ result: ComparisonResult, _ style: Style) -> [String] {
        let hidden: Set<ComparisonResult.Verdict> = [.same, .withinNoise, .varies]
        let shown = result.rows.filter { style.isVerbose || !hidden.contains($0.verdict) }
        guard !shown.isEmpty else { return style.wrapped(["No figure differs by more than noise."]) }
        var table = TextTable(headings: ["figure", "", "value", "least", "most", "new/old"])
        for row in shown {
            let (old, new) = (row.oldRange.value, row.newRange.value)
            table.add(["  \(row.name)", "old"] + [row.old.value, old?.first, old?.last].map(row.text) + [""])
            table.add(
                ["    \(Format.words(row.verdict.rawValue))", "new"]
                    + [row.new.value, new?.first, new?.last].map(row.text)
                    + [row.ratio.map { Format.decimal($0, 3) } ?? "-"])
        }
        let lines = table.lines(.plain)
        return shown.indices.reduce(into: Array(lines.prefix(1))) { all, index in
            if index == 0 || shown[index].place != shown[index - 1].place {
                all += style.wrapped([shown[index].place])
            }
            all += lines[(1 + 2 * index)...(2 + 2 * index)]
        }
    }

    private static func closing(_ result: ComparisonResult, _ style: Style) -> [String] {
        guard let limit = result.limit else { return [result.summary] }
        let verdict =
            result.reasons.isEmpty
            ? "nothing grew or changed by more than \(limit) and than noise"
            : result.reasons.joined(separator: "; ")
        return [result.summary, style.verdict(result.reasons.isEmpty, verdict)]
    }
}
