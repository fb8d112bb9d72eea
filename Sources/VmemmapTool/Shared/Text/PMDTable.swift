import HostMemory
import VmemmapEmulator

/// What became of a region mapped by PMDs, step by step.
enum PMDTable {
    /// A table, what explains it, and an empty line; nothing for a region mapped by PTEs.
    static func lines(_ plan: PlanBlock, _ steps: [(step: Step, figures: MemoryFigures)], _ style: Style) -> [String] {
        guard plan.mapping == .pmd else { return [] }
        typealias Row = (step: Step, figures: MemoryFigures)
        // What never happened takes no column; what is deferred is shown by the folios that are left.
        let events = ExportColumn<Row>.ofHost(\.figures).filter { column in
            column.heading.key != "thp_deferred_split_page"
                && (style.isVerbose || steps.contains { column.cell($0).figure ?? 0 != 0 })
        }
        let columns: [ExportColumn<Row>] =
            [.label("step", "The step.") { $0.step.rawValue }.shown("")] + ExportColumn.ofPMDs(\.figures)
            + events.map { $0.shown("thp_\n\($0.heading.key.dropFirst(4))") }
        return ExportTable("pmd", "What became of the region's PMDs.", steps, columns).lines(style)
            + style.notes(["PMDs: PAGEMAP_SCAN. Folios: KPF_THP. Marks: not merged yet. thp_*: host's vmstat."]) + [""]
    }
}
