import HostLab
import HostMemory
import KernelMemory

extension PageTablesBlock {
    /// The huge pages by size and state.
    ///
    /// - Parameter showsPools: whether it says how many each pool has. Exports have that in a table of the pools.
    static func hugetlbTable(_ block: PageTablesBlock?, showsPools: Bool = false) -> ExportTable {
        let columns = columns.filter { showsPools || $0.heading.key != "pool_pages" }
        let rows = (block?.looks ?? []).flatMap { look in
            look.counts.filter { look.kind == .existing || $0.pages > .zero }.map { (look, $0) }
        }
        return ExportTable(
            "hugetlb", "Huge pages by what the kernel's page tables map their vmemmap to.", rows, columns)
    }

    /// How many there are of which is the host's state; that something is wrong is not.
    private static var columns: [ExportColumn<(PageTablesLook, PageTablesLook.Count)>] {
        [
            .label(
                "look",
                "existing: in the pools already; page: asked for by its frame; off, on: added with HVO off or on."
            ) {
                $0.0.kind.rawValue
            }.shown("HVO"),
            .sizeLabel("huge_page_bytes", "The size of a huge page.") { $0.1.hugePageBytes }.shown("huge\npage"),
            .count("pool_pages", "Huge pages in the pool (nr_hugepages).") { $0.1.poolPages.value?.rawValue }
                .shown("in\npool"),
            .count("pages", "Huge pages looked at.") { $0.1.pages.rawValue }.shown("looked\nat")
                .varying(),
            .count("optimized_pages", "Those whose tails show one read-only frame.") {
                $0.1.optimizedPages.rawValue
            }.shown("opti-\nmized").varying(),
            .count("split_pages", "Those with every frame, not all mapped by PMDs.") { $0.1.splitPages.rawValue }
                .shown("split").varying(),
            .count("whole_pages", "Those with every frame, mapped by PMDs.") { $0.1.wholePages.rawValue }
                .shown("whole").varying(),
            .count("other_pages", "Those in no state that is known.") { $0.1.otherPages.rawValue }.shown(
                "other", drop: 1),
            .count("changing_pages", "Those that did not hold still.") { $0.1.changingPages.rawValue }
                .shown("chang-\ning", drop: 2).varying(),
            .count("vmemmap_pages", "Vmemmap pages of all but the changing ones.") { $0.1.vmemmapPages.rawValue }
                .varying(),
            .count("freed_frames", "Vmemmap pages less different frames.") { $0.1.freedFrames.rawValue }
                .shown("frames\nfreed").varying(),
            .count("further_frames", "What optimizing the split and whole ones would free, too.") {
                $0.1.furtherFrames.value?.rawValue
            }.shown("HVO would\nfree, too").varying(),
            .count("contradicted_pages", "Those that the kernel's own mark says otherwise of.") {
                $0.1.contradictedPages.value?.rawValue
            },
            .count("memmap_fall_pages", "Fall of nr_memmap_pages + nr_memmap_boot_pages as they were added.") {
                $0.0.memmapFallPages.value?.rawValue
            }.varying(),
            .count("missed_pages", "Huge pages less or more than the pools have or grew by, of all sizes.") {
                $0.0.missedPages.value?.rawValue
            },
        ]
    }
}
