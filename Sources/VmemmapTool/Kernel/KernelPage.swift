import HostLab
import HostMemory
import VmemmapEmulator

extension KernelResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        if let block = pageTables.value, !checks.isEmpty { return pageTablesContent(block) }
        if let trial = stoppedBy.value {
            return HTMLContent(
                subject: "The host\u{2019}s own kernel loses memory", summary: "\(trial.text.capitalizedFirst).",
                sections: Check.sections(checks, title: "One huge page, put into the pool and taken out") + [offer])
        }
        guard let measurement = measurement.value, let emulator = emulator.value else {
            return HTMLContent(
                subject: "The host\u{2019}s own kernel",
                summary: "Nothing was measured: this is what the kernel offers and uses.", sections: [offer])
        }
        return HTMLContent(
            subject: "The kernel\u{2019}s own pool beside the emulator",
            setting: "\(PlanReport.hugePages(emulator.plan).capitalizedFirst), \(PlanReport.setting(emulator.plan)); "
                + Format.count(measurement.pairs.count, "pair"),
            sections: TableFigures.sections(
                tables.filter { $0.name == "operation" }, titles: ["operation": "What a huge page costs"])
                + [checked(measurement, emulator), offer])
    }

    private func checked(_ measurement: KernelMeasurementResult, _ emulator: Emulator) -> HTMLSection {
        let notes = [KernelReport.given(measurement), KernelCheck.details(measurement, emulator)].map { lines in
            // One sentence goes on below, indented, on a terminal.
            lines.joined(separator: " ").split(separator: " ").joined(separator: " ").replacing(
                "note /", with: "Note: /")
        }.filter { !$0.isEmpty }
        return HTMLSection(
            id: "checks", title: "What was checked between the two",
            body: [
                Check.markup(checks)
            ] + notes.map { .paragraph(Markup($0)) })
    }

    // MARK: The kernel as it is

    private var offer: HTMLSection {
        HTMLSection(
            id: "offer", title: "What the kernel offers and uses",
            body: [
                .paragraph(Markup("\(KernelReport.configured(kernel).capitalizedFirst).")),
                .paragraph(Markup("\(KernelReport.memmap(kernel)).")),
            ] + [KernelReport.noPools(kernel).map { .paragraph(Markup("\($0.capitalizedFirst).")) } ?? savings])
    }

    /// What HVO frees, of each pool that has huge pages and of all of memory.
    private var savings: Markup {
        let subjects = (kernel.pools.value ?? []).flatMap { pool -> [(String, KernelOverview.Saving)] in
            let size = Format.bytes(pool.hugePageBytes)
            let asItIs = [pool.asItIs.value].compactMap(\.self).filter { $0.pages > .zero }.map {
                ("the pool\u{2019}s \(Format.count($0.pages.rawValue, "huge page")) of \(size)", $0)
            }
            return asItIs + [
                ("all of \(Format.bytes(kernel.memoryBytes)) in huge pages of \(size)", pool.allOfMemory)
            ]
        }
        let key = FigureKey(names: [
            ("struct pages", "used"), ("HVO frees", "saved"), ("net of page tables", "third"),
        ])
        let rows = subjects.map { name, saving in
            BarFigure.Row(
                name,
                [saving.structPageBytes, saving.freedBytes, saving.netBytes].map {
                    (Double($0.rawValue), Format.bytes($0))
                })
        }
        let most = subjects.map(\.1.structPageBytes.rawValue).max() ?? 1
        let axis = Axis.bytes(upTo: most, count: 4)
        let figure = BarFigure(rows: rows, axis: axis, axisName: "memory, \(axis.unit)", key: key)
        return Figure(
            id: "savings", title: "What the kernel\u{2019}s own optimization frees",
            description: figure.description,
            caption:
                "Worked out, not measured: of a pool as it is, none of it optimized against all of it. Which huge "
                + "pages are "
                + "optimized already the kernel\u{2019}s page tables show.",
            draw: figure.draw
        ).markup
    }
}
