internal import Experiments
internal import HostMemory
internal import VmemmapEmulator

/// What became of a region mapped by PMDs, step by step.
enum HugeBaseReport {
    /// A table and an empty line; nothing for a region mapped by PTEs.
    static func lines(_ plan: PlanBlock, _ steps: [(step: Step, figures: MemoryFigures)]) -> [String] {
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
        return table.lines + [
            "Mapped by PMDs: PAGEMAP_SCAN of the region. Huge folios: KPF_THP of /proc/kpageflags (root). Split marks: blocks that",
            "optimizing split and no restore merged. thp_*: /proc/vmstat over the step, all processes of the host together.",
            "",
        ]
    }
}
