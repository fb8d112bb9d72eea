import HostMemory
import VmemmapEmulator

extension BenchResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        let block = configuration
        let refused = combinations.compactMap { combination in
            combination.refusal.value.map { "\(BenchReport.name(combination)): not measured: \($0)" }
        }
        return HTMLContent(
            subject: "What optimizing costs: \(Format.count(block.pages.rawValue, "huge page")) of "
                + Format.bytes(block.hugePageBytes),
            setting: combinations.map(BenchReport.name).joined(separator: "; ").capitalizedFirst
                + "; \(Format.count(block.pairs, "pair")) with optimizing on and off",
            summary: verdictOnGoals,
            sections: (PairDots.pool(combinations).map {
                [HTMLSection(id: "pairs-section", title: "Pair by pair", body: [$0.markup])]
            } ?? [])
                + TableFigures.sections(
                    tables,
                    titles: [
                        "pool": "The pool, with optimizing on and off", "peer": "The engine beside others",
                        "kernel": "The host\u{2019}s own pool", "latency_bucket": "How long single huge pages took",
                        "latency": "Single huge pages, in percentiles",
                    ])
                + (refused.isEmpty
                    ? []
                    : [
                        HTMLSection(
                            id: "refused", title: "Not measured", body: refused.map { .paragraph(Markup($0)) })
                    ])
                + Check.sections(checks))
    }

    /// What came of the goals, in a sentence.
    private var verdictOnGoals: String {
        if notJudged.value != nil { return "No goal is judged." }
        let missed = goals.filter { $0.isReached.value == false }
        return "\(Format.count(goals.count - missed.count)) of \(Format.count(goals.count, "goal")) reached"
            + (missed.isEmpty
                ? "." : "; not: " + missed.map { Format.words($0.figure.rawValue) }.joined(separator: ", ") + ".")
    }
}
