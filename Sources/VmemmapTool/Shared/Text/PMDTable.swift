import HostMemory
import VmemmapEmulator

/// What became of a region mapped by PMDs, step by step.
enum PMDTable {
    /// A table, what explains it, and an empty line; nothing for a region mapped by PTEs.
    static func lines(_ plan: PlanBlock, _ steps: [(step: Step, figures: MemoryFigures)], _ style: Style) -> [String] {
        guard plan.mapping == .pmd else { return [] }
        typealias Row = (step: Step, figures: MemoryFigures, before: HugePageEvents?)
        let rows = steps.enumerated().map { number, step -> Row in
            (step.step, step.figures, number == 0 ? nil : steps[number - 1].figures.hugePageEvents.value)
        }
        func change(_ row: Row, _ count: (HugePageEvents) -> Int) -> Int? {
            guard let before = row.before, let now = row.figures.hugePageEvents.value else { return nil }
            return count(now) - count(before)
        }
        // What never happened takes no column.
        let happened = events.filter { _, count in style.isVerbose || rows.contains { change($0, count) ?? 0 != 0 } }
        let columns: [ExportColumn<Row>] =
            [.label("step", "The step.") { $0.step.rawValue }.shown("")] + ExportColumn.ofPMDs(\.figures)
            + happened.map { name, count in
                .count(name, "Its growth since the step before.") { change($0, count) }.shown("thp_\n\(name)")
            }
        return ExportTable("pmd", "What became of the region's PMDs.", rows, columns).lines(style)
            + style.notes(["PMDs: PAGEMAP_SCAN. Folios: KPF_THP. Marks: not merged yet. thp_*: host's vmstat."]) + [""]
    }

    /// Events of /proc/vmstat by its names, without thp_.
    private static let events: [(String, @Sendable (HugePageEvents) -> Int)] = [
        ("fault_alloc", \.faultAlloc), ("split_pmd", \.splitPmd), ("split_page", \.splitPage),
        ("split_page_failed", \.splitPageFailed), ("collapse_alloc", \.collapseAlloc),
        ("collapse_alloc_failed", \.collapseAllocFailed),
    ]
}
