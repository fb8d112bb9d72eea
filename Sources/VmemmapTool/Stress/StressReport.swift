import HostMemory
import VmemmapEmulator

/// A stress run for people.
enum StressReport {
    /// What is printed before anything is run: with the seed, whatever comes can be had again.
    static func opening(_ configuration: StressConfiguration, _ style: Style = .plain) -> [String] {
        let cycles = configuration.cycles.map { ", or \(CountText.grouped($0)) cycles" } ?? ""
        return style.wrapped([
            "seed \(configuration.seed)",
            "stress: \(CountText.of(configuration.workers, "worker")), \(CountText.of(configuration.walkers, "walker")), a region and a "
                + "machine of \(CountText.grouped(configuration.pages.rawValue)) x "
                + "\(ByteText.short(configuration.pageSize.bytes)) huge pages each, faults \(configuration.faults.rawValue), for "
                + DurationText.short(nanoseconds: configuration.durationNanoseconds) + cycles,
        ])
    }

    /// A line of progress, in columns as vmstat(8) has them; over the first, what they are.
    ///
    /// The time since the beginning, what was done in a second since the last line, the mean of all remaps, faults survived since the
    /// last line, and all wrong reads.
    static func lines(_ progress: StressProgress, _ style: Style = .plain) -> [String] {
        let last = progress.sinceLast
        let isFirst = last.elapsedNanoseconds == progress.total.elapsedNanoseconds
        let heading = line("", ["s", "cycles/s", "remaps/s", "ns/remap", "reads/s", "faults", "wrong"])
        let figures = line(
            "\(progress.scheme.rawValue) \(progress.backing.rawValue)",
            [
                "\(progress.total.elapsedNanoseconds / 1_000_000_000)", "\(perSecond(last.cycles, last))",
                "\(perSecond(last.remaps, last))", progress.total.remapMeanNanoseconds.value.map { "\($0)" } ?? "-",
                "\(perSecond(last.headReads + last.pageReads, last))", "\(last.faultedOperations + last.hostRefusals)",
                "\(progress.total.wrongReads)",
            ])
        return style.wrapped(isFirst ? ["", heading, figures] : [figures])
    }

    /// Columns wide enough for the lines that are yet to come, as far as one can know.
    private static func line(_ name: String, _ cells: [String]) -> String {
        let columns = zip(cells, [6, 9, 9, 9, 10, 7, 6]).map { cell, width in
            String(repeating: " ", count: max(1, width - cell.count)) + cell
        }
        return name + String(repeating: " ", count: max(0, 21 - name.count)) + columns.joined()
    }

    static func perSecond(_ count: Int, _ figures: StressFigures) -> Int {
        figures.elapsedNanoseconds > 0
            ? Int(Double(count) * 1e9 / Double(figures.elapsedNanoseconds)) : 0
    }

    /// The summary and the verdict.
    static func lines(_ result: StressResult, _ style: Style = .plain) -> [String] {
        let table = [""] + table(result).lines(style) + [""]
        let total = result.total
        let reads = total.headReads + total.pageReads
        var lines = [
            "reads     \(CountText.grouped(total.headReads)) of compound_head, \(CountText.grouped(total.pageReads)) of whole vmemmap pages "
                + "(\(CountText.grouped(total.crossedReads)) read again because a change crossed them); "
                + "\(CountText.grouped(perSecond(reads, total) * 60)) a minute, \(CountText.grouped(total.wrongReads)) wrong",
            "faults    \(CountText.grouped(total.failedCalls)) calls failed on purpose in \(CountText.grouped(total.faultedOperations)) "
                + "operations, \(CountText.grouped(total.refusedOperations)) operations refused, "
                + "\(CountText.grouped(total.hostRefusals)) of them by the host itself; "
                + "\(CountText.of(total.mendedPages, "huge page")) left half-way and mended",
            scarce(result).map { "scarce    \($0)" },
            "beside    \(CountText.grouped(total.signals)) signals, \(CountText.of(total.forks, "fork"))",
            "oracle    \(CountText.grouped(total.checks)) times frames, mappings, files, contents and counts against the model, "
                + "over \(CountText.grouped(total.epochs)) buildings",
        ].compactMap { $0 }
        if let first = result.footprints.first, let last = result.footprints.last {
            lines.append("process   \(footprint(first)) after the first building; \(footprint(last)) after the last")
        }
        lines += result.leftOut.map { "left out  \($0)" }
        if result.wasEnded { lines.append("ended by a signal before its time; the verdict is on what was run") }
        lines = table + style.wrapped(lines)
        // Lines of maps and of operations stay as they are: they are for searching.
        if let violation = result.violation { return lines + [""] + self.lines(violation) }
        let untested = result.claims.count { $0.holds == .notMeasured }
        if untested > 0 {
            lines += style.wrapped([
                "not measured: \(CountText.grouped(untested)) of \(CountText.grouped(result.claims.count)) promises were not looked at"
            ])
        }
        return lines + [result.holds ? "passed: seed \(result.seed)" : "FAILED: seed \(result.seed)"]
    }

    /// What was made scarce, and in how many rounds; nil where nothing was to be.
    static func scarce(_ result: StressResult) -> String? {
        if result.faults == .off { return nil }
        let rounds = result.total.shortages
        let ofHost = [
            ("address space", rounds.addressSpace), ("mappings", rounds.mappings), ("descriptors", rounds.openFiles),
            ("room on a tmpfs", rounds.fileSystem),
        ]
        return ((result.faults.isHost ? ofHost : []) + [("frames", rounds.frames)]).enumerated().map {
            index, shortage in
            "\(shortage.0) in " + (index == 0 ? CountText.of(shortage.1, "round") : CountText.grouped(shortage.1))
        }.joined(separator: ", ")
    }

    private static func table(_ result: StressResult) -> TextTable {
        var table = TextTable(
            headings: [
                "", "time", "operations", "cycles", "remaps", "cycles/s", "reads", "faults\nsurvived", "wrong",
            ], dispensable: ["operations", "remaps", "cycles/s"])
        func add(_ name: String, _ figures: StressFigures) {
            table.add([
                name, DurationText.short(nanoseconds: figures.elapsedNanoseconds),
                CountText.grouped(figures.operations),
                CountText.grouped(figures.cycles), CountText.grouped(figures.remaps),
                CountText.grouped(perSecond(figures.cycles, figures)),
                CountText.grouped(figures.headReads + figures.pageReads),
                CountText.grouped(figures.faultedOperations + figures.hostRefusals),
                CountText.grouped(figures.wrongReads),
            ])
        }
        for combination in result.combinations {
            add("\(combination.scheme.rawValue) \(combination.backing.rawValue)", combination.figures)
        }
        if result.combinations.count > 1 { add("all", result.total) }
        return table
    }

    static func footprint(_ footprint: StressFootprint) -> String {
        let rss = footprint.rssBytes.value.map { "RSS \(ByteText.short($0))" } ?? "RSS not measured"
        return "\(rss), \(CountText.of(footprint.mappings.rawValue, "mapping")), "
            + CountText.of(footprint.openFiles, "descriptor")
    }

    private static func lines(_ violation: StressViolation) -> [String] {
        func block(_ title: String, _ lines: [String]) -> [String] {
            lines.isEmpty ? [] : [title] + lines.map { "    " + $0 }
        }
        return [
            "FAILED: \(violation.claim)", "    \(violation.detail)",
            "    \(violation.scheme.rawValue) \(violation.backing.rawValue), building \(violation.epoch), round \(violation.round)",
        ] + block("states", violation.states) + block("mappings", violation.mappings)
            + block("last operations", violation.lastOperations)
            + ["again with --seed \(violation.seed)"]
    }
}
