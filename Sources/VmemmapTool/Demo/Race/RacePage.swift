import HostMemory
import VmemmapEmulator

extension RaceResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        let (wrong, right) = (sides[0], rightSide)
        return HTMLContent(
            subject: kind.subject,
            setting: "\(PlanReport.title(plan).capitalizedFirst); \(Format.count(configuration.walkers, "walker"))",
            summary:
                "\(kind.failures.capitalizedFirst): \(share(wrong)) \(kind.attempts) of the "
                + "\(wrong.way.rawValue) way, \(share(right)) of the \(right.way.rawValue) one.",
            sections: [
                HTMLSection(
                    id: "wrong", title: kind.failures.capitalizedFirst,
                    body: [
                        .paragraph(Markup(RaceReport.notes(kind, plan.scheme).joined(separator: " "))),
                        figure.markup,
                    ])
            ] + Check.sections(checks))
    }

    private var kind: RaceKind { configuration.kind }

    /// What went wrong: of restores what readers saw, of the others what made them fault.
    private func failures(_ side: Side) -> Int { kind == .restore ? side.wrongReads : side.faults }

    private func share(_ side: Side) -> String {
        "\(Format.count(failures(side))) of \(Format.count(side.reads))"
    }

    private var figure: Figure {
        // As many as of a million: the two ways do not make as many reads in the same time.
        let rows = sides.map { side in
            let rate = Double(failures(side)) * 1e6 / Double(max(1, side.reads))
            return BarFigure.Row(
                side.way.rawValue,
                .init(
                    value: rate, text: "\(share(side)) \(kind.attempts), \(Format.decimal(rate, 1)) of a million",
                    style: side.way == rightSide.way ? "accent" : "cost"))
        }
        let most = rows.compactMap(\.bars.first??.value).max() ?? 0
        let figure = BarFigure(
            rows: rows, axis: .ratios(upTo: most, count: 4), axisName: "\(kind.failures) of a million")
        return Figure(
            id: "wrongreads", title: "\(kind.failures.capitalizedFirst) of each way", description: figure.description,
            caption:
                "Of walkers, while every huge page was optimized and restored again and again.", draw: figure.draw)
    }
}

extension RaceKind {
    /// What its page is about.
    fileprivate var subject: String {
        switch self {
        case .restore: "What readers see of two ways to restore"
        case .gap: "What readers see of a remap with a gap"
        case .speculative: "What walkers do that take references"
        }
    }

    /// What goes wrong, on the wrong way.
    fileprivate var failures: String {
        switch self {
        case .restore: "wrong reads"
        case .gap: "reads that faulted"
        case .speculative: "stores that met a read-only tail"
        }
    }

    /// What the walkers do.
    fileprivate var attempts: String { self == .speculative ? "operations" : "reads" }
}
