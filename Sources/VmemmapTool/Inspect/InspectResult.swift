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
        /// The region's proportional share: its present pages, each divided by its frame's mappings in /proc/kpagecount. Null
        /// without root, and where the kernel knows nothing of a frame (``KernelPages``).
        let pssBytes: Measured<ByteCount>
        /// Rss of the process: smaps_rollup. Null before Linux 4.14.
        let processRssBytes: Measured<ByteCount>
        /// Pss of the process: smaps_rollup. Null before Linux 4.14.
        let processPssBytes: Measured<ByteCount>
        /// Mappings of the region: /proc/PID/maps.
        let regionMappings: MappingCount
        /// What the memory file occupies: st_blocks, by way of /proc/PID/fd. Null where the file was not found there.
        let memfdBytes: Measured<ByteCount>
    }

    /// A figure beside what the scheme says it is.
    struct Check: Hashable, Sendable, Codable {
        /// What is compared.
        enum Subject: String, Hashable, Sendable, Codable {
            /// Huge pages that share neither as the scheme has it nor not at all.
            case hugePagesOutOfScheme = "huge_pages_out_of_scheme"
            /// Vmemmap pages whose mapping (private or shared, protection, file and offset) is not what their huge page's state makes
            /// it, or that are not mapped.
            case pagesMappedOtherwise = "pages_mapped_otherwise"
            /// The inaccessible pages on both sides of the region.
            case guardPages = "guard_pages"
            /// Vmemmap pages that show the kernel's page of zeroes (PAGEMAP_SCAN): given back, and read again. Not known before Linux 6.7.
            case zeroPages = "zero_pages"
            /// Different frames.
            case distinctFrames = "distinct_frames"
            /// Mappings of the region.
            case regionMappings = "region_mappings"
            /// Bytes of the memory file.
            case memfdBytes = "memfd_bytes"
        }

        /// What is compared.
        let subject: Subject
        /// What the scheme says. Null where huge pages are out of scheme, of which it says nothing.
        let expected: Measured<Int>
        /// Whether the expected figure is the most there may be.
        let isUpperBound: Bool
        /// What was found. Null where it could not be.
        let measured: Measured<Int>

        /// Whether the two agree; nil where one of them is not known.
        var holds: Bool? {
            guard let expected = expected.value, let measured = measured.value else { return nil }
            return isUpperBound ? measured <= expected : measured == expected
        }
    }

    /// Where it was looked at.
    let host: HostBlock
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

    /// Whether none of them disagrees. What could not be measured is no disagreement (``isComplete``).
    var holds: Bool { checks.allSatisfy { $0.holds != false } }

    /// Whether all of them could be made.
    var isComplete: Bool { checks.allSatisfy { $0.holds != nil } }
}
