import Glibc
import SystemPackage

/// Transparent huge pages of the host: one page table entry of the middle level (PMD) for as much memory as a page
/// table of the last level maps.
package enum TransparentHugePages {
    /// What a PMD maps: 2 MiB where pages are 4 KiB. Nil on a kernel without transparent huge pages.
    ///
    /// Where /sys is hidden, as in a container, /proc/vmstat says whether the kernel has them.
    package static func size() throws(HostError) -> ByteCount? {
        do throws(HostError) {
            return ByteCount(try HostKernel.readNumber("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"))
        } catch  where error.code == .notSupported {
            return try HugePageEvents.current().map { _ in pageTableReach(HostLimits.pageSize) }
        }
    }

    /// What a page table of the last level maps: it fills a page with entries of 8 bytes. Pure.
    static func pageTableReach(_ pageSize: ByteCount) -> ByteCount { pageSize * (pageSize.rawValue / 8) }

    /// The parts of `range` that PMDs map, in order of address. For anonymous and for shared memory, without
    /// privileges.
    ///
    /// Throws ``HostError/Code-swift.struct/notSupported`` before Linux 6.7, which does not tell.
    package static func pmdMapped(in range: AddressRange) throws(HostError) -> [AddressRange] {
        try PageMap.scan(.current, for: .pmdMapped, in: range)
    }
}

extension HostKernel {
    /// Splits the transparent huge page around `part`, which must not be all of it: into small pages, each of which can
    /// be given back alone. The corresponding C function is `madvise` with MADV_COLD (Linux 5.4), which also marks
    /// `part` as not used lately.
    ///
    /// Replacing a part of a huge page in the page tables alone frees nothing: the rest holds on to the whole of it
    /// The kernel does not report a split that failed: look with
    /// ``TransparentHugePages/pmdMapped(in:)``.
    package static func splitHugePage(around part: AddressRange) throws(HostError) {
        _ = try call(.splitHugePage, .addresses(part)) {
            adviseResult(part, MADV_COLD)
        }
    }

    /// Copies the small pages of `range` to fresh huge ones and maps those by PMDs, in one step for readers and
    /// writers. The corresponding C function is `madvise` with MADV_COLLAPSE (Linux 6.1).
    ///
    /// What is refused, for lack of memory say, stays as it was.
    package static func collapse(_ range: AddressRange) throws(HostError) {
        _ = try call(.collapse, .addresses(range)) {
            adviseResult(range, 25)  // MADV_COLLAPSE is younger than many C libraries.
        }
    }

    /// Tells the kernel to put transparent huge pages in `range` where it has any.
    package static func wantHugePages(_ range: AddressRange) throws(HostError) { try advise(range, .hugePage) }
}

/// How often the host has made, split and collapsed transparent huge pages since it started: /proc/vmstat. All
/// processes together: the difference over a step is this process's where nobody else uses them meanwhile.
package struct HugePageEvents: Hashable, Sendable, Codable {
    /// Faults that were given a huge page (thp_fault_alloc).
    package let faultAlloc: Int
    /// PMDs replaced by a page table, the huge page still whole or not (thp_split_pmd).
    package let splitPmd: Int
    /// Huge pages split into small ones (thp_split_page).
    package let splitPage: Int
    /// Those that could not be (thp_split_page_failed).
    package let splitPageFailed: Int
    /// Huge pages of which a part is unused, put on a list to be split when memory is short (thp_deferred_split_page).
    package let deferredSplitPage: Int
    /// Huge pages allocated to collapse small ones into (thp_collapse_alloc).
    package let collapseAlloc: Int
    /// Collapses for which there was none (thp_collapse_alloc_failed).
    package let collapseAllocFailed: Int

    /// In exports they are called as in /proc/vmstat.
    private enum CodingKeys: String, CodingKey {
        case faultAlloc = "thpFaultAlloc"
        case splitPmd = "thpSplitPmd"
        case splitPage = "thpSplitPage"
        case splitPageFailed = "thpSplitPageFailed"
        case deferredSplitPage = "thpDeferredSplitPage"
        case collapseAlloc = "thpCollapseAlloc"
        case collapseAllocFailed = "thpCollapseAllocFailed"
    }

    /// What has happened since then.
    package static func - (now: Self, then: Self) -> Self {
        HugePageEvents(
            faultAlloc: now.faultAlloc - then.faultAlloc, splitPmd: now.splitPmd - then.splitPmd,
            splitPage: now.splitPage - then.splitPage, splitPageFailed: now.splitPageFailed - then.splitPageFailed,
            deferredSplitPage: now.deferredSplitPage - then.deferredSplitPage,
            collapseAlloc: now.collapseAlloc - then.collapseAlloc,
            collapseAllocFailed: now.collapseAllocFailed - then.collapseAllocFailed)
    }

    /// Reads them; nil on a kernel without transparent huge pages.
    package static func current() throws(HostError) -> HugePageEvents? {
        HugePageEvents(try HostKernel.readText("/proc/vmstat"))
    }
}

extension HugePageEvents {
    /// Parses the text of /proc/vmstat; nil if a field is missing, as on a kernel without transparent huge pages.
    package init?(_ text: String) {
        let fields = ProcFields(text)
        guard let faultAlloc = fields.number("thp_fault_alloc"), let splitPmd = fields.number("thp_split_pmd"),
            let splitPage = fields.number("thp_split_page"),
            let splitPageFailed = fields.number("thp_split_page_failed"),
            let deferredSplitPage = fields.number("thp_deferred_split_page"),
            let collapseAlloc = fields.number("thp_collapse_alloc"),
            let collapseAllocFailed = fields.number("thp_collapse_alloc_failed")
        else { return nil }
        self.faultAlloc = faultAlloc
        self.splitPmd = splitPmd
        self.splitPage = splitPage
        self.splitPageFailed = splitPageFailed
        self.deferredSplitPage = deferredSplitPage
        self.collapseAlloc = collapseAlloc
        self.collapseAllocFailed = collapseAllocFailed
    }
}
