import HostMemory
import VmemmapEmulator

/// The emulated huge pages that were asked for, as exported.
struct MemoryBlock: Hashable, Sendable, Codable {
    /// Huge pages.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// The base page.
    let basePageBytes: ByteCount
    /// How their vmemmap is shared.
    let scheme: Scheme
    /// What the region consists of.
    let backing: Backing
    /// How the region is mapped as it is built.
    let mapping: RegionMapping
    /// How the region is built.
    let construction: Construction
    /// How many frames in a row serve the tails: a number, or `auto`. What came of it is in the plan.
    let tailFrames: String

    init(_ memory: EmulatedMemory) {
        pages = memory.pages
        hugePageBytes = memory.pageSize.bytes
        basePageBytes = memory.basePageSize
        scheme = memory.scheme
        backing = memory.backing
        mapping = memory.mapping
        construction = memory.construction
        tailFrames = "\(memory.tailFrames)"
    }
}
