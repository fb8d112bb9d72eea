import HostMemory

/// Device DAX (since Linux 5.19, `vmemmap_populate_compound_pages()`): page 0 and page 1 stay, every other tail page
/// shows page 1, as in the v5 series, but for two things. It is built so, when the device's memory is added: nothing is
/// ever remapped, neither there nor back. And tails stay writable: a store through one shows in all.
struct DeviceDaxScheme: SchemeRules {
    let firstLinux = (major: 5, minor: 19)
    let origin = "devices' memory"
    let encoding = CompoundHead.Encoding.pointer
    let tailSource = TailSource.ownTails
    let isRemapped = false

    /// A frame for every tail would free nothing.
    func mostTailFrames(tails: Int) -> Int { tails - 1 }

    func ownPages(tailFrames: Int) -> Range<VmemmapPageIndex> { VmemmapPageIndex(1)..<VmemmapPageIndex(1 + tailFrames) }

    func replacements(pages: Int, tailFrames: Int, _ backing: Backing) -> [MappingPlan.Replacement] {
        let first = backing == .anonymous ? [MappingPlan.Replacement(1, tailFrames, .own(0), .readWrite)] : []
        return first + repeated(.own(0), from: 1 + tailFrames, to: pages, tailFrames: tailFrames, .readWrite)
    }
}

/// Whether the vmemmap of a device's memory can be shared (`vmemmap_can_optimize()`).
package enum DeviceVmemmap {
    /// Why it cannot; nil: it can.
    ///
    /// - Parameters:
    ///   - geometry: the compound pages of the device.
    ///   - isAltmap: whether the struct pages lie in the device's own memory (`struct vmem_altmap`).
    package static func refusal(_ geometry: Geometry, isAltmap: Bool) -> String? {
        if isAltmap {
            return "with an altmap the struct pages lie in the device's own memory, and nothing is shared "
                + "(vmemmap_can_optimize())"
        }
        if !geometry.hasPowerOfTwoStructPage { return "struct pages straddle vmemmap pages" }
        let (pages, kept) = (geometry.vmemmapPagesPerHugePage.rawValue, Scheme.deviceDax.keptPages.rawValue)
        return pages > kept ? nil : "a compound page has \(pages) vmemmap pages, of which \(kept) stay"
    }
}
