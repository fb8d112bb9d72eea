import VmemmapEmulator

extension BenchResult: ExportableResult {
    static var command: String { "bench" }

    /// Its tables: the pool, what stands beside the engine, the goals, single huge pages, and every pair.
    var tables: [ExportTable] {
        [
            poolTable(combinations), peerTable(combinations), kernelTable, goalTable, bucketTable, percentileTable,
            pairTable(combinations),
        ]
    }

    private func measured(
        _ combinations: [BenchCombination]
    ) -> [(combination: BenchCombination, outcome: BenchCombination.Outcome)] {
        combinations.compactMap { combination in combination.measured.map { (combination, $0) } }
    }

    // MARK: The pool

    private struct PoolRow {
        let combination: BenchCombination
        let operation: String
        let figures: PoolTiming.Comparison
    }

    func poolTable(_ combinations: [BenchCombination]) -> ExportTable {
        let rows = measured(combinations).flatMap { combination, outcome in
            [
                PoolRow(combination: combination, operation: "allocate", figures: outcome.synchronous.allocate),
                PoolRow(combination: combination, operation: "free", figures: outcome.synchronous.free),
                PoolRow(combination: combination, operation: "free_deferred", figures: outcome.deferred.free),
                PoolRow(
                    combination: combination, operation: "until_restored",
                    figures: outcome.deferred.untilRestored),
            ]
        }
        return ExportTable(
            "pool", "The emulated HugeTLB pool with optimizing on and off, per huge page, medians over pairs.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue }.shown(""),
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue }.shown(""),
                .label("operation", "What was done with every huge page.") { $0.operation }.shown("per huge page"),
                .meanNanoseconds("off_median", "Optimizing off, by the wall clock.") {
                    $0.figures.offNanoseconds.median
                }
                .shown("off"),
                .meanNanoseconds("off_min", "The fastest.") { $0.figures.offNanoseconds.min },
                .meanNanoseconds("off_max", "The slowest.") { $0.figures.offNanoseconds.max },
                .meanNanoseconds("on_median", "Optimizing on, by the wall clock.") { $0.figures.onNanoseconds.median }
                    .shown("on"),
                .meanNanoseconds("on_min", "The fastest.") { $0.figures.onNanoseconds.min },
                .meanNanoseconds("on_max", "The slowest.") { $0.figures.onNanoseconds.max },
                .meanNanoseconds("on_user_median", "Optimizing on, processor time in our own code (getrusage).") {
                    $0.figures.onUserNanoseconds.median
                }.shown("on: user"),
                .meanNanoseconds("on_user_min", "The least.") { $0.figures.onUserNanoseconds.min },
                .meanNanoseconds("on_user_max", "The most.") { $0.figures.onUserNanoseconds.max },
                .meanNanoseconds("on_system_median", "Optimizing on, processor time in the kernel (getrusage).") {
                    $0.figures.onSystemNanoseconds.median
                }.shown("system"),
                .meanNanoseconds("on_system_min", "The least.") { $0.figures.onSystemNanoseconds.min },
                .meanNanoseconds("on_system_max", "The most.") { $0.figures.onSystemNanoseconds.max },
                .ratio("median", "On over off, the median of the pairs.") { $0.figures.ratio.median }.shown("on/off"),
                .ratio("min", "The smallest.") { $0.figures.ratio.min }.shown("min"),
                .ratio("max", "The largest.") { $0.figures.ratio.max }.shown("max"),
            ])
    }

    private struct PairRow {
        let combination: BenchCombination
        let release: String
        let pair: Int
        let optimizing: String
        let figures: PoolTiming.Run
    }

    func pairTable(_ combinations: [BenchCombination]) -> ExportTable {
        let rows = measured(combinations).flatMap { combination, outcome in
            [outcome.synchronous, outcome.deferred].flatMap { timing in
                timing.pairs.enumerated().flatMap { number, pair in
                    [("on", pair.on), ("off", pair.off)].map { optimizing, run in
                        PairRow(
                            combination: combination, release: timing.release.rawValue, pair: number + 1,
                            optimizing: optimizing, figures: run)
                    }
                }
            }
        }
        return ExportTable(
            "pair", "Each pair of runs of the pool, for all huge pages.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue }.shown(""),
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue }.shown(""),
                .label("release", "When freed huge pages are restored.") { $0.release }.shown("restored"),
                .label("pair", "The pair's number.") { "\($0.pair)" }.shown("pair"),
                .label("optimizing", "On or off.") { $0.optimizing }.shown("optimizing"),
                .nanoseconds("allocate_wall", "The pool grown.") { $0.figures.allocate.wallNanoseconds }.shown(
                    "allocate"),
                .nanoseconds("free_wall", "The pool emptied, until the call returned.") {
                    $0.figures.free.wallNanoseconds
                }
                .shown("free"),
                .nanoseconds("until_restored_wall", "Until the last huge page was restored.") {
                    $0.figures.untilRestored.wallNanoseconds
                }.shown("until\nrestored"),
            ])
    }

    // MARK: Beside it

    private struct PeerTableRow {
        let combination: BenchCombination
        let peer: String
        let operation: String
        let runs: PairedRuns
    }

    func peerTable(_ combinations: [BenchCombination]) -> ExportTable {
        let rows = measured(combinations).flatMap { combination, outcome in
            [
                ("baseline", "optimize", outcome.baseline.value?.optimize),
                ("baseline", "restore", outcome.baseline.value?.restore),
                ("ksm", "optimize", outcome.ksm.value?.optimize), ("ksm", "restore", outcome.ksm.value?.restore),
                ("udmabuf", "optimize", outcome.udmabuf.value?.optimize),
                ("udmabuf", "first_touch", outcome.udmabuf.value?.firstTouch),
                ("udmabuf", "restore", outcome.udmabuf.value?.restore),
                ("no_readers", "optimize", outcome.readers.value?.optimize),
                ("no_readers", "restore", outcome.readers.value?.restore),
                ("baseline_with_readers", "optimize", outcome.readers.value?.besideBaseline.value?.optimize),
                ("baseline_with_readers", "restore", outcome.readers.value?.besideBaseline.value?.restore),
            ].compactMap { peer, operation, runs in
                runs.map { PeerTableRow(combination: combination, peer: peer, operation: operation, runs: $0) }
            }
        }
        return ExportTable(
            "peer", "The engine beside others on the same contents, per huge page.", rows,
            [
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue }.shown(""),
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue }.shown(""),
                .label("peer", "What stands beside the engine.") { $0.peer }.shown("beside"),
                .label("operation", "What was done with every huge page.") { $0.operation }.shown("per huge page"),
                .meanNanoseconds("engine_median", "The engine.") { $0.runs.engineNanoseconds.median }.shown("engine"),
                .meanNanoseconds("engine_min", "The fastest.") { $0.runs.engineNanoseconds.min },
                .meanNanoseconds("engine_max", "The slowest.") { $0.runs.engineNanoseconds.max },
                .meanNanoseconds("peer_median", "The other.") { $0.runs.peerNanoseconds.median }.shown("peer"),
                .meanNanoseconds("peer_min", "The fastest.") { $0.runs.peerNanoseconds.min },
                .meanNanoseconds("peer_max", "The slowest.") { $0.runs.peerNanoseconds.max },
                .ratio("median", "Engine over other, the median of the pairs.") { $0.runs.ratio.median }
                    .shown("ratio"),
                .ratio("min", "The smallest.") { $0.runs.ratio.min }.shown("min"),
                .ratio("max", "The largest.") { $0.runs.ratio.max }.shown("max"),
            ])
    }

    var kernelTable: ExportTable {
        typealias Row = (name: String, operation: KernelMeasurementResult.Operation)
        let rows: [Row] =
            kernel.value.map { [("allocate", $0.measurement.allocate), ("free", $0.measurement.free)] } ?? []
        let name = ExportColumn<Row>.label("operation", "What was done with every huge page.") { $0.name }
            .shown("the kernel, per huge page")
        return ExportTable(
            "kernel", "The host's own pool with HVO on and off, per huge page, medians over pairs.", rows,
            [name] + KernelMeasurementResult.columns { (row: Row) in row.operation })
    }

    var goalTable: ExportTable {
        ExportTable(
            "goal", "The figures to reach, as far as the peers for them ran.", goals,
            [
                .label("figure", "Which figure.") { $0.figure.rawValue }.shown("goal"),
                // No label: where it is the worst of several, another run may have it of another.
                .text("combination", "The scheme and the backing it is of.") {
                    "\($0.scheme.rawValue), \($0.backing.rawValue)"
                }.shown(""),
                .ratio("limit", "What it may be at most.") { $0.limitRatio }.shown("at most"),
                .ratio("measured", "What it was.") { $0.measuredRatio }.shown("measured"),
                .truth("is_reached", "Whether it was reached.") { $0.isReached.value }
                    .shown("reached").varying(),
                .ratio("min", "The smallest over pairs.") { $0.ratio.value?.min }.shown("min", drop: 2),
                .ratio("max", "The largest over pairs.") { $0.ratio.value?.max }.shown("max", drop: 3),
                .ratio("baseline", "What the C baseline makes of it.") { $0.baselineRatio.value }
                    .shown("bare C", drop: 1),
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
        measured(combinations).flatMap { combination, outcome in
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
                .label("scheme", "How vmemmap is shared.") { $0.combination.scheme.rawValue }.shown(""),
                .label("backing", "What the region consists of.") { $0.combination.backing.rawValue }.shown(""),
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
                .timeLabel("from_ns", "The shortest time in the bucket.") { $0.1.fromNanoseconds },
                .count("count", "How many took so long.") { $0.1.count },
            ])
    }
}
