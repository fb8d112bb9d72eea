public import HostMemory
public import VmemmapEmulator

/// Where a held vmemmap is.
public struct HoldResult: Hashable, Sendable, Codable {
    /// The process that holds it.
    public let pid: Int32
    /// The region's first address, hexadecimal with 0x.
    public let regionStart: String
    /// The region's length.
    public let regionLengthBytes: ByteCount
    /// Huge pages.
    public let pages: HugePageCount
    /// The size of each.
    public let hugePageBytes: ByteCount
    /// How their vmemmap is shared.
    public let scheme: Scheme
}
