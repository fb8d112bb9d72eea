import HostMemory
import KernelMemory
import VmemmapEmulator

extension KernelResult {
    /// The page of `--page-tables` and what goes with it: the kernel's huge page and the emulated one.
    func pageTablesContent(_ block: PageTablesBlock) -> HTMLContent {
        HTMLContent(
            subject: "The kernel\u{2019}s own page tables",
            setting: "\(block.kernel), \(PageTablesReport.source(block))"
                + (block.scheme.value.map { "; \($0.rawValue) scheme, told by what was found" } ?? ""),
            sections: pictures(block) + Check.sections(checks) + [places(block)])
    }

    private func pictures(_ block: PageTablesBlock) -> [HTMLSection] {
        let drawn = block.looks.compactMap { look in
            look.picture.value.map { picture in
                let title = look.kind == .existing ? "In the pool" : "HVO \(look.kind.rawValue)"
                return FrameFigure.Side(id: look.kind.rawValue, title: title, picture: picture.drawn)
            }
        }
        guard let last = block.looks.compactMap(\.picture.value).last else { return [] }
        var sections = [
            HTMLSection(
                id: "kernel", title: "The kernel\u{2019}s huge page",
                body: [
                    .paragraph(Markup(PageTablesReport.line(last).capitalizedFirst + ".")),
                    FrameFigure(id: "frames", drawn, isOfKernel: true).markup,
                ])
        ]
        if let emulated = block.emulated.value {
            sections.append(
                HTMLSection(
                    id: "emulated", title: "The emulated huge page under the same scheme",
                    body: [FrameFigure(before: emulated.before, after: emulated.after, id: "emulated-frames").markup]))
        }
        return sections
    }

    private func places(_ block: PageTablesBlock) -> HTMLSection {
        HTMLSection(
            id: "places", title: "How they were found",
            body: PageTablesReport.evidence(block).map { .paragraph(Markup("\($0.capitalizedFirst).")) })
    }
}
