import HostMemory
import VmemmapEmulator

/// The script language in words: what the help of `pool` and vmemmap-pool(5) say.
enum PoolLanguage {
    /// Something that can be written, and what it means.
    struct Entry: Hashable, Sendable {
        /// How it is written. Capital letters stand for values; brackets for what may be left out.
        let form: String
        /// What it means, as a sentence.
        let meaning: String

        init(_ form: String, _ meaning: String) {
            self.form = form
            self.meaning = meaning
        }

        /// What it begins with: a line's first word, or a word of `boot` up to its `=`.
        var name: Substring { form.prefix { $0 != " " && $0 != "=" } }
    }

    /// The longest line that is read, in bytes.
    static let longestLine = ScriptSource.longestLine

    /// What holds for every line.
    static let rules = """
        SIZE is 2M or 1G, or what the machine's architecture has in their place. A PFN is the number of a base page, \
        or #N+OFFSET in the N-th huge page allocated or touched. "# " begins a comment. A line has at most \
        \(longestLine) bytes.
        """

    /// Every line.
    static let lines = [
        Entry("boot memory=SIZE [WORD=VALUE]...", "A new machine; see the words of boot. It comes first."),
        Entry("sysctl hugetlb_optimize_vmemmap=0|1", "For huge pages that enter the pool from now on."),
        Entry("nr_hugepages SIZE N [node=K]", "As if N were written to nr_hugepages, of all nodes or of one."),
        Entry("nr_overcommit_hugepages SIZE N", "As if N were written to nr_overcommit_hugepages."),
        Entry("alloc SIZE [N]", "Take huge pages out of the pool: 1, or N. Each gets the next number."),
        Entry("free PFN|all", "Give a huge page back, or all of them."),
        Entry(
            "reserve SIZE N [private|shared]",
            "Map N huge pages, which are reserved for whoever touches them. Freed, a page of a private mapping (the "
                + "default) is reserved for it again, one of a shared mapping is not."),
        Entry("unreserve SIZE N", "Unmap N huge pages that were not touched."),
        Entry("touch SIZE [N]", "Use huge pages that are mapped, reserved ones first; SIGBUS where there is none."),
        Entry("poison PFN", "A memory error in that base page."),
        Entry("dissolve PFN", "Dissolve the free huge page around that base page."),
        Entry("demote PFN", "Demote the free 1G page around that base page."),
        Entry("demote 1G N [node=K]", "As if N were written to demote, of all nodes or of one."),
        Entry("demote_size 1G 2M", "As if 2M were written to demote_size. Both sizes are the architecture's."),
        Entry(
            "budget FRAMES [shared]|off",
            "How many frames splits and restores may take; shared: all the memory that is left, for huge pages, too."),
        Entry(
            "cgroup SIZE [rsvd.]max=N|off",
            "How many huge pages the cgroup of all users may use, or with rsvd. reserve and use."),
        Entry(
            "hotplug SIZE [memmap_on_memory]",
            "Plug in memory, in blocks of 128M (512M with base pages of 64K). Its vmemmap comes from the page "
                + "allocator, or with memmap_on_memory lies in itself."),
        Entry(
            "offline [SIZE] [wait]",
            "Take out what was plugged in last, or all of it; wait: after everybody who was reading is done."),
        Entry("flush", "Wait for deferred work."),
        Entry("walkers N [sleeping]|off", "1 to 64 threads that read compound_head of random struct pages meanwhile."),
        Entry("meminfo", "Show what /proc/meminfo would."),
        Entry("vmstat", "Show what /proc/vmstat would."),
        Entry("page PFN", "Show a struct page."),
        Entry("expect FIGURE VALUE", "Check a figure; see the figures."),
        Entry("expect \(outcomes.joined(separator: "|"))", "Check how the last operation ended."),
    ]

    /// How an operation can end.
    static let outcomes = ["ok", "ENOMEM", "EBUSY", "EINVAL", "ENOSPC", "ENXIO", "EHWPOISON", "SIGBUS"]

    /// The words of `boot`. Of values with a bar between them the first is the default.
    static let bootWords = [
        Entry("memory=SIZE", "How much memory there is, such as 257M or 4G: whole base pages. It must be given."),
        Entry(
            "arch=\(names(Architecture.allCases, first: .x86))[:SIZE[,SIZE]]",
            "Whose base page and huge pages it has: of the latter the size that a PMD maps, and the largest, as 512M "
                + "and 16G of arm64-64k; or those named, as in arch=arm64-4k:2M,32M. Without it, 2M and 1G on this "
                + "host's base page."),
        Entry(
            "hugepages=N",
            "How many huge pages there are (default: 0); of two nodes 0:N,1:N. After its hugepagesz=, once for each."),
        Entry("hugepagesz=SIZE", "The size that the next hugepages= is of."),
        Entry("default_hugepagesz=SIZE", "The size of hugepages= alone, and that of meminfo (default: 2M)."),
        Entry("hugetlb_free_vmemmap=off|on", "Whether huge pages are optimized."),
        Entry("nodes=1|2", "How many nodes there are; each has the same share of the memory."),
        Entry("reserved=FIRST-END,...", "Memory that no huge page may contain, such as 512M-513M (default: none)."),
        Entry("hotplug=SIZE", "Room for memory that is plugged in later: whole blocks, see hotplug (default: none)."),
        Entry("zone_border=SIZE", "Where the second zone begins: between two pages of 2M (default: in the middle)."),
        Entry("scheme=\(names(Scheme.ofHugeTLB, first: .firstTail))", "How vmemmap is shared."),
        Entry("backing=\(names(Backing.allCases, first: .anonymous))", "What the region consists of."),
        Entry("tail_frames=1|N|auto", "How many frames serve the tails of a huge page."),
        Entry(
            "release=\(names(MachineConfiguration.Release.allCases, first: defaults.release))",
            "When the vmemmap of a freed huge page is restored."),
        Entry(
            "restore_failure=\(names(MachineConfiguration.RestoreFailure.allCases, first: defaults.restoreFailure))",
            "What becomes of a huge page that cannot be restored."),
        Entry(
            "policy=\(names(MachineConfiguration.Policy.allCases, first: defaults.policy))",
            "Whether surplus pages are optimized, too."),
        Entry(
            "keep_pages=off|on", "Whether the pool never gives huge pages back, by dissolving and demoting neither."),
        Entry("pmd_mapped=off|on", "Whether the region is mapped by entries of 2 MiB."),
        Entry("struct_page_size=64|BYTES", "sizeof(struct page), one of \(structPageSizes) bytes."),
    ]

    /// A script.
    static let example = [
        "boot memory=1G hugepages=100 hugetlb_free_vmemmap=on", "expect HugePages_Optimized 2M 100", "alloc 2M 2",
        "poison #1+3", "free all", "nr_hugepages 2M 0", "expect ok", "expect HugePages_Total 2M 0",
    ]

    /// What can be expected.
    static let figures = [
        Entry("\(PoolFigure.ofPools.joined(separator: "|")) SIZE", "Of the pool of a size."),
        Entry("\(PoolFigure.ofNodes.joined(separator: "|")) SIZE node=K", "Of the same on a node, 0 or 1."),
        Entry(
            PoolFigure.ofMachine.joined(separator: "|"),
            "Of the whole machine. Of the host, distinct_frames: 16 for a vmemmap page of 64K."),
    ]

    private static let defaults = MachineConfiguration(memory: .zero)
    private static var structPageSizes: String {
        Geometry.structPageSizes.map { "\($0.rawValue)" }.joined(separator: ", ")
    }

    private static func names<Value: RawRepresentable<String> & Equatable>(
        _ values: [Value], first: Value
    ) -> String {
        ([first] + values.filter { $0 != first }).map(\.rawValue).joined(separator: "|")
    }
}
