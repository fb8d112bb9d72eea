import HostMemory
import VmemmapEmulator

/// Where a held vmemmap is.
struct HoldResult: Hashable, Sendable, Codable {
    /// The process that holds it.
    let pid: Int32
    /// The region's first address, hexadecimal with 0x.
    let regionStart: String
    /// The region's length.
    let regionLengthBytes: ByteCount
    /// Huge pages.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// How their vmemmap is shared.
    let scheme: Scheme
}
