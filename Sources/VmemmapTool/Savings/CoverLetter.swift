import HostMemory
import VmemmapEmulator

/// A run's saving scaled to the cover letter's 1 TiB, beside the letter's own figures and the plans of every scheme.
struct CoverLetter {
    private let result: SavingsResult
    private static let memory = ByteCount(1 << 40)
    /// For the size of huge page that was run.
    private let forecast: Forecast?

    /// What the letter of v5 says of 1 TB in huge pages of a size; it counts in powers of two, 16 GB of struct pages
    /// for 1 TB.
    private struct Published {
        let text: String
        let gibibytes: Double
        let range: ClosedRange<Double>?
    }

    private var published: Published {
        result.plan.hugePageBytes == HugePageSize.oneGibibyte.bytes
            ? Published(text: "~16 GB", gibibytes: 16, range: nil)
            : Published(text: "~11 GB (10 to 12)", gibibytes: 11, range: 10...12)
    }

    init(_ result: SavingsResult) {
        self.result = result
        let size = [HugePageSize.twoMebibytes, .oneGibibyte].first { $0.bytes == result.plan.hugePageBytes }
        forecast = size.flatMap {
            Forecast(
                memory: Self.memory, basePage: result.host.pageSizeBytes, sizes: [$0], schemes: Scheme.ofHugeTLB,
                backing: result.plan.backing, tailFrames: .auto, cost: result.host.mappingCost,
                limit: result.host.mappingLimit)
        }
    }

    /// The comparison, as bars and as a table.
    var sections: [HTMLSection] {
        guard let forecast else { return [] }
        return [
            HTMLSection(
                id: "letter", title: "Beside the cover letter",
                body: [
                    .paragraph(
                        Markup(
                            "The cover letter of v5 (2020) counts for 1 TB of memory in huge pages, whose struct pages "
                                + "take 16 GB. Here is the same for 1 TiB: by the plan of each scheme in the kernel, "
                                + "and this run scaled up.")
                    ), figure(forecast), table(forecast),
                ])
        ]
    }

    /// The run's figure for an amount of struct pages, at 1 TiB of memory.
    private func scaled(_ bytes: ByteCount) -> Double {
        let emulated = Double(result.plan.hugePageBytes.rawValue) * Double(result.plan.pages.rawValue)
        return Double(bytes.rawValue) * Double(Self.memory.rawValue) / emulated
    }

    private func text(_ bytes: Double) -> String { Format.bytes(ByteCount(Int(bytes))) }

    private func figure(_ forecast: Forecast) -> Markup {
        let gibibyte = 1_073_741_824.0
        var rows = [
            BarFigure.Row(
                "the letter, first-tail",
                .init(
                    value: published.gibibytes * gibibyte, text: published.text,
                    range: published.range.map { ($0.lowerBound * gibibyte)...($0.upperBound * gibibyte) }))
        ]
        rows += forecast.rows.map { row in
            BarFigure.Row(
                "planned, \(row.scheme.rawValue)",
                .init(value: Double(row.kernelNetBytes.rawValue), text: Format.bytes(row.kernelNetBytes)))
        }
        if let row = result.optimized {
            rows += [("gross", scaled(row.grossSavingBytes)), ("net", scaled(row.netSavingBytes))].map { name, bytes in
                BarFigure.Row("this run, \(name)", .init(value: max(0, bytes), text: text(bytes), style: "accent"))
            }
        }
        let axis = Axis.bytes(upTo: forecast.structPageBytes.rawValue, count: 4)
        let figure = BarFigure(
            rows: rows, axis: axis,
            axisName: "saved of \(Format.bytes(forecast.structPageBytes)) of struct pages, \(axis.unit)")
        return Figure(
            id: "schemes", title: "What 1 TiB in huge pages of \(Format.bytes(result.plan.hugePageBytes)) saves",
            description: figure.description,
            caption:
                "Planned: what the kernel frees, less one page table for each 2 MiB of vmemmap; nothing was run. This "
                + "run: "
                + "\(result.plan.scheme.rawValue), measured on \(Format.bytes(result.plan.regionBytes)) of struct "
                + "pages and "
                + "multiplied; its net pays for mappings, which the kernel\u{2019}s does not.",
            draw: figure.draw
        ).markup
    }

    private func table(_ forecast: Forecast) -> Markup {
        struct Line {
            let source: String
            let className: String?
            let cells: [String]
        }
        var lines = [
            Line(
                source: "cover letter, first-tail", className: "letter",
                cells: ["16 GB", "\u{2013}", "\u{2013}", published.text])
        ]
        lines += forecast.rows.map { row in
            Line(
                source: "planned, \(row.scheme.rawValue)", className: nil,
                cells: [
                    forecast.structPageBytes, row.freedBytes, row.kernelPageTableBytes, row.kernelNetBytes,
                ].map(Format.bytes))
        }
        if let row = result.optimized {
            let cost = row.mappingOverheadBytes + row.pageTableOverheadBytes + row.templateOverheadBytes
            lines.append(
                Line(
                    source: "this run, scaled", className: "run",
                    cells: [result.plan.regionBytes, row.grossSavingBytes, cost, row.netSavingBytes].map {
                        text(scaled($0))
                    }))
            lines.append(
                Line(
                    source: "this run, as measured", className: nil,
                    cells: [result.plan.regionBytes, row.grossSavingBytes, cost, row.netSavingBytes].map(Format.bytes)
                ))
        }
        let headings = ["struct pages", "given back", "costs", "saved, net"]
        return .element(
            "table", ["class": "beside"],
            [
                .element(
                    "thead", [:],
                    [
                        .element(
                            "tr", [:],
                            ([""] + headings).map { .element("th", ["scope": "col"], [Markup($0)]) })
                    ]),
                .element(
                    "tbody", [:],
                    lines.map { line in
                        .element(
                            "tr", ["class": line.className],
                            [.element("th", ["scope": "row"], [Markup(line.source)])]
                                + zip(headings, line.cells).map {
                                    .element("td", ["data-label": $0], [Markup($1)])
                                })
                    }),
            ])
    }
}
