import HostMemory
import VmemmapEmulator

extension InspectResult: ExportableResult {
    /// The subcommand.
    static var command: String { "inspect" }
    /// Whether what was found is what the scheme says.
    var verdict: Bool? { holds }

    /// Its tables.
    var tables: [ExportTable] {
        [
            ExportTable(
                "check", "A figure found from outside, beside what the scheme says.", checks,
                [
                    .label("figure", "What was counted.") { $0.subject.rawValue },
                    .count("expected", "What the scheme says; nothing: it says none of huge pages out of it.") {
                        $0.expected.value
                    },
                    .count("measured", "What was found.") { $0.measured.value },
                    .truth("upper_bound", "Whether the expected figure is the most there may be.") { $0.isUpperBound },
                    .truth("holds", "Whether they agree; nothing: not measured.") { $0.holds },
                ]),
            ExportTable(
                "region", "The region's figures.", [self],
                [
                    .bytes("region", "The region.") { $0.regionLengthBytes },
                    .count("huge_pages_optimized", "Huge pages as the scheme has them.") {
                        $0.pages.optimized.rawValue
                    },
                    .count("huge_pages_unoptimized", "Huge pages with frames of their own.") {
                        $0.pages.unoptimized.rawValue
                    },
                    .count("distinct_frames", "Different frames (pagemap).") { $0.figures.distinctFrames.rawValue },
                    .count("swapped_pages", "Those of them that are swapped out (pagemap).") {
                        $0.figures.swappedPages.rawValue
                    },
                    .count("present_pages", "Page table entries present (pagemap).") {
                        $0.figures.presentPages.rawValue
                    },
                    .bytes("smaps_rss", "Rss of smaps, summed.") { $0.figures.smapsRssBytes },
                    .bytes("smaps_pss", "Pss of smaps, summed: rounded down in every mapping.") {
                        $0.figures.smapsPssBytes
                    },
                    .bytes("pss", "Present pages, each divided by its frame's mappings (kpagecount).") {
                        $0.figures.pssBytes.value
                    },
                    .bytes("process_rss", "Rss of the process (smaps_rollup).") { $0.figures.processRssBytes.value },
                    .bytes("process_pss", "Pss of the process (smaps_rollup).") { $0.figures.processPssBytes.value },
                    .count("region_mappings", "Mappings of the region (maps).") {
                        $0.figures.regionMappings.rawValue
                    },
                    .bytes("memfd", "What the memory file occupies (st_blocks).") { $0.figures.memfdBytes.value },
                ]),
        ]
    }
}
