import HostMemory
import VmemmapEmulator

extension RaceResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        HTMLContent(
            subject: "What readers see of two ways to restore",
            setting: "\(PlanReport.title(plan).capitalizedFirst); \(Format.count(configuration.walkers, "walker"))",
            summary: "The naive way was wrong in \(share(.naive)) reads, the engine\u{2019}s in \(share(.atomic)).",
            sections: [
                HTMLSection(
                    id: "wrong", title: "Wrong reads",
                    body: [
                        .paragraph(Markup(Self.explanation)),
                        figure.markup,
                    ])
            ])
    }

    private static let explanation =
        "The naive way maps fresh memory in place and copies into it: until then a reader finds zeros. The engine fills "
        + "pages off to the side and puts them in place in one step."

    private func share(_ way: Way) -> String {
        let side = side(way)
        return "\(Format.count(side.wrongReads)) of \(Format.count(side.reads))"
    }

    private var figure: Figure {
        // As many as of a million: the two ways do not make as many reads in the same time.
        let rows = sides.map { side in
            let rate = Double(side.wrongReads) * 1e6 / Double(max(1, side.reads))
            return BarFigure.Row(
                side.way == .naive ? "naive restore" : "the engine\u{2019}s restore",
                .init(
                    value: rate, text: "\(share(side.way)) reads, \(Format.decimal(rate, 1)) of a million",
                    style: side.way == .naive ? "cost" : "accent"))
        }
        let most = rows.compactMap(\.bars.first??.value).max() ?? 0
        let figure = BarFigure(
            rows: rows, axis: .ratios(upTo: most, count: 4), axisName: "wrong reads of a million")
        return Figure(
            id: "wrongreads", title: "Wrong reads of each way to restore", description: figure.description,
            caption:
                "Reads of compound_head by walkers, each checked, while every huge page was optimized and restored "
                + "again and again.", draw: figure.draw)
    }
}
