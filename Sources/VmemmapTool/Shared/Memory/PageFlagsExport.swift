import HostMemory
import VmemmapEmulator

/// Where the flags of emulated frames go, one word a frame in order of frame number, a huge page at a time.
typealias PageFlagsSink = (_ words: [UInt64]) throws -> Void

/// How many frames' flags were written, and how many of them break the kernel's own rule for huge pages.
struct PageFlagsTally: Hashable, Sendable, Codable {
    /// Frames.
    private(set) var frames = 0
    /// Those of them whose flags ``HugePageFlagsRule`` objects to.
    private(set) var violations = 0

    /// Writes the flags of all frames of a region, as /proc/kpageflags has them and `page-types -F` reads them.
    static func write(_ region: VmemmapRegion, to sink: PageFlagsSink) throws -> PageFlagsTally {
        var tally = PageFlagsTally()
        for page in region.layout.allHugePages {
            let flags = region.kernelPageFlags(ofHugePage: page)
            tally.frames += flags.count
            tally.violations += HugePageFlagsRule.violations(flags).count
            try sink(flags)
        }
        return tally
    }
}
