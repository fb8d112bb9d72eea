import HostMemory
import VmemmapEmulator

/// What became of a region mapped by PMDs, step by step.
enum PMDMappedReport {
    /// A table, with a column a step since the kernel's names are long, and an empty line; nothing for a region mapped by PTEs.
    static func lines(
        _ plan: PlanBlock, _ steps: [(step: Step, figures: MemoryFigures)], _ style: Style
    ) -> [String] {
        guard plan.mapping == .pmd else { return [] }
        var table = TextTable(headings: [""] + steps.map(\.step.rawValue))
        let figures = steps.map(\.figures)
        func add(_ name: String, _ cell: (MemoryFigures) -> String?) {
            table.add([name] + figures.map { cell($0) ?? "-" })
        }
        add("mapped by PMDs") { $0.pmdMappedBytes.value.map(ByteText.short) }
        add("pages in huge folios") { $0.pagesInHugeFolios.value.map { CountText.grouped($0.rawValue) } }
        add("split marks") { $0.splitBlocks.value.map { "\($0)" } }
        let events = figures.map(\.hugePageEvents.value)
        for (name, count) in Self.events {
            let changes = changes(events.map { $0.map(count) })
            // What never happened takes no line.
            if style.isVerbose || changes.contains(where: { $0 != "-" && $0 != "0" }) { table.add([name] + changes) }
        }
        return table.lines(style)
            + style.notes([
                "PMDs: PAGEMAP_SCAN. Folios: KPF_THP. Marks: not merged yet. thp_*: host's vmstat."
            ]) + [""]
    }

    /// Events of /proc/vmstat by its names.
    private static let events: [(String, @Sendable (HugePageEvents) -> Int)] = [
        ("thp_fault_alloc", \.faultAlloc), ("thp_split_pmd", \.splitPmd), ("thp_split_page", \.splitPage),
        ("thp_split_page_failed", \.splitPageFailed), ("thp_collapse_alloc", \.collapseAlloc),
        ("thp_collapse_alloc_failed", \.collapseAllocFailed),
    ]

    /// Each count less the one before it.
    private static func changes(_ counts: [Int?]) -> [String] {
        counts.indices.map { index in
            guard index > 0, let count = counts[index], let before = counts[index - 1] else { return "-" }
            return CountText.grouped(count - before)
        }
    }
}
