import HostMemory

/// What the engine's operations take beside dma-bufs that name one page of a memory file many times (/dev/udmabuf).
struct UdmabufResult: Hashable, Sendable, Codable {
    /// Optimizing every huge page. The other: read-only vmemmap pages in a row are one mapping of a dma-buf.
    let optimize: PairedRuns
    /// The first read of every vmemmap page after that: what the kernel puts off until then.
    let firstTouch: PairedRuns
    /// Restoring every huge page. The other: as the C baseline does it.
    let restore: PairedRuns
    /// Mappings of the optimized region, the engine's.
    let engineMappings: MappingCount
    /// The other's.
    let udmabufMappings: MappingCount
}
