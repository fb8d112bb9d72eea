import VmemmapEmulator

/// Two ways to restore beside each other, and what they settle, for people.
enum RaceReport {
    /// The report, line by line.
    static func lines(_ result: RaceResult, _ style: Style = .plain) -> [String] {
        let walkers = Format.count(result.configuration.walkers, "walker")
        return style.wrapped(
            ["vmemmap demo --race: \(PlanReport.title(result.plan)), \(walkers)", ""] + PlanReport.lines(result.host))
            + [""] + result.tables.flatMap { $0.lines(style) }
            + style.notes([
                "naive: fresh memory is mapped over the tails, then what they showed is copied",
                "into it. atomic: the engine's, pages are filled off to the side, then put in",
                "place in one step. They run in pairs, on the same huge pages.",
            ]) + [""] + style.wrapped(naive(result.side(.naive)) + [""] + atomic(result, style))
    }

    private static func naive(_ side: RaceResult.Side) -> [String] {
        let question = "Hocko's question: how is a pfn walker kept from racing with the remap?"
        guard side.wrongReads > 0, let example = side.wrongRead.value else {
            return [
                question,
                "The naive way was not caught in \(Format.count(side.reads, "read")). That does not acquit it: between "
                    + "the two steps "
                    + "the tails read as zeros, and nobody has looked in time. Give it longer (--race-seconds), or "
                    + "more walkers.",
            ]
        }
        return [
            question,
            "It is a real one. Done the obvious way, \(Format.count(side.wrongReads, "read")) gave a wrong head, one "
                + "in "
                + "\(Format.count(side.reads / side.wrongReads)): for frame \(example.frame), say, compound_head read "
                + "0x\(String(example.word, radix: 16)).",
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
                    + "it does not hold here: \(Format.count(side.wrongReads, "wrong read")) under the "
                    + "engine\(example ?? "")."
            ]
        }
        guard let expected = result.wrongReadsAtTheNaiveRate else {
            return answer + [
                style.mark(true)
                    + "0 of \(Format.count(side.reads, "read")) wrong under the engine; with nothing caught of the "
                    + "naive way, "
                    + "that says little."
            ]
        }
        return answer + [
            style.mark(true)
                + "it holds where each replacement is one step: 0 of \(Format.count(side.reads, "read")) wrong under "
                + "the engine. "
                + "At the naive way's rate it would have been \(Format.count(Int(expected.rounded())))."
        ]
    }
}
