import HostMemory
import Testing

@testable import VmemmapTool

@Suite("The memory figures in columns")
struct StepTableTests {
    private typealias Column = ExportColumn<MemoryFigures>

    @Test("Every figure stands in its own column, in its own unit")
    func columns() {
        let figures = MemoryFigures(
            rssBytes: .value(ByteCount(1)), pssBytes: .value(ByteCount(2)), distinctFrames: .value(PageCount(3)),
            swappedPages: .value(PageCount(4)), regionPresentPages: .value(PageCount(5)),
            memfdBytes: .value(ByteCount(6)), pageTableBytes: ByteCount(7), mappings: MappingCount(8),
            regionMappings: .value(MappingCount(9)), mappingCostBytes: ByteCount(10),
            pmdMappedBytes: .value(ByteCount(11)), pagesInHugeFolios: .value(PageCount(12)), splitBlocks: .value(13),
            hugePageEvents: .notMeasured,
            hugePageEventGrowth: Measured(
                HugePageEvents(
                    """
                    thp_fault_alloc 14
                    thp_split_pmd 15
                    thp_split_page 16
                    thp_split_page_failed 17
                    thp_deferred_split_page 18
                    thp_collapse_alloc 19
                    thp_collapse_alloc_failed 20
                    """)))
        let table = ExportTable("step", "A step.", [figures], Column.figures(\.self))
        #expect(
            zip(table.headings, table.rows[0]).map { "\($0.name) \($1.plain ?? "-")" } == [
                "rss_bytes 1", "pss_bytes 2", "distinct_frames 3", "swapped_pages 4", "region_present_pages 5",
                "memfd_bytes 6", "page_table_bytes 7", "mappings 8", "region_mappings 9", "mapping_cost_bytes 10",
                "pmd_mapped_bytes 11", "pages_in_huge_folios 12", "split_blocks 13",
                "thp_fault_alloc 14", "thp_split_pmd 15", "thp_split_page 16", "thp_split_page_failed 17",
                "thp_deferred_split_page 18", "thp_collapse_alloc 19", "thp_collapse_alloc_failed 20",
            ])
    }

    @Test("What was not measured is missing, and no 0")
    func missing() {
        let figures = MemoryFigures(
            rssBytes: .notMeasured, pssBytes: .notMeasured, distinctFrames: .notMeasured, swappedPages: .notMeasured,
            regionPresentPages: .notMeasured, memfdBytes: .notMeasured, pageTableBytes: .zero, mappings: .zero,
            regionMappings: .notMeasured, mappingCostBytes: .zero, pmdMappedBytes: .notMeasured,
            pagesInHugeFolios: .notMeasured, splitBlocks: .notMeasured, hugePageEvents: .notMeasured,
            hugePageEventGrowth: .notMeasured)
        let table = ExportTable("step", "A step.", [figures], Column.figures(\.self))
        let measured = zip(table.headings, table.rows[0]).filter { $0.1 != .missing }.map(\.0.name)
        #expect(measured == ["page_table_bytes", "mappings", "mapping_cost_bytes"])
    }
}
