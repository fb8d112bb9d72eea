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
            let peers = result.peerTable([combination])
            return [name(combination)] + result.poolTable([combination]).lines(style) + [""]
                + (peers.rows.isEmpty ? [] : peers.lines(style) + [""]) + latencies(outcome, style)
                + (style.isVerbose ? result.pairTable([combination]).lines(style) + [""] : [])
        }
        return style.wrapped([title(result)] + PlanReport.lines(result.host)) + [""] + combinations
            + besideLines(result, style) + [""] + goalLines(result, style) + style.wrapped(closing(result))
            + (result.checks.isEmpty ? [] : [""] + Check.lines(result.checks, style, showsPassed: false))
    }

    private static func title(_ result: BenchResult) -> String {
        let block = result.configuration
        let isCut = block.pagesAsked.value == nil && block.pages < BenchExperiment.letterPages
        let cut = isCut ? " (of the letter's \(BenchExperiment.letterPages.rawValue); more do not fit)" : ""
        return
            "vmemmap bench: \(Format.count(block.pages.rawValue)) x \(Format.bytes(block.hugePageBytes)) huge "
            + "pages\(cut), "
            + "\(Format.count(block.pairs, "pair")) with optimizing on and off"
    }

    static func name(_ combination: BenchCombination) -> String {
        let run = combination.measured.map { $0.plan.tailFrames } ?? PageCount(1)
        return
            "\(combination.scheme.rawValue)\(run > PageCount(1) ? ", tail frames \(run.rawValue)" : ""), "
            + "\(combination.backing.rawValue)"
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

    // MARK: What stands beside it

    /// What was not measured and why, what readers saw, the host's kernel, and how times grow.
    private static func besideLines(_ result: BenchResult, _ style: Style) -> [String] {
        var notes: [String] = []
        for combination in result.combinations {
            guard let outcome = combination.measured else { continue }
            let reasons = [
                ("baseline", outcome.baseline.reason.value), ("ksm", outcome.ksm.reason.value),
                ("udmabuf", outcome.udmabuf.reason.value),
            ]
            // Those that share a reason, a line.
            for reason in reasons.compactMap(\.1) {
                notes.append("\(reasons.filter { $0.1 == reason }.map(\.0).joined(separator: ", ")): \(reason)")
            }
            if let udmabuf = outcome.udmabuf.value {
                notes.append(
                    "\(name(combination)): \(Format.count(udmabuf.udmabufMappings.rawValue)) mappings by dma-bufs, "
                        + "\(Format.count(udmabuf.engineMappings.rawValue)) by the engine")
            }
            if let readers = outcome.readers.value {
                notes.append(
                    "\(name(combination)): \(Format.count(readers.walkers, "reader")), "
                        + "\(Format.count(readers.reads, "read"))")
            }
        }
        notes += result.kernel.reason.value.map { ["kernel: \($0)"] } ?? []
        // What holds of all of them is said once.
        var said: Set<String> = []
        let kernel = result.kernelTable.rows.isEmpty ? [] : result.kernelTable.lines(style) + [""]
        return kernel
            + style.wrapped(result.combinations.flatMap(growthLines) + notes.filter { said.insert($0).inserted })
    }

    private static func growthLines(_ combination: BenchCombination) -> [String] {
        guard let outcome = combination.measured, let growth = outcome.baseline.value?.growth.value else { return [] }
        let from = Format.count(growth.fromPages.rawValue)
        return [
            "\(name(combination)): from \(from) to \(Format.count(outcome.plan.pages.rawValue)) huge pages the time "
                + "for one "
                + "grows: optimize \(Format.decimal(growth.engineOptimize, 3)) x (bare C "
                + "\(Format.decimal(growth.baselineOptimize, 3)) x), "
                + "restore \(Format.decimal(growth.engineRestore, 3)) x (bare C "
                + "\(Format.decimal(growth.baselineRestore, 3)) x)."
        ]
    }

    // MARK: Goals

    private static func goalLines(_ result: BenchResult, _ style: Style) -> [String] {
        if result.goals.isEmpty || result.notJudged.value != nil { return [] }
        return result.goalTable.lines(style)
            + style.wrapped(result.goals.filter { $0.isReached.value == false }.map(reason))
    }

    /// What bounds a figure that was not reached, as far as this run tells.
    private static func reason(_ goal: BenchGoal) -> String {
        let name = Format.words(goal.figure.rawValue)
        if let bound = goal.baselineRatio.value, bound > goal.limitRatio {
            return
                "\(name): the C baseline of the same system calls takes \(Format.decimal(bound, 3)) itself: the calls "
                + "bound it."
        }
        if let ratio = goal.ratio.value, ratio.min <= goal.limitRatio {
            return
                "\(name): within the spread of the pairs (\(Format.decimal(ratio.min, 3)) to "
                + "\(Format.decimal(ratio.max, 3)))."
        }
        return "\(name): this run does not tell what bounds it."
    }

    // MARK: In the letter's manner

    private static func closing(_ result: BenchResult) -> [String] {
        result.notes.map { "Note: \($0)." } + (result.notJudged.value == nil ? verdicts(result) : [])
    }

    private static func verdicts(_ result: BenchResult) -> [String] {
        let measured = result.combinations.filter { $0.measured != nil }
        return measured.compactMap { combination in
            combination.measured.map { outcome in
                let prefix = measured.count > 1 ? "\(name(combination)): " : ""
                let (allocate, free) = (outcome.synchronous.allocate, outcome.synchronous.free)
                return prefix + "optimizing makes allocation \(Format.times(allocate.ratio.median)) slower "
                    + "(\(Format.duration(nanoseconds: allocate.onNanoseconds.median)) a huge page), "
                    + "freeing \(Format.times(free.ratio.median))"
            }
        }
            + PublishedFigures.all.map { figures in
                "published (\(figures.source), kernel, \(Format.count(PublishedFigures.pages)) x 2 MiB): "
                    + "allocation \(Format.times(figures.allocateRatio)) slower "
                    + "(\(Format.duration(nanoseconds: figures.allocateOnNanoseconds))), "
                    + "freeing \(Format.times(figures.freeRatio))\(figures.isDeferred ? ", deferred" : "")"
            }
    }
}
