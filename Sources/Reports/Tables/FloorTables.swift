public import Experiments
internal import VmemmapEmulator

extension FloorResult: ExportableResult {
    /// The subcommand.
    public static var command: String { "bench" }
    /// A benchmark promises nothing.
    public var verdict: Bool? { nil }

    /// Its tables.
    public var tables: [ExportTable] {
        let operations = [("optimize", optimize), ("restore", restore)]
        return [
            ExportTable(
                "operation", "The engine beside the bare C loop, per huge page.", operations,
                [
                    .label("operation", "What was done to every huge page.") { $0.0 },
                    .meanNanoseconds("engine_median", "The engine's time for one huge page.") {
                        $0.1.engineNanosecondsPerPageMedian
                    },
                    .meanNanoseconds("floor_median", "The bare C loop's.") { $0.1.floorNanosecondsPerPageMedian },
                    .ratio("median", "Engine over floor, the median of the pairs.") { $0.1.ratioMedian },
                    .ratio("min", "The smallest.") { $0.1.ratioMin },
                    .ratio("max", "The largest.") { $0.1.ratioMax },
                ]),
            ExportTable(
                "pair", "Each alternating pair, for all huge pages.",
                operations.flatMap { name, operation in
                    operation.pairs.enumerated().map { (name, $0.offset + 1, $0.element) }
                },
                [
                    .label("operation", "What was done to every huge page.") { $0.0 },
                    .label("run", "The pair's number.") { "\($0.1)" },
                    .nanoseconds("engine", "The engine.") { $0.2.engineNanoseconds },
                    .nanoseconds("floor", "The bare C loop.") { $0.2.floorNanoseconds },
                ]),
        ]
    }
}
