import ArgumentParser
import HostMemory
import SystemPackage
import VmemmapEmulator

/// Where the flags of emulated frames go, one word a frame in order of frame number, a huge page at a time.
typealias PageFlagsSink = (_ words: [UInt64]) throws -> Void

/// The files of /proc that tell of every frame, for the emulated memory: kpageflags, kpagecount and kpagecgroup in a
/// folder that a program takes for /proc, such as what the Rust crate procfs calls a custom root.
struct ProcExport {
    private let files: [ExportFile]

    /// The files in a folder that is there.
    ///
    /// - Throws: a usage error where one of them is there already, or a link of that name: nobody has named it, so that
    ///   it may be somebody else's.
    static func paths(in folder: String) throws(ValidationError) -> [String] {
        if folder.isEmpty { throw ValidationError("--export-proc takes a folder, not an empty name.") }
        let paths = ["kpageflags", "kpagecount", "kpagecgroup"].map { FilePath(folder).appending($0) }
        for path in paths where (try? HostKernel.status(of: path, followingLinks: false)) != nil {
            throw ValidationError("\(path) is there already: give --export-proc a folder without it, or remove it.")
        }
        return paths.map(\.string)
    }

    /// - Parameter files: open for ``paths(in:)``.
    init(_ files: [ExportFile]) { self.files = files }

    /// Writes all three. No memory cgroup is charged for emulated huge pages, as by default for the kernel's: 0.
    func write(_ region: VmemmapRegion) throws -> PageFlagsTally {
        let tally = try PageFlagsTally.write(region, to: files[0].write)
        for page in region.layout.allHugePages {
            let counts = region.kernelPageCounts(ofHugePage: page)
            files[1].write(counts)
            files[2].write(Array(repeating: 0, count: counts.count))
        }
        for file in files { file.finish() }
        return tally
    }
}

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
            // The rule is HugeTLB's.
            if region.plan.scheme.isRemapped { tally.violations += HugePageFlagsRule.violations(flags).count }
            try sink(flags)
        }
        return tally
    }
}
