import HostMemory
import VmemmapEmulator

extension StressResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: "A region and a machine under stress: "
                + "\(CountText.of(pages.rawValue, "huge page")) of \(ByteText.short(hugePageBytes)) each",
            setting: setting, summary: summary, highlights: highlights,
            sections: (violation.map { [section($0)] } ?? [])
                + [StressRates(combinations).section, StressFaults(self).section].compactMap { $0 }
                + [claimSection] + growth)
    }

    private var setting: String {
        let combinations = combinations.map(\.name).joined(separator: "; ")
        return combinations.capitalizedFirst
            + ". \(CountText.of(workers, "worker")), \(CountText.of(walkers, "walker")), faults: \(faults.rawValue), for "
            + "\(DurationText.short(nanoseconds: total.elapsedNanoseconds)); seed \(seed)."
    }

    private var summary: String {
        let ended = wasEnded ? " The run was ended before its time; this is of what was run." : ""
        if let violation { return "\(violation.claim.capitalizedFirst): not so, see below.\(ended)" }
        let tested = claims.count { $0.holds.value == true }
        return "\(tested) of \(claims.count) promises were put to the test, and held each time.\(ended)"
    }

    private var highlights: [HTMLContent.Highlight] {
        let reads = total.headReads + total.pageReads
        return [
            .init(
                value: CountText.grouped(total.wrongReads),
                label: "wrong of \(CountText.grouped(reads)) reads"),
            .init(
                value: CountText.grouped(total.remaps),
                label:
                    "huge pages optimized or restored, \(CountText.grouped(StressReport.perSecond(total.remaps, total))) a second"
            ),
            .init(
                value: CountText.grouped(total.faultedOperations + total.hostRefusals),
                label: "faults survived"),
            .init(
                value: CountText.grouped(total.checks),
                label: "times everything against the model, over \(CountText.of(total.epochs, "building"))"),
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
                    [.element("strong", [:], [Markup("\u{2717} \(violation.claim.capitalizedFirst): not so.")])]),
                .paragraph(Markup(violation.detail)),
                .paragraph(
                    Markup(
                        "\(violation.scheme.rawValue), \(violation.backing.rawValue), building \(violation.epoch), round "
                            + "\(violation.round). Again with --seed \(violation.seed).")),
            ] + block("The huge pages around it", violation.states) + block("Its mappings", violation.mappings)
                + block("The last operations of each worker, oldest first", violation.lastOperations))
    }

    private var claimSection: HTMLSection {
        let items = claims.map { check in
            ClaimList.Item(
                holds: check.holds.value, text: check.claim.rawValue,
                method: check.holds.value == nil
                    ? "not put to the test" : "looked at \(CountText.of(check.times, "time"))")
        }
        return HTMLSection(
            id: "claims", title: "What was promised, and how often it was looked at",
            body: [ClaimList.markup(items)])
    }

    // MARK: Growth

    private var growth: [HTMLSection] {
        guard let first = footprints.first, let last = footprints.last else { return [] }
        let ends =
            "Between two buildings neither region nor machine is there, and the process should have what it had before. After the first: "
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
        func count(_ value: Double) -> String { CountText.grouped(Int(value)) }
        let panels = [
            GrowthFigure.Panel(
                name: "RSS", axis: .bytes(upTo: most(rss), count: 3), values: rss,
                text: { ByteText.short(ByteCount(Int($0))) }),
            GrowthFigure.Panel(
                name: "mappings", axis: .count(upTo: most(mappings), count: 3), values: mappings, text: count),
            GrowthFigure.Panel(
                name: "descriptors", axis: .count(upTo: most(files), count: 3), values: files, text: count),
        ].filter { !$0.values.isEmpty }
        let figure = GrowthFigure(panels: panels, stretches: stretches, count: footprints.count)
        let key =
            stretches.count > 1
            ? " Above: " + stretches.enumerated().map { "\($0 + 1) \($1.name)" }.joined(separator: "; ") + "." : ""
        return Figure(
            id: "footprints", title: "The process after each building",
            description: panels.map { panel in
                "\(panel.name): first \(panel.values.first.map { panel.text($0.value) } ?? ""), last "
                    + "\(panel.values.last.map { panel.text($0.value) } ?? ""), at most "
                    + (panel.values.map(\.value).max().map(panel.text) ?? "")
            }.joined(separator: "; "),
            caption: "RSS: smaps_rollup. Mappings: lines of /proc/self/maps. Descriptors: /proc/self/fd.\(key)",
            draw: figure.draw
        ).markup
    }

    /// The buildings of each combination; the last one of a run that failed has left no footprint.
    private var stretches: [GrowthFigure.Stretch] {
        var built = 0
        return combinations.compactMap { combination in
            let first = built + 1
            built += combination.figures.epochs
            let last = min(built, footprints.count)
            return first <= last ? GrowthFigure.Stretch(name: combination.name, buildings: first...last) : nil
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
                    "Huge pages optimized, and huge pages restored, of region and machine, by all workers together, faults and checks "
                        + "included."
                ) { $0.remaps },
                durations,
                rates(
                    "reads", "Reads a second",
                    "compound_heads and whole vmemmap pages read and checked by all walkers together, while the workers were at it."
                ) { $0.headReads + $0.pageReads },
            ].compactMap { $0 })
    }

    private func rates(
        _ id: String, _ title: String, _ caption: String, _ count: (StressFigures) -> Int
    ) -> Markup {
        let bars = combinations.map { combination in
            let rate = StressReport.perSecond(count(combination.figures), combination.figures)
            return BarFigure.Bar(
                name: combination.name, value: Double(rate), text: CountText.grouped(rate), style: "accent")
        }
        let axis = Axis.rates(upTo: bars.map(\.value).max() ?? 0, count: 4)
        let unit = axis.unit.isEmpty ? "" : ", \(axis.unit)"
        return figure(id, title, caption, bars, axis, "\(title.lowercased())\(unit)")
    }

    /// Nil where the region itself was never remapped.
    private var durations: Markup? {
        let bars = combinations.compactMap { combination in
            combination.figures.remapMeanNanoseconds.value.map { mean in
                BarFigure.Bar(
                    name: combination.name, value: Double(mean), text: CountText.grouped(mean) + " ns", style: "accent")
            }
        }
        guard let most = bars.map(\.value).max() else { return nil }
        let axis = Axis.durations(upTo: most, count: 4)
        return figure(
            "remaptime", "Time of a remap",
            "Time in the region\u{2019}s own optimize and restore calls, waiting for others and failing included, for each huge page "
                + "that they remapped.", bars, axis, "time of a remap, \(axis.unit)")
    }

    private func figure(
        _ id: String, _ title: String, _ caption: String, _ bars: [BarFigure.Bar], _ axis: Axis, _ axisName: String
    ) -> Markup {
        let figure = BarFigure(bars: bars, axis: axis, axisName: axisName)
        return Markup([
            .element("h3", [:], [Markup(title)]),
            Figure(
                id: id, title: title, description: bars.map { "\($0.name): \($0.text)" }.joined(separator: "; "),
                caption: caption, draw: figure.draw
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
        if result.faults == .off { return nil }
        let total = result.total
        let text =
            "Beside the workers there were \(CountText.of(total.signals, "signal")) and \(CountText.of(total.forks, "fork")). "
            + (StressReport.scarce(result).map { "Made scarce: \($0). " } ?? "")
            + "Left half-way by two refusals in a row, and mended: \(CountText.of(total.mendedPages, "huge page"))."
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
            return GroupedBarFigure.Row(
                name: combination.name,
                bars: [
                    figures.failedCalls, figures.refusedOperations, figures.faultedOperations + figures.hostRefusals,
                ].map { (Double($0), CountText.grouped($0)) })
        }
        let most = rows.flatMap(\.bars).compactMap(\.?.value).max() ?? 0
        if rows.isEmpty { return nil }
        let figure = GroupedBarFigure(
            key: Self.key, rows: rows, axis: .count(upTo: Int(most), count: 4), axisName: "number")
        return Figure(
            id: "failures", title: "Faults, by scheme and backing",
            description: rows.map { row in
                "\(row.name): "
                    + zip(Self.key.names, row.bars).map { "\($0.name) \($1?.text ?? "")" }.joined(separator: ", ")
            }.joined(separator: "; "),
            caption:
                "Calls failed on purpose: they were not made. Operations refused: they ended in an error, as they may. Faults "
                + "survived: operations in which a call was failed or the host itself refused, after which everything was as "
                + "promised, whether they succeeded by another way or not.",
            draw: figure.draw
        ).markup
    }
}
