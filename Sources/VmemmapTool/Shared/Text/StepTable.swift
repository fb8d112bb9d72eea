import HostMemory

extension ExportColumn {
    /// The memory figures of a step, in columns of their own.
    ///
    /// - Parameter keys: those that a terminal shows; nil: all that it has room for.
    static func figures(shown keys: Set<String>? = nil, _ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        let columns: [(column: Self, short: String?)] = [
            (
                .bytes("rss", "Rss of smaps_rollup: page table entries of the process, not frames.") {
                    figures($0).rssBytes.value
                }.ofProcess(), "RSS\nKiB"
            ), (.bytes("pss", "Pss of smaps_rollup.") { figures($0).pssBytes.value }.ofProcess(), "PSS\nKiB"),
            (
                .count("distinct_frames", "Different frames behind the region (pagemap).") {
                    figures($0).distinctFrames.value?.rawValue
                }, "distinct\nframes"
            ),
            (
                .count("swapped_pages", "Those of them that are swapped out (pagemap).") {
                    figures($0).swappedPages.value?.rawValue
                }, nil
            ),
            (
                .count("region_present_pages", "Page table entries present in the region (pagemap).") {
                    figures($0).regionPresentPages.value?.rawValue
                }, nil
            ),
            (
                .bytes("memfd", "What the memory file occupies (st_blocks).") { figures($0).memfdBytes.value },
                "memfd\nKiB"
            ),
            (.bytes("page_table", "VmPTE of the process.") { figures($0).pageTableBytes }.ofProcess(), "tables\nKiB"),
            (
                .count("mappings", "Mappings of the process (lines of maps).") { figures($0).mappings.rawValue }
                    .ofProcess(), "mappings"
            ),
            (.count("region_mappings", "Mappings of the region.") { figures($0).regionMappings.value?.rawValue }, nil),
            (
                .bytes("mapping_cost", "What the mappings of the process cost the kernel.") {
                    figures($0).mappingCostBytes
                }.ofProcess(), "cost\nKiB"
            ),
            (
                .bytes("pmd_mapped", "What PMDs map of the region (PAGEMAP_SCAN).") {
                    figures($0).pmdMappedBytes.value
                },
                nil
            ),
            (
                .count("split_blocks", "2 MiB blocks that optimizing has split and no restore has merged.") {
                    figures($0).splitBlocks.value
                }, nil
            ),
        ]
        return columns.map { column, short in
            let isShown = keys.map { $0.contains(column.heading.key) } ?? true
            return short.flatMap { isShown ? column.shown($0) : nil } ?? column
        }
    }
}
