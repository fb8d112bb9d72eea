import HostMemory

extension ExportColumn {
    /// The memory figures of a step, in columns of their own.
    ///
    /// - Parameter keys: those that a terminal shows; nil: all but what becomes of PMDs, which ``PMDTable`` shows.
    static func figures(shown keys: Set<String>? = nil, _ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        ofProcessAndRegion(figures).map { keys?.contains($0.heading.key) == false ? $0.hidden() : $0 }
            + (ofPMDs(figures) + ofHost(figures)).map { $0.hidden() }
    }

    private static func ofProcessAndRegion(_ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        [
            .bytes("rss", "Rss of smaps_rollup: page table entries of the process, not frames.") {
                figures($0).rssBytes.value
            }.shown("RSS\nKiB").varying(),
            .bytes("pss", "Pss of smaps_rollup.") { figures($0).pssBytes.value }.shown("PSS\nKiB").varying(),
            .count("distinct_frames", "Different frames behind the region (pagemap).") {
                figures($0).distinctFrames.value?.rawValue
            }.shown("distinct\nframes"),
            .count("swapped_pages", "Those of them that are swapped out (pagemap).") {
                figures($0).swappedPages.value?.rawValue
            },
            .count("region_present_pages", "Page table entries present in the region (pagemap).") {
                figures($0).regionPresentPages.value?.rawValue
            },
            .bytes("memfd", "What the memory file occupies (st_blocks).") { figures($0).memfdBytes.value }
                .shown("memfd\nKiB"),
            .bytes("page_table", "VmPTE of the process.") { figures($0).pageTableBytes }.shown("tables\nKiB")
                .varying(),
            .count("mappings", "Mappings of the process (lines of maps).") { figures($0).mappings.rawValue }
                .shown("mappings").varying(),
            .count("region_mappings", "Mappings of the region.") { figures($0).regionMappings.value?.rawValue },
            .bytes("mapping_cost", "What the mappings of the process cost the kernel.") {
                figures($0).mappingCostBytes
            }.shown("cost\nKiB").varying(),
        ]
    }

    /// What became of the PMDs that map a region.
    static func ofPMDs(_ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        [
            .bytes("pmd_mapped", "What PMDs map of the region (PAGEMAP_SCAN).") { figures($0).pmdMappedBytes.value }
                .shown("mapped\nby PMDs"),
            .count("pages_in_huge_folios", "Present pages that are part of a larger folio (KPF_THP).") {
                figures($0).pagesInHugeFolios.value?.rawValue
            }.shown("in huge\nfolios"),
            .count("split_blocks", "2 MiB blocks that optimizing has split and no restore has merged.") {
                figures($0).splitBlocks.value
            }.shown("split\nmarks"),
        ]
    }

    /// What the host did with transparent huge pages, for all processes, since the step before.
    static func ofHost(_ figures: @escaping (Item) -> MemoryFigures) -> [Self] {
        let events: [(String, String, (HugePageEvents) -> Int)] = [
            ("thp_fault_alloc", "faults given a huge page", \.faultAlloc),
            ("thp_split_pmd", "PMDs replaced by a page table", \.splitPmd),
            ("thp_split_page", "huge pages split", \.splitPage),
            ("thp_split_page_failed", "huge pages that could not be split", \.splitPageFailed),
            ("thp_deferred_split_page", "huge pages in part unused, to be split later", \.deferredSplitPage),
            ("thp_collapse_alloc", "huge pages allocated to collapse small ones into", \.collapseAlloc),
            ("thp_collapse_alloc_failed", "collapses that found none", \.collapseAllocFailed),
        ]
        return events.map { key, what, count in
            .count(key, "Since the step before, of all processes (/proc/vmstat): \(what).") {
                figures($0).hugePageEventGrowth.value.map(count)
            }.varying()
        }
    }
}
