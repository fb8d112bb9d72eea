import HostMemory

extension PoolResult: ExportableResult {
    /// The subcommand.
    static var command: String { "pool" }
    /// Whether everything is as the script expects.
    var verdict: Bool? { holds }

    /// Its tables.
    var tables: [ExportTable] {
        // What was asked for comes first.
        let compared = PoolComparison.tables(comparison.value)
        return comparison.value == nil ? scriptTables + compared : compared + scriptTables
    }

    private var scriptTables: [ExportTable] {
        [
            ExportTable(
                "line", "What each line did, and the machine after it.", lines,
                [
                    .label("line", "The line's number.") { "\($0.number)" },
                    .text("statement", "What it says.") { $0.statement },
                    .text("refusal", "The errno it was refused with, or SIGBUS; nothing where it was carried out.") {
                        $0.refusal.value ?? ""
                    },
                    .text("remark", "What stood in the way of a pool that has not all that was asked for.") {
                        $0.remark.value ?? ""
                    },
                    .truth("holds", "Whether what it expects is so.") { $0.holds.value },
                    .text("expects", "The figure that it expects something of.") {
                        $0.expectation.value?.expects ?? ""
                    },
                    .text("expected", "What that was to be.") { $0.expectation.value?.expected ?? "" },
                    .text("measured", "What it was.") { $0.expectation.value?.measured ?? "" },
                    .nanoseconds("duration", "What it took.") { $0.durationNanoseconds },
                    .bytes("base_page", "The machine's base page.") { $0.machine.value?.basePageBytes },
                    .count("memmap_pages", "nr_memmap_pages.") { $0.machine.value?.memmapPages.rawValue },
                    .count("memmap_boot_pages", "nr_memmap_boot_pages.") {
                        $0.machine.value?.memmapBootPages.rawValue
                    },
                    .count("split_page_tables", "Page tables that splitting PMDs has taken.") {
                        $0.machine.value?.splitPageTables
                    },
                    .count("distinct_frames", "This host's frames behind the struct pages (pagemap).") {
                        $0.machine.value?.measured.distinctFrames.rawValue
                    },
                    .count("expected_frames", "Those that the counters make one expect.") {
                        $0.machine.value?.measured.expectedFrames.rawValue
                    },
                    .count("mappings", "Mappings of the struct pages' region.") {
                        $0.machine.value?.measured.mappings.rawValue
                    },
                    .bytes("page_table", "VmPTE of the process.") { $0.machine.value?.measured.pageTableBytes }
                        .varying(),
                ]),
            ExportTable(
                "pool", "Each pool after each line, as /proc/meminfo has it.",
                lines.flatMap { line in (line.machine.value?.pools ?? []).map { (line.number, $0) } },
                [
                    .label("line", "The line's number.") { "\($0.0)" },
                    .sizeLabel("huge_page_bytes", "Hugepagesize.") { $0.1.hugePageBytes },
                    .count("total_pages", "HugePages_Total.") { $0.1.totalPages },
                    .count("free_pages", "HugePages_Free.") { $0.1.freePages },
                    .count("reserved_pages", "HugePages_Rsvd.") { $0.1.reservedPages },
                    .count("surplus_pages", "HugePages_Surp.") { $0.1.surplusPages },
                    .count("optimized_pages", "Those whose vmemmap is optimized.") { $0.1.optimizedPages },
                ]),
        ]
    }
}
