import CSystemShims
package import HostMemory

/// Where things stand in a struct page, and what `prep_compound_page()` leaves there.
package enum StructPage {
    /// sizeof(struct page) as it is mirrored: 64 bytes. What is emulated may be shorter by its last word, `memcg_data`,
    /// or longer by padding (``Geometry/structPageSize``).
    package static let size = ByteCount(Int(VME_STRUCT_PAGE_SIZE))
    /// Offset of `flags`.
    package static let flagsOffset = ByteCount(0)
    /// Offset of `compound_head`.
    package static let compoundHeadOffset = ByteCount(8)
    /// Offset of `compound_dtor`, the lowest byte of its word (little-endian).
    static let destructorOffset = ByteCount(16)
    /// Offset of `mapping`.
    package static let mappingOffset = ByteCount(24)
    /// Offset of `private`.
    package static let privateOffset = ByteCount(40)
    /// Offset of `_refcount`.
    package static let refcountOffset = ByteCount(52)

    /// PG_head in `flags`.
    package static let headFlag = UInt64(1) << UInt64(VME_PG_HEAD)
    /// The struct pages of a huge page that carry something of their own (v5 patch 19, `NR_USED_SUBPAGE`).
    package static let usedSubpages = Int(VME_NR_USED_SUBPAGE.rawValue)

    /// One vmemmap page of a huge page as the kernel's prep of a compound page leaves it
    /// (`prep_compound_page()`, `prep_compound_gigantic_page()`, Linux 5.10).
    ///
    /// Head: PG_head, one reference. First tail: destructor, order, count of base pages, no mapping of the compound.
    /// Every tail: no reference, TAIL_MAPPING, and the word that leads to the head in the scheme's encoding. All: the
    /// zone. All vmemmap pages but the first hold the same bytes, unless struct pages straddle them.
    ///
    /// - Returns: the words of the vmemmap page, or as many of them as the huge page's struct pages reach to.
    static func prepared(
        _ page: VmemmapPageIndex, of hugePage: HugePageIndex, _ plan: MappingPlan, in layout: VmemmapLayout
    ) -> [UInt64] {
        let geometry = layout.geometry
        let zone = zoneFlags(plan.zone(of: hugePage))
        var tail = vme_page()
        tail.flags = zone
        tail.compound_head = CompoundHead.tailWord(
            plan.encoding, head: layout.vmemmap(of: hugePage).start, order: geometry.order,
            structPageSize: geometry.structPageSize)
        tail.mapping = VME_TAIL_MAPPING
        tail.mapcount = -1
        var firstTail = tail
        // What device DAX has is a compound page, and no HugeTLB page.
        firstTail.compound_dtor = UInt8(plan.scheme.isRemapped ? VME_HUGETLB_PAGE_DTOR : VME_COMPOUND_PAGE_DTOR)
        firstTail.compound_order = UInt8(geometry.order)
        firstTail.compound_mapcount = -1
        // compound_nr lies over the low half of mapping.
        firstTail.mapping = VME_TAIL_MAPPING & ~UInt64(UInt32.max) | UInt64(geometry.basePagesPerHugePage)
        var head = vme_page()
        head.flags = zone | headFlag
        head.mapcount = -1
        head.refcount = 1
        return words(of: page, geometry, words(head, geometry) + words(firstTail, geometry) + words(tail, geometry))
    }

    /// The words of a vmemmap page, of the struct pages that lie in it or reach into it.
    ///
    /// - Parameter kinds: the words of the head, of the first tail, and of each other tail.
    private static func words(of page: VmemmapPageIndex, _ geometry: Geometry, _ kinds: [UInt64]) -> [UInt64] {
        let wordsPerPage = geometry.basePageSize.rawValue / wordSize
        let length = geometry.structPageSize.rawValue / wordSize
        let start = page.rawValue * wordsPerPage
        // Where the struct pages do not fill a vmemmap page, these are all of them.
        let end = max(start, min(start + wordsPerPage, geometry.vmemmapBytesPerHugePage.rawValue / wordSize))
        let first = start / length
        var words: [UInt64] = []
        words.reserveCapacity(wordsPerPage + 2 * length)
        for index in first..<((end + length - 1) / length) {
            // Word by word: appending an array of each struct page costs more than all else here.
            for word in min(index, 2) * length..<(min(index, 2) + 1) * length { words.append(kinds[word]) }
        }
        return Array(words[(start - first * length)..<(end - first * length)])
    }

    private static let wordSize = 8

    /// A struct page as a geometry has it: cut or padded to its size.
    private static func words(_ page: vme_page, _ geometry: Geometry) -> [UInt64] {
        // SAFETY: the structure is read as the words that it consists of (struct_page.c holds its layout).
        let words = unsafe withUnsafeBytes(of: page) { unsafe Array($0.bindMemory(to: UInt64.self)) }
        let count = geometry.structPageSize.rawValue / wordSize
        return words.prefix(count) + Array(repeating: 0, count: max(0, count - words.count))
    }

    /// Base pages that belong to no compound page, in use by nobody: so many of them.
    static func plain(_ count: Int, zone: Int, _ geometry: Geometry) -> [UInt64] {
        var page = vme_page()
        page.flags = zoneFlags(zone)
        page.mapcount = -1
        let words = words(page, geometry)
        return (0..<count).flatMap { _ in words }
    }

    /// The zone's number in the top bits of flags: ZONE_NORMAL for the first zone, ZONE_MOVABLE for the second.
    private static func zoneFlags(_ zone: Int) -> UInt64 { UInt64(2 + zone) << UInt64(VME_ZONES_SHIFT) }
}
