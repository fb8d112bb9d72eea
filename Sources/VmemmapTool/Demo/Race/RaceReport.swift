import VmemmapEmulator

/// Two ways to restore beside each other, and what they settle, for people.
enum RaceReport {
    /// The report, line by line.
    static func lines(_ result: RaceResult, _ style: Style = .plain) -> [String] {
        var table = TextTable(headings: [
            "restore", "turns", "with\nwrong reads", "cycles", "reads", "wrong reads", "one in", "time",
        ])
        for side in result.sides {
            table.add([
                side.way.rawValue, "\(side.turns)", "\(side.turnsWithWrongReads)", "\(side.cycles)",
                CountText.grouped(side.reads), CountText.grouped(side.wrongReads), oneIn(side),
                DurationText.short(nanoseconds: side.durationNanoseconds),
            ])
        }
        let walkers = CountText.of(result.configuration.walkers, "walker")
        return style.wrapped(
            ["vmemmap demo --race: \(PlanReport.title(result.plan)), \(walkers)", ""] + PlanReport.lines(result.host))
            + [""] + table.lines(style)
            + style.notes([
                "naive: fresh memory is mapped over the tails, then what they showed is copied",
                "into it. atomic: the engine's, pages are filled off to the side, then put in",
                "place in one step. They take turns, on the same huge pages.",
            ]) + [""] + style.wrapped(naive(result.side(.naive)) + [""] + atomic(result, style))
    }

    private static func oneIn(_ side: RaceResult.Side) -> String {
        side.wrongReads == 0 ? "-" : CountText.grouped(side.reads / side.wrongReads)
    }

    private static func naive(_ side: RaceResult.Side) -> [String] {
        let question = "Hocko's question: how is a pfn walker kept from racing with the remap?"
        guard side.wrongReads > 0, let example = side.wrongRead.value else {
            return [
                question,
                "The naive way was not caught in \(CountText.of(side.reads, "read")). That does not acquit it: between the two steps "
                    + "the tails read as zeros, and nobody has looked in time. Give it longer (--race-seconds), or more walkers.",
            ]
        }
        return [
            question,
            "It is a real one. Done the obvious way, \(CountText.of(side.wrongReads, "read")) gave a wrong head: for frame "
                + "\(example.frame), say, compound_head read 0x\(String(example.word, radix: 16)).",
        ]
    }

    private static func atomic(_ result: RaceResult, _ style: Style) -> [String] {
        let side = result.side(.atomic)
        let answer = [
            "Wilcox's answer: it need not be, the address stays valid and shows the same compound_head throughout."
        ]
        if side.wrongReads > 0 {
            let example = side.wrongRead.value.map {
                ": for frame \($0.frame), say, compound_head read 0x\(String($0.word, radix: 16))"
            }
            return answer + [
                style.mark(false)
                    + "it does not hold here: \(CountText.of(side.wrongReads, "wrong read")) under the engine\(example ?? "")."
            ]
        }
        guard let expected = result.wrongReadsAtTheNaiveRate else {
            return answer + [
                style.mark(true)
                    + "0 of \(CountText.of(side.reads, "read")) wrong under the engine; with nothing caught of the naive way, "
                    + "that says little."
            ]
        }
        return answer + [
            style.mark(true)
                + "it holds where each replacement is one step: 0 of \(CountText.of(side.reads, "read")) wrong under the engine. "
                + "At the naive way's rate it would have been \(CountText.grouped(Int(expected.rounded())))."
        ]
    }
}
