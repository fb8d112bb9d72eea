import SystemPackage

/// What one mapping costs the kernel: overhead that the saving must be set against.
///
/// A mapping is a vm_area_struct and its place in the maple tree. The object's size is read where the slab tells it
/// (root). The tree's share cannot be read: growth of Slab over many mappings was measured at 229 to 256 bytes a
/// mapping in all, with an object of 192, so 37 to 64 of them are the tree's; the upper end is taken.
package struct MappingCost: Hashable, Sendable {
    /// Bytes of kernel memory a mapping.
    package let bytesPerMapping: ByteCount
    /// Where the figure comes from.
    package let source: Source

    /// Where the figure comes from.
    package enum Source: String, Hashable, Sendable, Codable {
        /// The object's size from /sys/kernel/slab, the tree's share as measured.
        case slab
        /// Nothing could be read.
        case assumed
    }

    /// A cost that is known already.
    package init(bytesPerMapping: ByteCount, source: Source) {
        self.bytesPerMapping = bytesPerMapping
        self.source = source
    }

    /// The cost on this host.
    package static func current() -> MappingCost {
        // An object larger than a page is none of this kind.
        guard let object = try? HostKernel.readNumber("/sys/kernel/slab/vm_area_struct/slab_size"),
            (1...HostLimits.pageSize.rawValue).contains(object)
        else { return assumed }
        return MappingCost(bytesPerMapping: ByteCount(object) + treeShare, source: .slab)
    }

    /// 256 bytes: where nothing can be read.
    package static let assumed = MappingCost(bytesPerMapping: ByteCount(256), source: .assumed)

    /// What `count` mappings cost.
    package func total(_ count: MappingCount) -> ByteCount { bytesPerMapping * count.rawValue }

    private static let treeShare = ByteCount(64)
}
