extension RaceResult: ExportableResult {
    /// The experiment: `vmemmap demo --race`.
    static var command: String { "race" }
    /// Whether no read was wrong under the engine.
    var verdict: Bool? { holds }

    /// Its tables.
    var tables: [ExportTable] {
        [
            ExportTable(
                "side", "What walkers saw of each way to restore.", sides,
                [
                    .label("way", "The way: naive or atomic.") { $0.way.rawValue },
                    .count("turns", "Turns it had.") { $0.turns },
                    .count("turns_with_wrong_reads", "Turns with a wrong read.") { $0.turnsWithWrongReads },
                    .count("cycles", "Rounds of optimizing and restoring everything.") { $0.cycles },
                    .count("reads", "Reads of compound_head, each checked.") { $0.reads },
                    .count("wrong_reads", "Reads that gave another head than the right one.") { $0.wrongReads },
                    .nanoseconds("duration", "How long its turns took.") { $0.durationNanoseconds },
                ])
        ]
    }
}
