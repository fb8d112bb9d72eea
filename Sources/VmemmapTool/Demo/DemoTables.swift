import HostMemory

extension DemoResult: ExportableResult {
    /// The subcommand.
    static var command: String { "demo" }
    /// Whether every claim holds.
    var verdict: Bool? { holds }

    /// Its tables.
    var tables: [ExportTable] {
        [
            ExportTable(
                "step", "The memory figures after each step.", steps,
                [
                    .label("step", "The step.") { $0.step.rawValue },
                    .nanoseconds("duration", "What the step took, measuring not included.") {
                        $0.durationNanoseconds.value
                    },
                ] + ExportColumn.figures(\.figures)),
            ExportTable(
                "proof", "The figures of each claim.", proofs.flatMap { proof in proof.figures.map { (proof, $0) } },
                [
                    .label("claim", "The claim.") { $0.0.claim.rawValue },
                    .label("figure", "What was counted.") { $0.1.name },
                    .count("expected", "What the claim makes one expect; nothing: any number above 0.") {
                        $0.1.expected.value
                    },
                    .count("measured", "What was found.") { $0.1.measured.value },
                    .truth("holds", "Whether they agree.") { $0.1.holds },
                ]),
            ExportTable(
                "race", "Optimizing and restoring under walkers.", [race],
                [
                    .count("cycles", "Rounds of optimizing and restoring everything.") { $0.cycles },
                    .count("cycles_not_back", "Rounds after which mappings or shared frames were left.") {
                        $0.cyclesNotBack
                    },
                    .count("reads", "Reads of compound_head, each checked.") { $0.reads },
                    .count("wrong_reads", "Reads that gave another head than the right one.") { $0.wrongReads },
                    .nanoseconds("duration", "How long it took.") { $0.durationNanoseconds },
                ]),
        ]
    }
}
