internal import Experiments
internal import HostMemory
internal import VmemmapEmulator

/// What became of a region mapped by PMDs, step by step.
enum HugeBaseReport {
    /// A table and an empty line; nothing for a region mapped by PTEs.
    static func lines(
        _ plan: PlanBlock, _ steps: [(step: Step, figures: MemoryFigures)], _ style: Style
    ) -> [String] {
        guard plan.base == .pmd else { return [] }
        var table = TextTable(headings: [
            "", "mapped\nby PMDs", "pages in\nhuge folios", "split\nmarks", "thp_fault\n_alloc", "thp_split\n_pmd",
            "thp_split\n_page", "_page\n_failed", "thp_collapse\n_alloc", "_alloc\n_failed",
        ])
        var before: HugePageEvents?
        for (step, figures) in steps {
            let events = figures.hugePageEvents.value
            func change(_ count: (HugePageEvents) -> Int) -> String {
                guard let events, let before else { return "-" }
                return CountText.grouped(count(events) - count(before))
            }
            table.add([
                step.rawValue, figures.pmdMappedBytes.value.map(ByteText.short) ?? "-",
                figures.pagesInHugeFolios.value.map { CountText.grouped($0.rawValue) } ?? "-",
                figures.splitBlocks.value.map { "\($0)" } ?? "-", change(\.faultAlloc), change(\.splitPmd),
                change(\.splitPage), change(\.splitPageFailed), change(\.collapseAlloc), change(\.collapseAllocFailed),
            ])
            before = events
        }
        return table.lines(style)
            + style.notes([
                "Mapped by PMDs: PAGEMAP_SCAN. Huge folios: KPF_THP (root). Split marks: not merged yet. thp_*: vmstat, the whole host's."
            ]) + [""]
    }
}
