public import HostMemory

/// Which vmemmap pages of a huge page keep a frame of their own, what the others show, and what a reader must do.
///
/// Everything that differs from scheme to scheme stands in the scheme's file, as its `SchemeRules`.
public enum Scheme: String, Hashable, Sendable, Codable, CaseIterable {
    /// The v5 series (2020) and Linux 5.14 to 5.17: page 0 and page 1 stay, every other tail page shows page 1.
    case firstTail = "first-tail"
    /// Linux 5.18 to 7.0: page 0 stays, every other page shows it. Readers must see through fake heads.
    case head
    /// Linux 7.1: page 0 stays, the tails of all huge pages of a zone and an order show the same few pages.
    case sharedTail = "shared-tail"
    /// Device DAX: page 0 and page 1 stay, the others show page 1 and stay writable. Built so, never restored.
    case deviceDax = "device-dax"

    /// Those of HugeTLB: in the order in which Linux had them.
    package static let ofHugeTLB: [Scheme] = allCases.filter(\.isRemapped)

    var rules: any SchemeRules {
        switch self {
        case .firstTail: FirstTailScheme()
        case .head: HeadScheme()
        case .sharedTail: SharedTailScheme()
        case .deviceDax: DeviceDaxScheme()
        }
    }

    /// Whether huge pages are optimized and restored as they come and go. Others are built optimized, and stay so.
    public var isRemapped: Bool { rules.isRemapped }

    /// The first Linux that shares vmemmap so.
    package var firstLinux: (major: Int, minor: Int) { rules.firstLinux }

    /// Whose it is, in a few words.
    package var origin: String { rules.origin }

    /// How a region is built if it need not be optimized from the start.
    package var construction: Construction { isRemapped ? .populated : .optimized }

    /// Whether more than one frame can serve the tails of a huge page.
    package var takesTailFrames: Bool { rules.mostTailFrames(tails: .max) > 1 }

    /// Whether the tails show frames that all huge pages of a zone share: more of them cost nothing a huge page.
    package var usesTemplates: Bool { rules.usesTemplates }

    /// Vmemmap pages of each huge page that keep a frame of their own, with one tail frame. `RESERVE_VMEMMAP_NR` in v5
    /// patch 4, `HUGETLB_VMEMMAP_RESERVE_PAGES` today.
    public var keptPages: PageCount { PageCount(max(1, rules.ownPages(tailFrames: 1).upperBound.rawValue)) }

    /// Frames given back for each huge page with one tail frame: 6 or 4094, 7 or 4095. 0 where there is nothing to give
    /// (`nr_free_vmemmap_pages`, v5 patch 4), or where struct pages straddle vmemmap pages (patch 21).
    public func freedPages(_ geometry: Geometry) -> PageCount {
        geometry.hasPowerOfTwoStructPage ? max(.zero, geometry.vmemmapPagesPerHugePage - keptPages) : .zero
    }

    /// How struct pages lead to their heads. Where they straddle vmemmap pages there are no fake heads and no masks
    /// (`compound_info_has_mask()` in Linux 7.1).
    package func encoding(_ geometry: Geometry) -> CompoundHead.Encoding {
        geometry.hasPowerOfTwoStructPage ? rules.encoding : .pointer
    }
}
