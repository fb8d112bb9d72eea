import HostMemory
import VmemmapEmulator

/// What an outsider found in a process that holds a vmemmap.
struct InspectResult: Hashable, Sendable, Codable {
    /// What the vmemmap of huge pages looks like from outside.
    struct Pages: Hashable, Sendable, Codable {
        /// Huge pages whose vmemmap pages share as the scheme has them.
        let optimized: HugePageCount
        /// Huge pages whose vmemmap pages all have frames of their own.
        let unoptimized: HugePageCount
        /// Huge pages that are neither.
        let neither: HugePageCount
    }

    /// The figures, each from the source its comment names.
    struct Figures: Hashable, Sendable, Codable {
        /// Different frames behind the region, swapped-out pages included: /proc/PID/pagemap with maps.
        let distinctFrames: PageCount
        /// Those of them that are swapped out: pagemap.
        let swappedPages: PageCount
        /// Page table entries of the region that are present: pagemap.
        let presentPages: PageCount
        /// Rss of the region's mappings: /proc/PID/smaps, summed.
        let smapsRssBytes: ByteCount
        /// Pss of the region's mappings: /proc/PID/smaps, summed, and so rounded down in every mapping.
        let smapsPssBytes: ByteCount
        /// The region's proportional share: its present pages, each divided by its frame's mappings in
        /// /proc/kpagecount. Null without root, and where the kernel knows nothing of a frame (``KernelPages``).
        let regionPssBytes: Measured<ByteCount>
        /// Rss of the process: smaps_rollup. Null before Linux 4.14.
        let processRssBytes: Measured<ByteCount>
        /// Pss of the process: smaps_rollup. Null before Linux 4.14.
        let processPssBytes: Measured<ByteCount>
        /// Mappings of the region: /proc/PID/maps.
        let regionMappings: MappingCount
        /// What the memory file occupies: st_blocks, by way of /proc/PID/fd. Null where the file was not found there.
        let memfdBytes: Measured<ByteCount>
    }

    /// What was asked for: the temporary hold, or what was said of another process's region. Null is what the region's
    /// label was to say.
    struct Configuration: Hashable, Sendable, Codable {
        /// Huge pages of the temporary hold; null with --pid.
        var pages = Measured<HugePageCount>.notMeasured
        /// The base page.
        var basePageBytes = Measured<ByteCount>.notMeasured
        /// The size of huge page.
        var hugePageBytes = Measured<ByteCount>.notMeasured
        /// How vmemmap is shared.
        var scheme = Measured<Scheme>.notMeasured
        /// What the region consists of.
        var backing = Measured<Backing>.notMeasured
        /// How many frames in a row serve the tails: a number, or `auto`.
        var tailFrames = Measured<String>.notMeasured
        /// Whether the temporary hold restores the huge pages again.
        var isRestored = false
        /// Into how many emulated nodes it is divided: a number, or `auto`; null: into none.
        var nodes = Measured<String>.notMeasured
    }

    /// Where it was looked at.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// The process.
    let pid: Int32
    /// The region's first address, hexadecimal with 0x.
    let regionStart: String
    /// The region's length.
    let regionLengthBytes: ByteCount
    /// What the region is by its label, or by what was said of it.
    let plan: PlanBlock
    /// How frames were told apart.
    let countingMethod: FrameCount.Method
    /// A huge page in the middle.
    let picture: FramePicture
    /// What became of the huge pages.
    let pages: Pages
    /// The figures.
    let figures: Figures
    /// The figures beside what the scheme says.
    let checks: [Check]
    /// The first vmemmap page that is not mapped as the scheme has it, in words. Null: there is none.
    let firstDifference: Measured<String>
}

extension InspectResult: ExportableResult {
    static var command: String { "inspect" }

    var tables: [ExportTable] {
        [ExportTable("region", "The region's figures.", [self], ExportColumn.region(\.self))]
    }
}

extension ExportColumn {
    /// The figures of a region that was looked at.
    static func region(_ region: @escaping (Item) -> InspectResult) -> [Self] {
        [
            .text("region_start", "The region's first address.") { region($0).regionStart }.shown("region"),
            .bytes("region_length", "The region.") { region($0).regionLengthBytes },
            .count("pages_optimized", "Huge pages as the scheme has them.") { region($0).pages.optimized.rawValue },
            .count("pages_unoptimized", "Huge pages with frames of their own.") {
                region($0).pages.unoptimized.rawValue
            },
            .count("pages_neither", "Huge pages that are neither.") { region($0).pages.neither.rawValue },
            .count("distinct_frames", "Different frames (pagemap).") { region($0).figures.distinctFrames.rawValue }
                .shown("distinct\nframes"),
            .count("swapped_pages", "Those of them that are swapped out (pagemap).") {
                region($0).figures.swappedPages.rawValue
            },
            .count("present_pages", "Page table entries present (pagemap).") {
                region($0).figures.presentPages.rawValue
            }.shown("present\npages"),
            .bytes("smaps_rss", "Rss of smaps, summed.") { region($0).figures.smapsRssBytes }.shown("smaps\nRSS"),
            .bytes("smaps_pss", "Pss of smaps, summed: rounded down in every mapping.") {
                region($0).figures.smapsPssBytes
            }.shown("smaps\nPSS"),
            .bytes("region_pss", "Present pages, each divided by its frame's mappings (kpagecount).") {
                region($0).figures.regionPssBytes.value
            }.shown("PSS"),
            .bytes("process_rss", "Rss of the process (smaps_rollup).") { region($0).figures.processRssBytes.value }
                .shown("process\nRSS").varying(),
            .bytes("process_pss", "Pss of the process (smaps_rollup).") { region($0).figures.processPssBytes.value }
                .shown("process\nPSS").varying(),
            .count("region_mappings", "Mappings of the region (maps).") { region($0).figures.regionMappings.rawValue }
                .shown("mappings"),
            .bytes("memfd", "What the memory file occupies (st_blocks).") { region($0).figures.memfdBytes.value }
                .shown("memfd"),
        ]
    }
}
