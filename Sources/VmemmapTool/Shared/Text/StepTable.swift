import HostMemory

extension ExportColumn {
    /// The memory figures of a step, in columns of their own.
    static func figures(_ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        [
            .bytes("rss", "Rss of smaps_rollup: page table entries of the process, not frames.") {
                figures($0).rssBytes.value
            },
            .bytes("pss", "Pss of smaps_rollup.") { figures($0).pssBytes.value },
            .count("distinct_frames", "Different frames behind the region (pagemap).") {
                figures($0).distinctFrames.value?.rawValue
            },
            .count("swapped_pages", "Those of them that are swapped out (pagemap).") {
                figures($0).swappedPages.value?.rawValue
            },
            .count("present_pages", "Page table entries present in the region (pagemap).") {
                figures($0).regionPresentPages.value?.rawValue
            },
            .bytes("memfd", "What the memory file occupies (st_blocks).") { figures($0).memfdBytes.value },
            .bytes("page_tables", "VmPTE of the process.") { figures($0).pageTableBytes },
            .count("mappings", "Mappings of the process (lines of maps).") { figures($0).mappings.rawValue },
            .count("region_mappings", "Mappings of the region.") { figures($0).regionMappings.value?.rawValue },
            .bytes("mapping_cost", "What the mappings of the process cost the kernel.") {
                figures($0).mappingCostBytes
            },
            .bytes("pmd_mapped", "What PMDs map of the region (PAGEMAP_SCAN).") { figures($0).pmdMappedBytes.value },
            .count("split_blocks", "2 MiB blocks that optimizing has split and no restore has merged.") {
                figures($0).splitBlocks.value
            },
        ]
    }
}
