public import HostMemory

/// Which vmemmap pages of a huge page keep a frame of their own, what the others show, and what a reader must do.
public enum Scheme: String, Hashable, Sendable, Codable, CaseIterable {
    /// The v5 series (2020): page 0 and page 1 stay, every other tail page shows page 1, read-only. Nothing changes for
    /// readers, since page 1 holds tails and nothing else.
    case firstTail = "first-tail"
    /// Linux 5.18 to 7.0: page 0 stays, every other page shows it, read-only. Readers must see through the fake heads
    /// that come of it (``CompoundHead/throughFakeHead(_:at:pageSize:next:)``).
    case head
    /// Linux 7.1: page 0 stays private, the tails of all huge pages of a zone and an order show the same few pages.
    /// Works because a tail holds a mask and not an address (``CompoundHead/masked(_:at:)``).
    case sharedTail = "shared-tail"

    /// Vmemmap pages of each huge page that keep a frame of their own, with a tail run of 1. `RESERVE_VMEMMAP_NR` in v5
    /// patch 4, `HUGETLB_VMEMMAP_RESERVE_PAGES` today.
    public var keptPages: PageCount { writablePages }

    /// Vmemmap pages of an optimized huge page, from the first on, that may still be written.
    public var writablePages: PageCount {
        switch self {
        case .firstTail: PageCount(2)
        case .head, .sharedTail: PageCount(1)
        }
    }

    /// Frames given back for each huge page with a tail run of 1: 6 or 4094, 7 or 4095. 0 where there is nothing to give
    /// (`nr_free_vmemmap_pages`, v5 patch 4), or where struct pages straddle vmemmap pages (patch 21).
    public func freedPages(_ geometry: Geometry) -> PageCount {
        geometry.hasPowerOfTwoStructPage ? max(.zero, geometry.vmemmapPagesPerHugePage - keptPages) : .zero
    }

    /// How struct pages lead to their heads. Where they straddle vmemmap pages there are no fake heads and no masks
    /// (`compound_info_has_mask()` in Linux 7.1).
    public func encoding(_ geometry: Geometry) -> CompoundHead.Encoding {
        guard geometry.hasPowerOfTwoStructPage else { return .pointer }
        return switch self {
        case .firstTail: .pointer
        case .head: .pointerBesideFakeHeads
        case .sharedTail: .mask
        }
    }
}

/// What the region consists of.
public enum Backing: String, Hashable, Sendable, Codable, CaseIterable {
    /// Private anonymous memory. Shared frames lie in a memory file of their own; a copy is mapped over what it replaces.
    case anonymous
    /// One memory file, mapped from end to end. Tails are mapped to the offset of a page that stays, and the frames
    /// under them are punched out of the file; restored, the mappings merge back into one.
    case memfd
}
