import HostMemory
import VmemmapEmulator

extension StressResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: "A region and a machine under stress: "
                + "\(Format.count(configuration.pages.rawValue, "huge page")) of "
                + "\(Format.bytes(configuration.hugePageBytes)) each",
            setting: setting, summary: summary, highlights: highlights,
            sections: (violation.map { [section($0)] } ?? [])
                + [overTime, StressRates(combinations).section, StressFaults(self).section].compactMap { $0 }
                + Check.sections(checks) + growth)
    }

    private var setting: String {
        let combinations = combinations.map(\.name).joined(separator: "; ")
        let (workers, walkers) = (configuration.workers, configuration.walkers)
        return combinations.capitalizedFirst
            + ". \(Format.count(workers, "worker")), \(Format.count(walkers, "walker")), faults: "
            + "\(configuration.faults.rawValue), for \(Format.duration(nanoseconds: total.elapsedNanoseconds)); "
            + "seed \(seed)."
    }

    private var summary: String {
        if !isComplete { return "The run had not ended when this was written; this is of what had been run." }
        return wasEnded ? "The run was ended before its time; this is of what was run." : ""
    }

    private var highlights: [HTMLContent.Highlight] {
        let reads = total.headReads + total.pageReads
        return [
            .init(
                value: Format.count(total.wrongReads),
                label: "wrong of \(Format.count(reads)) reads"),
            .init(
                value: Format.count(total.remaps),
                label:
                    "huge pages optimized or restored, \(Format.count(total.perSecond(total.remaps))) a second"
            ),
            .init(
                value: Format.count(total.faultedOperations + total.hostRefusals),
                label: "faults survived"),
            .init(
                value: Format.count(total.checks),
                label: "times everything was checked against the model, in \(Format.count(total.setUps, "set-up"))"),
        ]
    }

    // MARK: What was found

    private func section(_ violation: StressViolation) -> HTMLSection {
        func block(_ title: String, _ lines: [String]) -> [Markup] {
            if lines.isEmpty { return [] }
            return [
                .element("h3", [:], [Markup(title)]), .element("pre", [:], [.verbatim(lines.joined(separator: "\n"))]),
            ]
        }
        return HTMLSection(
            id: "violation", title: "What must not be",
            body: [
                .element(
                    "p", ["class": "verdict failed"],
                    [.element("strong", [:], [Markup("\u{2717} \(violation.statement.capitalizedFirst): not so.")])]),
                .paragraph(Markup(violation.detail)),
                .paragraph(
                    Markup(
                        "\(violation.scheme.rawValue), \(violation.backing.rawValue), set-up \(violation.setUp), round "
                            + "\(violation.round). Again with --seed \(violation.seed).")),
            ] + block("The huge pages around it", violation.states) + block("Its mappings", violation.mappings)
                + block("The last operations of each worker, oldest first", violation.lastOperations))
    }

    // MARK: Over time

    /// How much was done a second, from moment to moment; nil of a run with fewer than two.
    private var overTime: HTMLSection? {
        guard let last = history.last, history.count > 1 else { return nil }
        func panel(_ name: String, _ count: (StressMoment) -> Int) -> LineFigure.Panel {
            let starts = [(0, 0)] + history.map { ($0.elapsedNanoseconds, count($0)) }
            let rates = zip(starts, starts.dropFirst()).map { from, to in
                (from: from.0, to: to.0, rate: Double(to.1 - from.1) * 1e9 / Double(max(1, to.0 - from.0)))
            }
            let (least, most) = (rates.map(\.rate).min() ?? 0, rates.map(\.rate).max() ?? 0)
            return LineFigure.Panel(
                name: "\(name) a second", axis: .rates(upTo: most, count: 3),
                series: [
                    LineFigure.Series(
                        style: "pss",
                        // Means of the time between two moments: level there.
                        points: rates.map { (Double($0.from), $0.rate) }
                            + rates.suffix(1).map { (Double($0.to), $0.rate) })
                ], note: "from \(Format.count(Int(least))) to \(Format.count(Int(most)))")
        }
        let panels =
            [panel("remaps", \.remaps), panel("reads", \.reads)]
            + (configuration.faults == .off ? [] : [panel("faults survived", \.faults)])
        let figure = LineFigure(
            panels: panels, bands: [], axis: .nanoseconds(upTo: last.elapsedNanoseconds, count: 8), axisName: "time",
            range: 0...Double(max(1, last.elapsedNanoseconds)))
        return HTMLSection(
            id: "time", title: "Over time",
            body: [
                Figure(
                    id: "overtime", title: "What was done a second",
                    description: panels.map { "\($0.name): \($0.note)" }.joined(separator: "; "),
                    caption: "Means of the time between two moments, of all combinations and threads together.",
                    draw: figure.draw
                ).markup
            ])
    }

    // MARK: Growth

    private var growth: [HTMLSection] {
        guard let first = footprints.first, let last = footprints.last else { return [] }
        let ends =
            "Between two set-ups neither region nor machine is there, and the process should have what it had before. "
            + "After the first: "
            + StressReport.footprint(first)
        let text =
            ends
            + (footprints.count > 1 ? "; after the last of \(footprints.count): \(StressReport.footprint(last))." : ".")
        return [
            HTMLSection(
                id: "growth", title: "Whether the process grows",
                body: [.paragraph(Markup(text))] + (footprints.count > 1 ? [growthFigure] : []))
        ]
    }

    private var growthFigure: Markup {
        let rss = footprints.enumerated().compactMap { number, footprint in
            footprint.rssBytes.value.map { (number + 1, Double($0.rawValue)) }
        }
        let mappings = footprints.enumerated().map { ($0 + 1, Double($1.mappings.rawValue)) }
        let files = footprints.enumerated().map { ($0 + 1, Double($1.openFiles)) }
        func most(_ values: [(Int, Double)]) -> Int { Int(values.map(\.1).max() ?? 0) }
        func count(_ value: Double) -> String { Format.count(Int(value)) }
        func panel(
            _ name: String, _ axis: (Int) -> Axis, _ values: [(Int, Double)], _ text: (Double) -> String
        ) -> LineFigure.Panel? {
            guard let first = values.first, let last = values.last else { return nil }
            return LineFigure.Panel(
                name: name, axis: axis(most(values)),
                series: [
                    LineFigure.Series(
                        style: "pss", points: values.map { (Double($0.0), $0.1) },
                        // With more of them they would be a line again.
                        titles: values.count > 40 ? [] : values.map { "\(name) after set-up \($0.0): \(text($0.1))" })
                ], note: "first \(text(first.1)), last \(text(last.1)), at most \(text(Double(most(values))))")
        }
        let panels = [
            panel("RSS", { .bytes(upTo: $0, count: 3) }, rss) { Format.bytes(ByteCount(Int($0))) },
            panel("mappings", { .count(upTo: $0, count: 3) }, mappings, count),
            panel("descriptors", { .count(upTo: $0, count: 3) }, files, count),
        ].compactMap(\.self)
        let figure = LineFigure(
            panels: panels, bands: stretches.count > 1 ? stretches : [],
            axis: .numbers(upTo: footprints.count, count: min(footprints.count, 8)), axisName: "set-up",
            range: 0.5...Double(footprints.count) + 0.5)
        let key =
            stretches.count > 1
            ? " Above: " + stretches.map { "\($0.name) \($0.title)" }.joined(separator: "; ") + "." : ""
        return Figure(
            id: "footprints", title: "The process after each set-up",
            description: panels.map { "\($0.name): \($0.note)" }.joined(separator: "; "),
            caption: "RSS: smaps_rollup. Mappings: lines of /proc/self/maps. Descriptors: /proc/self/fd.\(key)",
            draw: figure.draw
        ).markup
    }

    /// The set-ups of each combination; the last one of a run that failed has left no footprint.
    private var stretches: [LineFigure.Band] {
        var built = 0
        return combinations.enumerated().compactMap { number, combination in
            let first = built
            built += combination.figures.setUps
            let last = min(built, footprints.count)
            return first >= last
                ? nil
                : LineFigure.Band(
                    from: Double(first) + 0.5, to: Double(last) + 0.5, name: "\(number + 1)", title: combination.name,
                    isShaded: number.isMultiple(of: 2))
        }
    }
}

extension StressCombinationResult {
    /// Scheme and backing.
    var name: String { "\(scheme.rawValue), \(backing.rawValue)" }
}

/// How fast each scheme on each backing was, side by side.
private struct StressRates {
    private let combinations: [StressCombinationResult]

    init(_ combinations: [StressCombinationResult]) { self.combinations = combinations }

    /// Nil where nothing was run.
    var section: HTMLSection? {
        if combinations.isEmpty { return nil }
        return HTMLSection(
            id: "rates", title: combinations.count > 1 ? "Scheme by scheme" : "How fast",
            body: [
                rates(
                    "remaps", "Remaps a second",
                    "Huge pages optimized, and huge pages restored, of region and machine, by all workers together, "
                        + "faults and checks "
                        + "included."
                ) { $0.remaps },
                durations,
                rates(
                    "reads", "Reads a second",
                    "compound_heads and whole vmemmap pages read and checked by all walkers together, while the "
                        + "workers were at it."
                ) { $0.headReads + $0.pageReads },
            ].compactMap { $0 })
    }

    private func rates(
        _ id: String, _ title: String, _ caption: String, _ count: (StressFigures) -> Int
    ) -> Markup {
        let bars = combinations.map { combination in
            let rate = combination.figures.perSecond(count(combination.figures))
            return BarFigure.Row(
                combination.name, .init(value: Double(rate), text: Format.count(rate), style: "accent"))
        }
        let axis = Axis.rates(upTo: bars.compactMap(\.bars.first??.value).max() ?? 0, count: 4)
        let unit = axis.unit.isEmpty ? "" : ", \(axis.unit)"
        return figure(id, title, caption, bars, axis, "\(title.lowercased())\(unit)")
    }

    /// Nil where the region itself was never remapped.
    private var durations: Markup? {
        let means = combinations.compactMap { combination in
            combination.figures.remapMeanNanoseconds.value.map { (combination.name, Double($0)) }
        }
        guard let most = means.map(\.1).max() else { return nil }
        let unit = TimeUnit(of: means.map(\.1))
        let bars = means.map { BarFigure.Row($0, .init(value: $1, text: unit.text($1), style: "accent")) }
        let axis = Axis.durations(upTo: most, count: 4)
        return figure(
            "remaptime", "Time of a remap",
            "Time in the region\u{2019}s own optimize and restore calls, waiting for others and failing included, for "
                + "each huge page "
                + "that they remapped.", bars, axis, "time of a remap, \(axis.unit)")
    }

    private func figure(
        _ id: String, _ title: String, _ caption: String, _ rows: [BarFigure.Row], _ axis: Axis, _ axisName: String
    ) -> Markup {
        let figure = BarFigure(rows: rows, axis: axis, axisName: axisName)
        return Markup([
            .element("h3", [:], [Markup(title)]),
            Figure(
                id: id, title: title, description: figure.description, caption: caption, draw: figure.draw
            ).markup,
        ])
    }
}

/// What was made to fail, and what came of it.
private struct StressFaults {
    private let result: StressResult

    init(_ result: StressResult) { self.result = result }

    /// Nil where nothing was to fail.
    var section: HTMLSection? {
        if result.configuration.faults == .off { return nil }
        let total = result.total
        let text =
            "Beside the workers there were \(Format.count(total.signals, "signal")) and "
            + "\(Format.count(total.forks, "fork")). "
            + (StressReport.scarce(result).map { "Made scarce: \($0). " } ?? "")
            + "Left half-way by two refusals in a row, and mended: \(Format.count(total.mendedPages, "huge page"))."
        return HTMLSection(
            id: "faults", title: "What was made to fail",
            body: [.paragraph(Markup(text))] + result.leftOut.map { .paragraph(Markup("Left out: \($0)")) }
                + [figure].compactMap { $0 })
    }

    private static let key = FigureKey(names: [
        ("calls failed on purpose", "used"), ("operations refused", "cost"), ("faults survived", "accent"),
    ])

    private var figure: Markup? {
        let rows = result.combinations.map { combination in
            let figures = combination.figures
            return BarFigure.Row(
                combination.name,
                [
                    figures.failedCalls, figures.refusedOperations, figures.faultedOperations + figures.hostRefusals,
                ].map { (Double($0), Format.count($0)) })
        }
        let most = rows.flatMap(\.bars).compactMap(\.?.value).max() ?? 0
        if rows.isEmpty { return nil }
        let figure = BarFigure(
            rows: rows, axis: .count(upTo: Int(most), count: 4), axisName: "number", key: Self.key)
        return Figure(
            id: "failures", title: "Faults, by scheme and backing",
            description: figure.description,
            caption:
                "Calls failed on purpose: they were not made. Operations refused: they ended in an error, as they may. "
                + "Faults "
                + "survived: operations in which a call was failed or the host itself refused, after which everything "
                + "was as it "
                + "must be, whether they succeeded by another way or not.",
            draw: figure.draw
        ).markup
    }
}
