import HostMemory
import VmemmapEmulator

/// A stress run for people.
enum StressReport {
    /// What is printed before anything is run: with the seed, whatever comes can be had again.
    ///
    /// - Parameter nodes: among how many emulated nodes it is divided; nil: it is not.
    static func opening(
        _ configuration: StressConfiguration, _ nodes: NodeCount? = nil, _ style: Style = .plain
    ) -> [String] {
        let cycles = configuration.cycles.map { ", or \(Format.count($0)) cycles" } ?? ""
        return style.wrapped(
            [
                "seed \(configuration.seed)",
                "stress: \(Format.count(configuration.workers, "worker")), "
                    + "\(Format.count(configuration.walkers, "walker")), a region and a "
                    + "machine of \(Format.count(configuration.pages.rawValue)) x "
                    + "\(Format.bytes(configuration.pageSize.bytes)) huge pages each, faults "
                    + "\(configuration.faults.rawValue), for "
                    + Format.duration(nanoseconds: configuration.durationNanoseconds) + cycles,
                nodes.map(opening),
            ].compactMap(\.self))
    }

    private static func opening(_ nodes: NodeCount) -> String {
        let number =
            switch nodes {
            case .number(let number): Format.count(number, "emulated node")
            case .auto: "as few emulated nodes as vm.max_map_count allows"
            }
        return "divided among \(number), a process each, with as many threads each and a seed of its own"
    }

    /// A line of progress, in columns as vmstat(8) has them; over the first, what they are.
    ///
    /// The time since the beginning, what was done in a second since the last line, the mean of all remaps, faults
    /// survived since the last line, and all wrong reads.
    static func lines(_ progress: StressProgress, _ style: Style = .plain) -> [String] {
        let last = progress.sinceLast
        let isFirst = last.elapsedNanoseconds == progress.total.elapsedNanoseconds
        let heading = line("", ["s", "cycles/s", "remaps/s", "ns/remap", "reads/s", "faults", "wrong"])
        let figures = line(
            "\(progress.scheme.rawValue) \(progress.backing.rawValue)",
            [
                "\(progress.total.elapsedNanoseconds / 1_000_000_000)", "\(last.perSecond(last.cycles))",
                "\(last.perSecond(last.remaps))", progress.total.remapMeanNanoseconds.value.map { "\($0)" } ?? "-",
                "\(last.perSecond(last.headReads + last.pageReads))", "\(last.faultedOperations + last.hostRefusals)",
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

    /// The summary and the verdict.
    static func lines(_ result: StressResult, _ style: Style = .plain) -> [String] {
        let all = result.combinationTable
        let table =
            [""] + (result.combinations.count > 1 ? all.adding(result.totalTable, as: "all") : all).lines(style)
            + (result.nodes.isEmpty || !style.isVerbose ? [] : [""] + result.nodeTable.lines(style)) + [""]
        let total = result.total
        let reads = total.headReads + total.pageReads
        var lines = [
            "reads     \(Format.count(total.headReads)) of compound_head, \(Format.count(total.pageReads)) of whole "
                + "vmemmap pages "
                + "(\(Format.count(total.crossedReads)) read again because a change crossed them); "
                + "\(Format.count(total.perSecond(reads) * 60)) a minute, \(Format.count(total.wrongReads)) wrong",
            "faults    \(Format.count(total.failedCalls)) calls failed on purpose in "
                + "\(Format.count(total.faultedOperations)) "
                + "operations, \(Format.count(total.refusedOperations)) operations refused, "
                + "\(Format.count(total.hostRefusals)) of them by the host itself; "
                + "\(Format.count(total.mendedPages, "huge page")) left half-way and mended",
            scarce(result).map { "scarce    \($0)" },
            PlanReport.hiddenLimit(result.host).map { "limits    \($0)" },
            "beside    \(Format.count(total.signals)) signals, \(Format.count(total.forks, "fork"))",
            "oracle    frames, mappings, files, contents and counts checked \(Format.count(total.checks, "time")) in "
                + Format.count(total.setUps, "set-up"),
        ].compactMap { $0 }
        if let first = result.footprints.first, let last = result.footprints.last {
            lines.append("process   \(footprint(first)) after the first set-up; \(footprint(last)) after the last")
        }
        lines += result.leftOut.map { "left out  \($0)" }
        if result.wasEnded { lines.append("ended by a signal before its time; the verdict is on what was run") }
        lines = table + style.wrapped(lines)
        // Lines of maps and of operations stay as they are: they are for searching.
        if let violation = result.violation {
            return lines + [""] + self.lines(violation) + again(violation, result) + [""]
                + Check.lines(result.checks, style, showsPassed: false)
        }
        return lines + ["seed      \(result.seed)"] + Check.lines(result.checks, style, showsPassed: false)
    }

    /// What was made scarce, and in how many rounds; nil where nothing was to be.
    static func scarce(_ result: StressResult) -> String? {
        if result.configuration.faults == .off { return nil }
        let rounds = result.total.shortages
        let ofHost = [
            ("address space", rounds.addressSpace), ("mappings", rounds.mappings), ("descriptors", rounds.openFiles),
            ("room on a tmpfs", rounds.fileSystem),
        ]
        return ((result.configuration.faults.isHost ? ofHost : []) + [("frames", rounds.frames)]).enumerated().map {
            index, shortage in
            "\(shortage.0) in " + (index == 0 ? Format.count(shortage.1, "round") : Format.count(shortage.1))
        }.joined(separator: ", ")
    }

    static func footprint(_ footprint: StressFootprint) -> String {
        let rss = footprint.rssBytes.value.map { "RSS \(Format.bytes($0))" } ?? "RSS not measured"
        return "\(rss), \(Format.count(footprint.mappings.rawValue, "mapping")), "
            + Format.count(footprint.openFiles, "descriptor")
    }

    private static func lines(_ violation: StressViolation) -> [String] {
        func block(_ title: String, _ lines: [String]) -> [String] {
            lines.isEmpty ? [] : [title] + lines.map { "    " + $0 }
        }
        return [
            "FAILED: \(violation.statement)", "    \(violation.detail)",
            "    \(violation.scheme.rawValue) \(violation.backing.rawValue), set-up \(violation.setUp), round "
                + "\(violation.round)",
        ] + block("states", violation.states) + block("mappings", violation.mappings)
            + block("last operations", violation.lastOperations)
    }

    /// How to have the operations once more that led to it.
    private static func again(_ violation: StressViolation, _ result: StressResult) -> [String] {
        guard let node = result.nodes.first(where: { $0.seed == violation.seed }) else {
            return ["again with --seed \(violation.seed)"]
        }
        return [
            "in node \(node.node); again with --seed \(result.seed) --nodes \(result.nodes.count), or that node alone "
                + "with --seed \(node.seed) --pages \(node.pages.rawValue)"
        ]
    }
}
