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

    /// The schemes of HugeTLB, which optimize and restore huge pages as they come and go. ``deviceDax`` does not.
    public static let allCases: [Scheme] = [.firstTail, .head, .sharedTail]

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

    /// Vmemmap pages of each huge page that keep a frame of their own, with one tail frame. `RESERVE_VMEMMAP_NR` in v5
    /// patch 4, `HUGETLB_VMEMMAP_RESERVE_PAGES` today.
    public var keptPages: PageCount { PageCount(max(1, rules.ownPages(run: 1).upperBound.rawValue)) }

    /// Vmemmap pages of an optimized huge page, from the first on, that may still be written; more than there are where
    /// it is all of them.
    public var writablePages: PageCount { rules.writablePages }

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
