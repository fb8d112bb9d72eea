import HostMemory
import VmemmapEmulator

/// A mapping plan's figures, as exported.
struct PlanBlock: Hashable, Sendable, Codable {
    /// Huge pages.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// The emulated base page. Where the host's page is smaller, a vmemmap page is several of its frames.
    let basePageBytes: ByteCount
    /// How their vmemmap is shared.
    let scheme: Scheme
    /// What the region consists of.
    let backing: Backing
    /// How the region is mapped as it is built.
    let mapping: RegionMapping
    /// How many frames in a row serve the tails.
    let tailFrames: PageCount
    /// Vmemmap pages of each.
    let vmemmapPagesPerHugePage: PageCount
    /// Those of them whose frame is given back.
    let freedPagesPerHugePage: PageCount
    /// The region.
    let regionBytes: ByteCount
    /// The host's frames behind the region, populated.
    let framesPopulated: PageCount
    /// The host's frames behind the region, optimized.
    let framesOptimized: PageCount
    /// Mappings of the region, optimized.
    let mappingsOptimized: MappingCount
    /// What the frames given back amount to.
    let grossSavingBytes: ByteCount
    /// What the mappings for it cost the kernel.
    let overheadBytes: ByteCount
    /// What is left.
    let netSavingBytes: ByteCount

    /// The figures of a plan on a host where a mapping costs `cost`.
    init(_ plan: MappingPlan, cost: MappingCost) {
        pages = plan.hugePages
        hugePageBytes = plan.geometry.hugePageSize.bytes
        basePageBytes = plan.geometry.basePageSize
        scheme = plan.scheme
        backing = plan.backing
        mapping = plan.mapping
        tailFrames = plan.tailFrames
        vmemmapPagesPerHugePage = plan.geometry.vmemmapPagesPerHugePage
        freedPagesPerHugePage = PageCount(plan.freedPages.count)
        regionBytes = plan.geometry.vmemmapBytesPerHugePage * plan.hugePages.rawValue
        framesPopulated = plan.hostFrames(plan.framesPopulated)
        framesOptimized = plan.hostFrames(plan.framesOptimized)
        mappingsOptimized = plan.regionMappings(.optimized)
        grossSavingBytes = plan.grossSaving
        overheadBytes = plan.overhead(cost)
        netSavingBytes = plan.netSaving(cost)
    }
}

extension PlanBlock {
    /// Plans, a row each.
    static func table(_ plans: [PlanBlock]) -> ExportTable {
        ExportTable(
            "plan", "What was planned.", plans,
            [
                .label("scheme", "How the vmemmap is shared.") { $0.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.backing.rawValue },
                .sizeLabel("huge_page_bytes", "The huge page.") { $0.hugePageBytes },
                .bytes("base_page", "The emulated base page.") { $0.basePageBytes },
                .count("pages", "Huge pages.") { $0.pages.rawValue },
                .count("tail_frames", "Frames in a row that serve the tails.") { $0.tailFrames.rawValue },
                .count("frames_populated", "The host's frames behind it, populated.") { $0.framesPopulated.rawValue },
                .count("frames_optimized", "The host's frames behind it, optimized.") { $0.framesOptimized.rawValue },
                .count("mappings_optimized", "Mappings of the region, optimized.") { $0.mappingsOptimized.rawValue },
                .bytes("gross_saving", "What the frames given back amount to.") { $0.grossSavingBytes },
                .bytes("overhead", "What the mappings for it cost the kernel.") { $0.overheadBytes },
                .bytes("net_saving", "What is left.") { $0.netSavingBytes },
            ])
    }
}

extension TailFrames {
    /// The longest run of a scheme, in frames, for huge pages of a size; nil where this host has none of them.
    static func longest(
        _ scheme: Scheme, _ size: HugePageSize, basePageSize: ByteCount = HostLimits.pageSize,
        structPageSize: ByteCount = StructPage.size
    ) -> PageCount? {
        Geometry(basePageSize: basePageSize, hugePageSize: size, structPageSize: structPageSize).flatMap {
            geometry in
            try? MappingPlan(
                geometry: geometry, scheme: scheme, hugePages: HugePageCount(1), tailFrames: .frames(PageCount(.max))
            ).tailFrames
        }
    }
}
