import CSystemShims
import HostMemory

/// What the first struct pages of a huge page carry of their own (v5 patch 19), by name. They lie in the first vmemmap
/// page, which stays writable in every scheme (v5 patch 20; held at compile time in struct_page.c).
///
/// The fields belong to whoever holds the huge page; two writers at once are not foreseen, readers at any time are.
struct HugePageFields {
    private let head: Address
    private let structPageSize: ByteCount

    /// The fields of a huge page.
    init(of page: HugePageIndex, _ layout: VmemmapLayout) {
        self.init(head: layout.geometry.headFrame(of: page), layout)
    }

    /// The fields of whatever huge page has its head at a frame. A base page in none has flags, and no more.
    init(head frame: PageFrameNumber, _ layout: VmemmapLayout) {
        head = layout.structPage(of: frame)
        structPageSize = layout.geometry.structPageSize
    }

    private func structPage(_ index: vme_subpage) -> Address { head + structPageSize * Int(index.rawValue) }

    private func load(_ address: Address) -> UInt64 {
        // SAFETY: the word lies in the first vmemmap page of the head's huge page, mapped as long as the region, which
        // the caller keeps.
        unsafe MemoryAccess.load(address)
    }

    private func store(_ value: UInt64, at address: Address) {
        // SAFETY: as above; that page is writable in every scheme, but while it is moved, which only the huge page's
        // holder does.
        unsafe MemoryAccess.store(value, at: address)
    }

    // MARK: Flags

    private func flag(_ bit: Int, _ page: vme_subpage) -> Bool {
        load(structPage(page) + StructPage.flagsOffset) >> UInt64(bit) & 1 == 1
    }

    private func setFlag(_ bit: Int, _ page: vme_subpage, _ isSet: Bool) {
        let address = structPage(page) + StructPage.flagsOffset
        let flags = load(address)
        let mask = UInt64(1) << UInt64(bit)
        store(isSet ? flags | mask : flags & ~mask, at: address)
    }

    /// In use and on the active list: PG_private of struct page 1 (`page_huge_active()`).
    var isActive: Bool {
        get { flag(Int(VME_PG_PRIVATE), VME_SUBPAGE_INDEX_ACTIVE) }
        nonmutating set { setFlag(Int(VME_PG_PRIVATE), VME_SUBPAGE_INDEX_ACTIVE, newValue) }
    }

    /// A page of it has a memory error: PG_hwpoison of the head.
    var isPoisoned: Bool {
        get { flag(Int(VME_PG_HWPOISON), VME_SUBPAGE_HEAD) }
        nonmutating set { setFlag(Int(VME_PG_HWPOISON), VME_SUBPAGE_HEAD, newValue) }
    }

    // MARK: Words

    /// Taken for a moment only, and given back to the page allocator when freed: `mapping` of struct page 2 is all ones
    /// (`PageHugeTemporary()`).
    var isTemporary: Bool {
        get {
            load(structPage(VME_SUBPAGE_INDEX_TEMPORARY) + StructPage.mappingOffset) == Self.temporary
        }
        nonmutating set {
            store(
                newValue ? Self.temporary : VME_TAIL_MAPPING,
                at: structPage(VME_SUBPAGE_INDEX_TEMPORARY) + StructPage.mappingOffset)
        }
    }

    private static let temporary = UInt64.max

    /// The cgroup that the page is charged to: `private` of struct page 2 (`hugetlb_cgroup_from_page()`).
    var cgroup: UInt64 {
        get { load(structPage(VME_SUBPAGE_INDEX_TEMPORARY) + StructPage.privateOffset) }
        nonmutating set {
            store(newValue, at: structPage(VME_SUBPAGE_INDEX_TEMPORARY) + StructPage.privateOffset)
        }
    }

    /// The cgroup that its reservation is charged to: `private` of struct page 3 (`hugetlb_cgroup_from_page_rsvd()`).
    var reservationCgroup: UInt64 {
        get { load(structPage(VME_SUBPAGE_INDEX_CGROUP_RSVD) + StructPage.privateOffset) }
        nonmutating set {
            store(newValue, at: structPage(VME_SUBPAGE_INDEX_CGROUP_RSVD) + StructPage.privateOffset)
        }
    }

    /// Which of its base pages has the memory error, counted from the head: `private` of struct page 4 (v5 patch 15).
    /// Tails are read-only, so the flag cannot stand where the error is.
    var rawErrorIndex: Int {
        get { Int(load(structPage(VME_SUBPAGE_INDEX_HWPOISON) + StructPage.privateOffset)) }
        nonmutating set {
            store(
                UInt64(newValue), at: structPage(VME_SUBPAGE_INDEX_HWPOISON) + StructPage.privateOffset)
        }
    }
}
