import HostLab
import HostMemory
import VmemmapEmulator

extension KernelResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        guard let measurement = measurement.value, let emulator = emulator.value else {
            return HTMLContent(
                subject: "The host\u{2019}s own kernel",
                summary: "Nothing was measured: this is what the kernel offers and uses.", sections: [offer])
        }
        return HTMLContent(
            subject: "The kernel\u{2019}s own pool beside the emulator",
            setting: "\(PlanReport.hugePages(emulator.plan).capitalizedFirst), \(PlanReport.setting(emulator.plan)); "
                + CountText.of(measurement.rounds.count, "round"),
            summary: "\(checks.count { $0.holds.value == true }) of \(checks.count) claims hold, "
                + "\(checks.count { $0.holds.value == nil }) could not be measured here.",
            sections: TableFigures.sections(
                tables.filter { $0.name == "operation" }, titles: ["operation": "What a huge page costs"])
                + [claims(measurement, emulator), offer])
    }

    private func claims(_ measurement: KernelMeasurementResult, _ emulator: Emulator) -> HTMLSection {
        let items = checks.map { check in
            ClaimList.Item(holds: check.holds.value, text: KernelCheckText.line(check), method: "")
        }
        let notes = KernelReport.given(measurement) + KernelCheckText.details(measurement, emulator)
        return HTMLSection(
            id: "claims", title: "What must hold between the two",
            body: [
                ClaimList.markup(items), .paragraph(Markup(notes.joined(separator: " "))),
            ])
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
            let size = ByteText.short(pool.hugePageBytes)
            let asItIs =
                pool.pages > .zero
                ? [("the pool\u{2019}s \(CountText.of(pool.pages.rawValue, "huge page")) of \(size)", pool.asItIs)] : []
            return asItIs + [
                ("all of \(ByteText.short(kernel.memoryBytes)) in huge pages of \(size)", pool.allOfMemory)
            ]
        }
        let key = FigureKey(names: [
            ("struct pages", "used"), ("HVO frees", "saved"), ("net of page tables", "third"),
        ])
        let rows = subjects.map { name, saving in
            GroupedBarFigure.Row(
                name: name,
                bars: [saving.structPageBytes, saving.freedBytes, saving.netBytes].map {
                    (Double($0.rawValue), ByteText.short($0))
                })
        }
        let most = subjects.map(\.1.structPageBytes.rawValue).max() ?? 1
        let axis = Axis.bytes(upTo: most, count: 4)
        let figure = GroupedBarFigure(key: key, rows: rows, axis: axis, axisName: "memory, \(axis.unit)")
        return Figure(
            id: "savings", title: "What the kernel\u{2019}s own optimization frees",
            description: rows.map { row in
                "\(row.name): "
                    + zip(key.names, row.bars).map { "\($0.name) \($1?.text ?? "")" }.joined(separator: ", ")
            }.joined(separator: "; "),
            caption:
                "Worked out, not measured: of a pool as it is, none of it optimized against all of it; the kernel does not tell "
                + "which huge pages are optimized already.",
            draw: figure.draw
        ).markup
    }
}
