import HostMemory
import VmemmapEmulator

extension PlanResult {
    /// What its page shows before the tables.
    var html: HTMLContent {
        if !architectures.isEmpty {
            return HTMLContent(
                subject: "What sharing vmemmap gives back on every architecture",
                setting: "Worked out, nothing was mapped", summary: PlanAnswer.lines(self).joined(separator: " "))
        }
        let memory = Format.bytes(forecast.memoryBytes)
        return HTMLContent(
            subject: "What vmemmap optimization gives back of \(memory) in huge pages",
            setting: "\(Format.bytes(forecast.structPageBytes)) of struct pages; worked out, nothing was mapped",
            summary: PlanAnswer.lines(self).joined(separator: " "),
            sections: [HTMLSection(id: "schemes", title: "By scheme and huge page", body: [schemes])])
    }

    /// What each scheme leaves of the struct pages, and where this host's kernel is.
    private var schemes: Markup {
        let rows = forecast.rows.map { row -> BarFigure.Row in
            let pool = configuration.pools.first { $0.hugePageBytes == row.hugePageBytes }
            let memory = pool?.memoryBytes ?? forecast.memoryBytes
            let all = configuration.structPageSizeBytes * (memory.rawValue / configuration.basePageBytes.rawValue)
            let parts = [all - row.freedBytes, row.kernelPageTableBytes, row.kernelNetBytes]
            return BarFigure.Row(
                "\(row.scheme.rawValue), \(Format.bytes(row.hugePageBytes))"
                    + (row.isKernelScheme.value == true ? " \u{2190} you are here" : ""),
                text: Format.bytes(row.kernelNetBytes) + " given back",
                parts.map { (Double($0.rawValue), Format.bytes($0)) })
        }
        let axis = Axis.bytes(upTo: forecast.structPageBytes.rawValue, count: 5)
        let figure = BarFigure(
            rows: rows, axis: axis, axisName: "struct pages, \(axis.unit)",
            key: FigureKey(names: [("kept", "used"), ("page tables for it", "cost"), ("given back, net", "saved")]),
            isStacked: true)
        return Figure(
            id: "left", title: "What is left of the struct pages", description: figure.description,
            caption: "Under each scheme, for huge pages of each size. The arrow marks the scheme of this host\u{2019}s "
                + "kernel.",
            draw: figure.draw
        ).markup
    }
}
