package import HostMemory

/// What a region is, written into the name of its memory file: `vmemmap-frames:2M:first-tail:anonymous:pte:1:64`, with
/// `:16K` behind it where the base page is not the host's.
///
/// Whoever looks at the process from outside, /proc/PID/maps or pmap, reads it there. The guard page on each side of
/// the region is an inaccessible mapping of that file, so that the region is found between the two in any state and on
/// any kernel: names of anonymous memory (PR_SET_VMA_ANON_NAME) need CONFIG_ANON_VMA_NAME, which many kernels are built
/// without.
package struct RegionLabel: Hashable, Sendable {
    /// The size of huge page.
    package let pageSize: HugePageSize
    /// How their vmemmap is shared.
    package let scheme: Scheme
    /// What the region consists of.
    package let backing: Backing
    /// How the region is mapped as it is built.
    package let mapping: RegionMapping
    /// How many frames in a row serve the tails.
    package let tailFrames: PageCount
    /// How many huge pages.
    package let hugePages: HugePageCount
    /// The base page.
    package let basePageSize: ByteCount

    /// What the name of every region's memory file starts with.
    package static let fileName = MemoryFile.regionName

    /// The label of a plan's region.
    init(_ plan: MappingPlan) {
        pageSize = plan.geometry.hugePageSize
        scheme = plan.scheme
        backing = plan.backing
        mapping = plan.mapping
        tailFrames = plan.tailFrames
        hugePages = plan.hugePages
        basePageSize = plan.geometry.basePageSize
    }

    /// Reads the label in a mapping's name, `/memfd:vmemmap-frames:... (deleted)`; nil if there is none.
    package init?(mappingName name: String) {
        let fields = name.prefix { $0 != " " }.split(separator: ":", omittingEmptySubsequences: false)
        let base = fields.count == 9 ? ByteCount(text: fields[8]) : HostLimits.pageSize
        guard fields.count == 8 || fields.count == 9, let base, fields[0] == "/memfd", fields[1] == Self.fileName,
            let pageSize = ByteCount(text: fields[2]).flatMap({ HugePageSize(bytes: $0) }),
            let scheme = Scheme(rawValue: String(fields[3])), let backing = Backing(rawValue: String(fields[4])),
            let mapping = RegionMapping(rawValue: String(fields[5])), let tailFrames = Int(fields[6]), tailFrames >= 1,
            let hugePages = Int(fields[7]), hugePages >= 1
        else { return nil }
        self.pageSize = pageSize
        self.scheme = scheme
        self.backing = backing
        self.mapping = mapping
        self.tailFrames = PageCount(tailFrames)
        self.hugePages = HugePageCount(hugePages)
        basePageSize = base
    }

    /// How long the region is; nil where there is no such geometry, or it is longer than an address space.
    package var regionLength: ByteCount? {
        guard let geometry = Geometry(basePageSize: basePageSize, hugePageSize: pageSize),
            hugePages <= geometry.mostPages
        else { return nil }
        return geometry.vmemmapBytesPerHugePage * hugePages.rawValue
    }

    /// The memory file's name.
    var memoryFileName: String {
        [
            Self.fileName, pageSize.bytes.argument, scheme.rawValue, backing.rawValue, mapping.rawValue,
            "\(tailFrames.rawValue)", "\(hugePages.rawValue)",
        ]
        .joined(separator: ":") + (basePageSize == HostLimits.pageSize ? "" : ":" + basePageSize.argument)
    }
}

extension VmemmapRegion {
    /// Puts inaccessible mappings of the memory file in the place of the guard pages, for others to recognise the
    /// region by.
    func markGuardPages() throws(HostError) {
        for page in HostKernel.guardPages(of: range) {
            try HostKernel.mapFile(parts.frames.file.readOnly, at: page, offset: .zero, .none)
        }
    }
}
