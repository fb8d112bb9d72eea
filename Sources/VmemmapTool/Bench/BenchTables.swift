import VmemmapEmulator

extension BenchResult: ExportableResult {
    /// The subcommand.
    static var command: String { "bench" }
    /// Whether no reader saw a wrong head; nil without readers.
    var verdict: Bool? { holds }

    /// Its tables: the pool, what stands beside the engine, the goals, single huge pages, and every run.
    var tables: [ExportTable] {
        [poolTable, peerTable, kernelTable, goalTable, bucketTable, percentileTable, runTable]
    }

    private var measured: [(combination: BenchCombination, outcome: BenchCombination.Outcome)] {
        combinations.compactMap { combination in combination.measured.map { (combination, $0) } }
    }

    // MARK: The pool

    private struct PoolRow {
        let combination: BenchCombination
        let operation: String
        let figures: PoolTiming.Comparison
    }

    private var poolTable: ExportTable {
        let rows = measured.flatMap { combination, outcome in
            [
                PoolRow(combination: combination, operation: "allocate", figures: outcome.synchronous.allocate),
                PoolRow(combination: combination, operation: "free", figures: outcome.synchronous.free),
                PoolRow(combination: combination, operation: "free_deferred", figures: outcome.deferred.free),
                PoolRow(
                    combination: combination, operation: "free_deferred_until_restored",
                    figures: outcome.deferred.freeUntilRestored),
            ]
        }
        return ExportTable(
            "pool", "The emulated HugeTLB pool with optimizing on and off, per huge page, medians over runs.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue },
                .label("operation", "What was done with every huge page.") { $0.operation },
                .meanNanoseconds("off", "Optimizing off, by the wall clock.") {
                    $0.figures.offNanosecondsPerPage.median
                },
                .meanNanoseconds("on", "Optimizing on, by the wall clock.") { $0.figures.onNanosecondsPerPage.median },
                .meanNanoseconds("on_min", "The fastest run.") { $0.figures.onNanosecondsPerPage.min },
                .meanNanoseconds("on_max", "The slowest run.") { $0.figures.onNanosecondsPerPage.max },
                .meanNanoseconds("on_user", "Optimizing on, processor time in our own code (getrusage).") {
                    $0.figures.onUserNanosecondsPerPage.median
                },
                .meanNanoseconds("on_system", "Optimizing on, processor time in the kernel (getrusage).") {
                    $0.figures.onSystemNanosecondsPerPage.median
                },
                .ratio("median", "On over off, the median of the pairs.") { $0.figures.ratio.median },
                .ratio("min", "The smallest.") { $0.figures.ratio.min },
                .ratio("max", "The largest.") { $0.figures.ratio.max },
            ])
    }

    private struct RunRow {
        let combination: BenchCombination
        let release: String
        let run: Int
        let optimizing: String
        let figures: PoolTiming.Run
    }

    private var runTable: ExportTable {
        let rows = measured.flatMap { combination, outcome in
            [outcome.synchronous, outcome.deferred].flatMap { timing in
                timing.pairs.enumerated().flatMap { number, pair in
                    [("on", pair.on), ("off", pair.off)].map { optimizing, run in
                        RunRow(
                            combination: combination, release: timing.release.rawValue, run: number + 1,
                            optimizing: optimizing, figures: run)
                    }
                }
            }
        }
        return ExportTable(
            "run", "Each run of the pool, for all huge pages.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue },
                .label("release", "When freed huge pages are restored.") { $0.release },
                .label("run", "The pair's number.") { "\($0.run)" },
                .label("optimizing", "On or off.") { $0.optimizing },
                .nanoseconds("allocate", "The pool grown.") { $0.figures.allocate.wallNanoseconds },
                .nanoseconds("free", "The pool emptied, until the call returned.") { $0.figures.free.wallNanoseconds },
                .nanoseconds("free_until_restored", "Until the last huge page was restored.") {
                    $0.figures.freeUntilRestored.wallNanoseconds
                },
            ])
    }

    // MARK: Beside it

    private struct PeerTableRow {
        let combination: BenchCombination
        let peer: String
        let operation: String
        let runs: PairedRuns
    }

    private var peerTable: ExportTable {
        let rows = measured.flatMap { combination, outcome in
            [
                ("baseline", "optimize", outcome.baseline.value?.optimize),
                ("baseline", "restore", outcome.baseline.value?.restore),
                ("ksm", "optimize", outcome.ksm.value?.optimize), ("ksm", "restore", outcome.ksm.value?.restore),
                ("no_readers", "optimize", outcome.readers.value?.optimize),
                ("no_readers", "restore", outcome.readers.value?.restore),
            ].compactMap { peer, operation, runs in
                runs.map { PeerTableRow(combination: combination, peer: peer, operation: operation, runs: $0) }
            }
        }
        return ExportTable(
            "peer", "The engine beside others on the same contents, per huge page.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue },
                .label("peer", "What stands beside the engine.") { $0.peer },
                .label("operation", "What was done with every huge page.") { $0.operation },
                .meanNanoseconds("engine", "The engine, the median.") { $0.runs.engineNanosecondsPerPage.median },
                .meanNanoseconds("peer", "The other, the median.") { $0.runs.otherNanosecondsPerPage.median },
                .ratio("median", "Engine over other, the median of the pairs.") { $0.runs.ratio.median },
                .ratio("min", "The smallest.") { $0.runs.ratio.min },
                .ratio("max", "The largest.") { $0.runs.ratio.max },
            ])
    }

    private var kernelTable: ExportTable {
        let rows = kernel.value.map {
            [("allocate", $0.measurement.allocation), ("free", $0.measurement.freeing)]
        }
        return ExportTable(
            "kernel", "The host's own pool with HVO on and off, per huge page, medians over runs.", rows ?? [],
            [
                .label("operation", "What was done with every huge page.") { $0.0 },
                .meanNanoseconds("off", "Optimization off.") { $0.1.offNanosecondsPerPageMedian },
                .meanNanoseconds("on", "Optimization on.") { $0.1.onNanosecondsPerPageMedian },
                .meanNanoseconds("added", "What the optimization adds, the median of the differences.") {
                    $0.1.addedNanosecondsPerPageMedian
                },
            ])
    }

    private var goalTable: ExportTable {
        ExportTable(
            "goal", "The figures to reach, as far as the peers for them ran.", goals,
            [
                .label("figure", "Which figure.") { $0.figure.rawValue },
                .label("scheme", "The scheme it is of.") { $0.scheme.rawValue },
                .label("backing", "The backing it is of.") { $0.backing.rawValue },
                .ratio("limit", "What it may be at most.") { $0.limit },
                .ratio("measured", "What it was.") { $0.measured },
                .ratio("baseline", "What the C baseline makes of it.") { $0.boundByBaseline.value },
                .truth("met", "Whether it was reached.") { $0.isMet },
            ])
    }

    // MARK: Single huge pages

    private struct LatencyRow {
        let combination: BenchCombination
        let latency: PoolLatency
        let operation: String
        let histogram: LatencyHistogram

        var optimizing: String { latency.isOptimizing ? "on" : "off" }
    }

    private var latencyRows: [LatencyRow] {
        measured.flatMap { combination, outcome in
            outcome.latencies.flatMap { latency in
                [("allocate", latency.allocate), ("free", latency.free)].map { operation, histogram in
                    LatencyRow(combination: combination, latency: latency, operation: operation, histogram: histogram)
                }
            }
        }
    }

    private var percentileTable: ExportTable {
        ExportTable(
            "latency", "How long single huge pages took.", latencyRows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue },
                .label("release", "When freed huge pages are restored.") { $0.latency.release.rawValue },
                .label("optimizing", "On or off.") { $0.optimizing },
                .label("operation", "What was done with each huge page.") { $0.operation },
                .nanoseconds("min", "The fastest.") { $0.histogram.minNanoseconds },
                .nanoseconds("p50", "The median.") { $0.histogram.p50Nanoseconds },
                .nanoseconds("p90", "90 of 100 took no longer.") { $0.histogram.p90Nanoseconds },
                .nanoseconds("p99", "99 of 100 took no longer.") { $0.histogram.p99Nanoseconds },
                .nanoseconds("p999", "999 of 1000 took no longer.") { $0.histogram.p999Nanoseconds },
                .nanoseconds("max", "The slowest.") { $0.histogram.maxNanoseconds },
            ])
    }

    private var bucketTable: ExportTable {
        let rows = latencyRows.flatMap { row in row.histogram.buckets.map { (row, $0) } }
        return ExportTable(
            "latency_bucket", "Single huge pages by how long they took, in powers of two.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.0.combination.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.0.combination.backing.rawValue },
                .label("release", "When freed huge pages are restored.") { $0.0.latency.release.rawValue },
                .label("optimizing", "On or off.") { $0.0.optimizing },
                .label("operation", "What was done with each huge page.") { $0.0.operation },
                .label("from_ns", "The shortest time in the bucket.") { "\($0.1.fromNanoseconds)" },
                .count("huge_pages", "How many took so long.") { $0.1.count },
            ])
    }
}
