import VmemmapEmulator

/// Two ways beside each other, and what they settle, for people.
enum RaceReport {
    /// The report, line by line.
    static func lines(_ result: RaceResult, _ style: Style = .plain) -> [String] {
        let walkers = Format.count(result.configuration.walkers, "walker")
        let kind = result.configuration.kind
        let name = kind == .restore ? "" : " \(kind.rawValue)"
        return style.wrapped(
            ["vmemmap demo --race\(name): \(PlanReport.title(result.plan)), \(walkers)", ""]
                + PlanReport.lines(result.host))
            + [""] + result.tables.flatMap { $0.lines(style) }
            + style.notes(notes(kind, result.plan.scheme)) + [""] + style.wrapped(verdict(result)) + [""]
            + Check.lines(result.checks, style)
    }

    /// What each way of a race does.
    static func notes(_ kind: RaceKind, _ scheme: Scheme) -> [String] {
        let unchecked = scheme == .sharedTail ? "since Linux 7.1" : "before Linux 6.11"
        return switch kind {
        case .restore:
            [
                "naive: fresh memory is mapped over the tails, then what they showed is copied",
                "into it. atomic: the engine's, pages are filled off to the side, then put in",
                "place in one step. They run in pairs, on the same huge pages.",
            ]
        case .gap:
            [
                "gap: the tails of a huge page are unmapped, then the shared frames mapped, as",
                "where an entry must not be replaced by another (break-before-make). atomic: the",
                "engine's, one over the other. They run in pairs, on the same huge pages.",
            ]
        case .speculative:
            [
                "Walkers add to the refcount of what they find, unless it is 0, while frames go",
                "from base pages in use to huge pages and back; now and then one is held up",
                "before it adds to a base page. unchecked: as \(unchecked).",
                "checked: in read-side sections, which whoever remaps waits for, once a batch.",
                "faults: stores that met a read-only tail: an oops, in the kernel.",
            ]
        }
    }

    /// What the wrong way showed; of restores, what that settles, too.
    private static func verdict(_ result: RaceResult) -> [String] {
        switch result.configuration.kind {
        case .restore: naive(result.side(.naive)) + [""] + atomic(result)
        case .gap: gap(result.side(.gap))
        case .speculative: speculative(result.side(.unchecked))
        }
    }

    private static func gap(_ gap: RaceResult.Side) -> [String] {
        [
            gap.faults > 0
                ? "Readers faulted \(Format.count(gap.faults, "time")) in the gap, once in "
                    + "\(Format.count(gap.reads / gap.faults, "read")): a kernel cannot take such a fault, which "
                    + "is why arm64 has the optimization off."
                : "Nobody looked into the gap in time: \(Format.count(gap.reads, "read")) without a fault. Give it "
                    + "longer (--race-duration), or more walkers."
        ]
    }

    private static func speculative(_ wrong: RaceResult.Side) -> [String] {
        [
            wrong.faults > 0
                ? "Unchecked, \(Format.count(wrong.faults, "store")) met a read-only tail, one in "
                    + "\(Format.count(wrong.reads / wrong.faults, "operation"))."
                : "Unchecked, no store met a read-only tail in \(Format.count(wrong.reads, "operation")). That does "
                    + "not acquit it: give it longer (--race-duration), or fewer huge pages (--pages 16)."
        ]
    }

    private static func naive(_ side: RaceResult.Side) -> [String] {
        let question = "Hocko's question: how is a pfn walker kept from racing with the remap?"
        guard side.wrongReads > 0, let example = side.wrongRead.value else {
            return [
                question,
                "The naive way was not caught in \(Format.count(side.reads, "read")). That does not acquit it: between "
                    + "the two steps "
                    + "the tails read as zeros, and nobody has looked in time. Give it longer (--race-duration), or "
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

    private static func atomic(_ result: RaceResult) -> [String] {
        let side = result.side(.atomic)
        let answer =
            "Wilcox's answer: it need not be, the address stays valid and shows the same compound_head throughout."
        if side.wrongReads > 0 {
            let example = side.wrongRead.value.map {
                ": for frame \($0.frame), say, compound_head read 0x\(String($0.word, radix: 16))"
            }
            return [answer, "It does not hold here\(example ?? "")."]
        }
        guard let expected = result.wrongReadsAtTheNaiveRate else { return [answer] }
        return [
            answer,
            "It holds where each replacement is one step. At the naive way's rate "
                + "\(Format.count(Int(expected.rounded()), "read")) would have been wrong.",
        ]
    }
}
