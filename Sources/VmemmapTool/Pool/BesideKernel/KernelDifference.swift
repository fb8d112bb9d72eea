import VmemmapEmulator

/// Something that kernels before a version do otherwise than the emulated HugeTLB layer. Only what stands in this list
/// is let pass when the two are compared.
struct KernelDifference: Hashable, Sendable {
    /// What is done about it.
    enum Kind: Hashable, Sendable {
        /// The kernel refuses a number of surplus gigantic pages with EINVAL, and the emulated layer is not asked.
        case refusesGiganticOvercommit
        /// There are no memmap counters to compare.
        case hasNoMemmapCounters
        /// After the pool was made smaller while it had surplus pages, its counts may be others; from there on nothing
        /// is compared.
        case shrinksByAnotherCount
    }

    let kind: Kind
    /// The first version that does as the emulated layer does.
    let since: KernelVersion
    /// What the others do.
    let what: String
    /// Where that is to be read.
    let source: String

    /// All of them.
    static let all = [
        KernelDifference(
            kind: .refusesGiganticOvercommit, since: KernelVersion(6, 19),
            what: "nr_overcommit_hugepages of 1 GiB pages is refused with EINVAL",
            source: "nr_overcommit_hugepages_store() in mm/hugetlb.c; measured on 6.18"),
        KernelDifference(
            kind: .hasNoMemmapCounters, since: KernelVersion(6, 11),
            what: "nr_memmap_pages and nr_memmap_boot_pages are not counted",
            source: "/proc/vmstat; measured on 6.1"),
        KernelDifference(
            kind: .shrinksByAnotherCount, since: KernelVersion(6, 15),
            what: "making a pool with surplus pages smaller keeps more of its free pages",
            source: "min_count in set_max_huge_pages() of mm/hugetlb.c"),
    ]

    /// Those that a kernel has.
    static func all(of version: KernelVersion) -> [KernelDifference] { all.filter { version < $0.since } }

    /// Whether it bears on a line, with what the emulated layer counts before it.
    func concerns(_ action: PoolAction, _ counts: PoolCounts) -> Bool {
        switch (kind, action) {
        case (.refusesGiganticOvercommit, .overcommit(.oneGibibyte, _)): true
        case (.shrinksByAnotherCount, .pool(let size, let asked, _)):
            counts.pools.contains {
                $0.hugePageBytes == size.bytes && $0.surplusPages > 0 && asked < $0.totalPages
            }
        default: false
        }
    }

    /// `nr_memmap_pages ... are not counted (before Linux 6.11: /proc/vmstat)`.
    var line: String { "\(what) (before Linux \(since); \(source))" }
}
