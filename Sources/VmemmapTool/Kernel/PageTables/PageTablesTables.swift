import HostLab
import HostMemory
import KernelMemory

extension PageTablesBlock {
    /// The huge pages by size and state.
    static func hugetlbTable(_ block: PageTablesBlock?) -> ExportTable {
        let rows = (block?.looks ?? []).flatMap { look in
            look.counts.filter { look.kind == .existing || $0.pages > .zero }.map { (look, $0) }
        }
        return ExportTable(
            "hugetlb", "Huge pages by what the kernel's page tables map their vmemmap to.", rows,
            [
                .label(
                    "look",
                    "existing: in the pools already; page: asked for by its frame; off, on: added with HVO off or on."
                ) {
                    $0.0.kind.rawValue
                }.shown("HVO"),
                .sizeLabel("page_size", "The size of a huge page, in bytes.") { $0.1.hugePageBytes }.shown(
                    "huge\npage"),
                .count("pool_pages", "Huge pages in the pool (nr_hugepages).") { $0.1.poolPages.value?.rawValue }.shown(
                    "in\npool"),
                .count("pages", "Huge pages looked at.") { $0.1.pages.rawValue }.shown("looked\nat"),
                .count("optimized_pages", "Those whose tails show one read-only frame.") {
                    $0.1.optimizedPages.rawValue
                }.shown("opti-\nmized"),
                .count("split_pages", "Those with every frame, not all mapped by PMDs.") { $0.1.splitPages.rawValue }
                    .shown("split"),
                .count("whole_pages", "Those with every frame, mapped by PMDs.") { $0.1.wholePages.rawValue }.shown(
                    "whole"),
                .count("other_pages", "Those in no state that is known.") { $0.1.otherPages.rawValue }.shown(
                    "other", drop: 1),
                .count("changing_pages", "Those that did not hold still.") { $0.1.changingPages.rawValue }.shown(
                    "chang-\ning", drop: 2),
                .count("vmemmap_pages", "Vmemmap pages of all but the changing ones.") { $0.1.vmemmapPages.rawValue },
                .count("freed_frames", "Vmemmap pages less different frames.") { $0.1.freedFrames.rawValue }.shown(
                    "frames\nfreed"),
                .count("further_frames", "What optimizing the split and whole ones would free, too.") {
                    $0.1.furtherFrames.value?.rawValue
                }.shown("HVO would\nfree, too"),
                .count("contradicted_pages", "Those that the kernel's own mark says otherwise of.") {
                    $0.1.contradictedPages.value?.rawValue
                },
                .count("memmap_fall_pages", "Fall of nr_memmap_pages + nr_memmap_boot_pages as they were added.") {
                    $0.0.memmapFallPages.value?.rawValue
                },
                .count("missed_pages", "Huge pages less or more than the pools have or grew by, of all sizes.") {
                    $0.0.missedPages.value?.rawValue
                },
            ])
    }
}
