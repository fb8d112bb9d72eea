import HostMemory
import VmemmapEmulator

/// A mapping plan's figures, as exported.
struct PlanBlock: Hashable, Sendable, Codable {
    /// Huge pages.
    private(set) var pages: HugePageCount
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
    private(set) var regionBytes: ByteCount
    /// The host's frames behind the region, populated.
    private(set) var framesPopulated: PageCount
    /// The host's frames behind the region, optimized.
    private(set) var framesOptimized: PageCount
    /// Mappings of the region, optimized.
    private(set) var mappingsOptimized: MappingCount
    /// What the frames given back amount to.
    private(set) var grossSavingBytes: ByteCount
    /// What the mappings for it cost the kernel.
    private(set) var overheadBytes: ByteCount
    /// What is left.
    private(set) var netSavingBytes: ByteCount

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

extension PlanBlock: Addable {
    /// The plans of two regions together, which differ in nothing but their size.
    static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.pages += right.pages
        sum.regionBytes += right.regionBytes
        sum.framesPopulated += right.framesPopulated
        sum.framesOptimized += right.framesOptimized
        sum.mappingsOptimized += right.mappingsOptimized
        sum.grossSavingBytes += right.grossSavingBytes
        sum.overheadBytes += right.overheadBytes
        sum.netSavingBytes += right.netSavingBytes
        return sum
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
    /// The most tail frames that any of the schemes has, for huge pages of any of the sizes; nil where this host has
    /// none of those.
    static func most(
        _ schemes: [Scheme], _ sizes: [HugePageSize], basePageSize: ByteCount = HostLimits.pageSize,
        structPageSize: ByteCount = StructPage.size
    ) -> PageCount? {
        let geometries = sizes.compactMap {
            Geometry(basePageSize: basePageSize, hugePageSize: $0, structPageSize: structPageSize)
        }
        return schemes.flatMap { scheme in
            geometries.compactMap { geometry in
                try? MappingPlan(
                    geometry: geometry, scheme: scheme, hugePages: HugePageCount(1),
                    tailFrames: .frames(PageCount(.max))
                ).tailFrames
            }
        }.max()
    }
}
