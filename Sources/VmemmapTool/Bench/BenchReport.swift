import HostMemory
import VmemmapEmulator

/// A benchmark for people.
enum BenchReport {
    /// The report, line by line; verbose, every run too.
    static func lines(_ result: BenchResult, _ style: Style = .plain) -> [String] {
        let combinations = result.combinations.flatMap { combination -> [String] in
            guard let outcome = combination.measured else {
                return style.wrapped(["\(name(combination)): not measured: \(combination.refusal.value ?? "")"]) + [""]
            }
            return [name(combination)] + poolTable(outcome).lines(style) + [""] + latencies(outcome, style)
                + (style.isVerbose ? everyRun(outcome, style) : [])
        }
        return style.wrapped([title(result)] + PlanReport.lines(result.host)) + [""] + combinations
            + peerLines(result, style) + [""] + goalLines(result, style) + style.wrapped(closing(result))
    }

    private static func title(_ result: BenchResult) -> String {
        let block = result.configuration
        let isCut = block.pagesAsked.value == nil && block.pages < BenchExperiment.letterPages
        let cut = isCut ? " (of the letter's \(BenchExperiment.letterPages); more do not fit)" : ""
        return
            "vmemmap bench: \(CountText.grouped(block.pages.rawValue)) x \(ByteText.short(block.hugePageBytes)) huge pages\(cut), "
            + "\(CountText.of(block.runs, "alternating run")) on and off"
    }

    static func name(_ combination: BenchCombination) -> String {
        let run = combination.measured.map { $0.plan.tailFrames } ?? PageCount(1)
        return
            "\(combination.scheme.rawValue)\(run > PageCount(1) ? " run \(run)" : ""), \(combination.backing.rawValue)"
    }

    // MARK: The pool

    private static func poolTable(_ outcome: BenchCombination.Outcome) -> TextTable {
        var table = TextTable(headings: [
            "per huge page", "off", "on", "on: user", "system", "on/off", "min", "max",
        ])
        let (now, later) = (outcome.synchronous, outcome.deferred)
        for (operation, figures) in [
            ("allocate", now.allocate), ("free", now.free), ("free, deferred", later.free),
            ("  until restored", later.freeUntilRestored),
        ] {
            table.add([
                operation, RatioText.duration(nanoseconds: figures.offNanosecondsPerPage.median),
                RatioText.duration(nanoseconds: figures.onNanosecondsPerPage.median),
                RatioText.duration(nanoseconds: figures.onUserNanosecondsPerPage.median),
                RatioText.duration(nanoseconds: figures.onSystemNanosecondsPerPage.median),
                RatioText.of(figures.ratio.median, decimals: 2), RatioText.of(figures.ratio.min, decimals: 2),
                RatioText.of(figures.ratio.max, decimals: 2),
            ])
        }
        return table
    }

    private static func latencies(_ outcome: BenchCombination.Outcome, _ style: Style) -> [String] {
        outcome.latencies.flatMap { latency in
            let how = "\(latency.release.rawValue), optimizing \(latency.isOptimizing ? "on" : "off")"
            return histogramLines("allocate, \(how)", latency.allocate, style)
                + histogramLines("free, \(how)", latency.free, style)
        }
    }

    private static func histogramLines(
        _ name: String, _ histogram: LatencyHistogram, _ style: Style
    ) -> [String] {
        let percentiles = [
            ("p50", histogram.p50Nanoseconds), ("p90", histogram.p90Nanoseconds), ("p99", histogram.p99Nanoseconds),
            ("p99.9", histogram.p999Nanoseconds), ("max", histogram.maxNanoseconds),
        ].map { "\($0) \($1)" }
        return style.wrapped(["\(name), ns: \(percentiles.joined(separator: ", "))"])
            + HistogramDrawing.lines(histogram, width: style.width) + [""]
    }

    private static func everyRun(_ outcome: BenchCombination.Outcome, _ style: Style) -> [String] {
        [outcome.synchronous, outcome.deferred].flatMap { timing -> [String] in
            var table = TextTable(headings: [
                "\(timing.release.rawValue), all huge pages", "allocate\noff", "\non", "free\noff", "\non",
                "restored\non",
            ])
            for (number, pair) in timing.pairs.enumerated() {
                let costs = [
                    pair.off.allocate, pair.on.allocate, pair.off.free, pair.on.free, pair.on.freeUntilRestored,
                ]
                table.add(["run \(number + 1)"] + costs.map { DurationText.short(nanoseconds: $0.wallNanoseconds) })
            }
            return table.lines(style) + [""]
        }
    }

    // MARK: What stands beside it

    private static func peerLines(_ result: BenchResult, _ style: Style) -> [String] {
        var table = TextTable(headings: ["beside the engine", "engine", "peer", "ratio", "min", "max"])
        var reasons: [String] = []
        for combination in result.combinations {
            guard let outcome = combination.measured else { continue }
            let readers = outcome.readers.value
            let rows: [(String, PairedRuns?, PairedRuns?, String?)] = [
                (
                    "baseline", outcome.baseline.value?.optimize, outcome.baseline.value?.restore,
                    outcome.baseline.reason.value
                ),
                ("ksm", outcome.ksm.value?.optimize, outcome.ksm.value?.restore, outcome.ksm.reason.value),
                ("no readers", readers?.optimize, readers?.restore, nil),
            ]
            // Of a single one there is no doubt.
            if result.combinations.count > 1, rows.contains(where: { $0.1 != nil }) {
                table.add([name(combination)] + Array(repeating: "", count: 5))
            }
            for (peer, optimize, restore, reason) in rows {
                if let optimize, let restore {
                    table.add(["  optimize, \(peer)"] + cells(optimize))
                    table.add(["  restore, \(peer)"] + cells(restore))
                } else if let reason {
                    reasons.append("\(peer): \(reason)")
                }
            }
            if let readers {
                reasons.append(
                    "\(name(combination)): \(CountText.of(readers.walkers, "reader")), "
                        + "\(CountText.of(readers.reads, "read")), \(readers.wrongReads) wrong")
            }
        }
        if let kernel = result.kernel.value {
            let (allocation, freeing) = (kernel.measurement.allocation, kernel.measurement.freeing)
            reasons.append(
                "kernel: allocate \(RatioText.duration(nanoseconds: allocation.offNanosecondsPerPageMedian)) off, "
                    + "\(RatioText.duration(nanoseconds: allocation.onNanosecondsPerPageMedian)) on "
                    + "(adds \(RatioText.duration(nanoseconds: allocation.addedNanosecondsPerPageMedian))); free "
                    + "\(RatioText.duration(nanoseconds: freeing.offNanosecondsPerPageMedian)) off, "
                    + "\(RatioText.duration(nanoseconds: freeing.onNanosecondsPerPageMedian)) on")
        } else if let reason = result.kernel.reason.value {
            reasons.append("kernel: \(reason)")
        }
        let growth = result.combinations.flatMap(growthLines)
        // What holds of all of them is said once.
        var said: Set<String> = []
        return (table.isEmpty ? [] : table.lines(style))
            + style.wrapped(growth + reasons.filter { said.insert($0).inserted })
    }

    private static func cells(_ runs: PairedRuns) -> [String] {
        [
            RatioText.duration(nanoseconds: runs.engineNanosecondsPerPage.median),
            RatioText.duration(nanoseconds: runs.otherNanosecondsPerPage.median),
            RatioText.of(runs.ratio.median), RatioText.of(runs.ratio.min), RatioText.of(runs.ratio.max),
        ]
    }

    private static func growthLines(_ combination: BenchCombination) -> [String] {
        guard let outcome = combination.measured, let growth = outcome.baseline.value?.growth.value else { return [] }
        let from = CountText.grouped(growth.fromPages.rawValue)
        return [
            "\(name(combination)): from \(from) to \(CountText.grouped(outcome.plan.pages.rawValue)) huge pages the time for one "
                + "grows: optimize \(RatioText.of(growth.engineOptimize)) x (bare C \(RatioText.of(growth.baselineOptimize)) x), "
                + "restore \(RatioText.of(growth.engineRestore)) x (bare C \(RatioText.of(growth.baselineRestore)) x)."
        ]
    }

    // MARK: Goals

    private static func goalLines(_ result: BenchResult, _ style: Style) -> [String] {
        if result.goals.isEmpty { return [] }
        var table = TextTable(
            headings: ["goal", "at most", "measured", "", "of", "on", "spread", "bare C"],
            dispensable: ["bare C", "spread"])
        for goal in result.goals {
            table.add([
                title(goal.figure), RatioText.of(goal.limit, decimals: 2), RatioText.of(goal.measured),
                goal.isMet ? "met" : "NOT MET", goal.scheme.rawValue, goal.backing.rawValue,
                goal.ratio.value.map { "\(RatioText.of($0.min)) to \(RatioText.of($0.max))" } ?? "-",
                goal.boundByBaseline.value.map { RatioText.of($0) } ?? "-",
            ])
        }
        return table.lines(style) + style.wrapped(result.goals.filter { !$0.isMet }.map(reason)) + [""]
    }

    /// What bounds a figure that was not reached, as far as this run tells.
    private static func reason(_ goal: BenchGoal) -> String {
        let name = title(goal.figure).drop { $0 == " " }
        if let bound = goal.boundByBaseline.value, bound > goal.limit {
            return
                "\(name): the C baseline of the same system calls takes \(RatioText.of(bound)) itself: the calls bound it."
        }
        if let ratio = goal.ratio.value, ratio.min <= goal.limit {
            return "\(name): within the spread of the runs (\(RatioText.of(ratio.min)) to \(RatioText.of(ratio.max)))."
        }
        return "\(name): this run does not tell what bounds it."
    }

    private static func title(_ figure: BenchGoal.Figure) -> String {
        switch figure {
        case .baselineRatio: "engine / bare C, the worst"
        case .firstTailOverKsm: "first-tail optimize / KSM"
        case .firstTailAnonymousOverKsm: "  on the anonymous backing"
        case .sharedTailOverKsm: "shared-tail optimize / KSM"
        case .sharedTailOverKernel: "shared-tail optimize / HVO"
        }
    }

    // MARK: In the letter's manner

    private static func closing(_ result: BenchResult) -> [String] {
        let measured = result.combinations.filter { $0.measured != nil }
        return measured.compactMap { combination in
            combination.measured.map { outcome in
                let prefix = measured.count > 1 ? "\(name(combination)): " : ""
                let (allocate, free) = (outcome.synchronous.allocate, outcome.synchronous.free)
                return prefix + "optimizing makes allocation \(RatioText.times(allocate.ratio.median)) slower "
                    + "(\(RatioText.duration(nanoseconds: allocate.onNanosecondsPerPage.median)) a huge page), "
                    + "freeing \(RatioText.times(free.ratio.median))"
            }
        }
            + PublishedFigures.all.map { figures in
                "published (\(figures.source), kernel, \(CountText.grouped(PublishedFigures.pages)) x 2 MiB): "
                    + "allocation \(RatioText.times(figures.allocateRatio)) slower "
                    + "(\(RatioText.duration(nanoseconds: figures.allocateOnNanosecondsPerPage))), "
                    + "freeing \(RatioText.times(figures.freeRatio))\(figures.isDeferred ? ", deferred" : "")"
            }
    }
}
