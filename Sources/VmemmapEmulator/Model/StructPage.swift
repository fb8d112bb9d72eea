internal import CSystemShims
public import HostMemory

/// Where things stand in a struct page, and what `prep_compound_page()` leaves there.
public enum StructPage {
    /// Offset of `flags`.
    public static let flagsOffset = ByteCount(0)
    /// Offset of `compound_head`.
    public static let compoundHeadOffset = ByteCount(8)
    /// Offset of `compound_dtor`, the lowest byte of its word (little-endian).
    static let destructorOffset = ByteCount(16)
    /// Offset of `mapping`.
    public static let mappingOffset = ByteCount(24)
    /// Offset of `private`.
    public static let privateOffset = ByteCount(40)
    /// Offset of `_refcount`.
    public static let refcountOffset = ByteCount(52)

    /// PG_head in `flags`.
    public static let headFlag = UInt64(1) << UInt64(VME_PG_HEAD)
    /// The struct pages of a huge page that carry something of their own (v5 patch 19, `NR_USED_SUBPAGE`).
    public static let usedSubpages = Int(VME_NR_USED_SUBPAGE.rawValue)

    /// One vmemmap page of a huge page as the kernel's prep of a compound page leaves it
    /// (`prep_compound_page()`, `prep_compound_gigantic_page()`, Linux 5.10).
    ///
    /// Head: PG_head, one reference. First tail: destructor, order, count of base pages, no mapping of the compound.
    /// Every tail: no reference, TAIL_MAPPING, and the word that leads to the head in the scheme's encoding. All: the
    /// zone. All vmemmap pages but the first hold the same bytes.
    static func prepared(
        _ page: VmemmapPageIndex, of hugePage: HugePageIndex, _ plan: MappingPlan, in layout: VmemmapLayout
    ) -> [vme_page] {
        let geometry = layout.geometry
        let zone = zoneFlags(plan.zone(of: hugePage))
        var tail = vme_page()
        tail.flags = zone
        tail.compound_head = CompoundHead.tailWord(
            plan.scheme, head: layout.vmemmap(of: hugePage).start, order: geometry.order)
        tail.mapping = VME_TAIL_MAPPING
        tail.mapcount = -1
        // Where the struct pages do not fill a vmemmap page, these are all of them.
        let count = min(geometry.structPagesPerVmemmapPage, geometry.basePagesPerHugePage)
        var structPages = Array(repeating: tail, count: count)
        if page.rawValue == 0 {
            var head = vme_page()
            head.flags = zone | headFlag
            head.mapcount = -1
            head.refcount = 1
            structPages[0] = head
            structPages[1].compound_dtor = UInt8(VME_HUGETLB_PAGE_DTOR)
            structPages[1].compound_order = UInt8(geometry.order)
            structPages[1].compound_mapcount = -1
            // compound_nr lies over the low half of mapping.
            structPages[1].mapping = VME_TAIL_MAPPING & ~UInt64(UInt32.max) | UInt64(geometry.basePagesPerHugePage)
        }
        return structPages
    }

    /// A base page that belongs to no compound page, in use by nobody.
    static func plain(zone: Int) -> vme_page {
        var page = vme_page()
        page.flags = zoneFlags(zone)
        page.mapcount = -1
        return page
    }

    /// The zone's number in the top bits of flags: ZONE_NORMAL for the first zone, ZONE_MOVABLE for the second.
    private static func zoneFlags(_ zone: Int) -> UInt64 { UInt64(2 + zone) << UInt64(VME_ZONES_SHIFT) }
}
