import HostMemory
import VmemmapEmulator

/// One line of a pool script.
enum PoolStatement: Hashable, Sendable {
    /// Boots a machine, and sizes its pools as the kernel's command line would.
    case boot(PoolBoot)
    /// vm.hugetlb_optimize_vmemmap.
    case optimize(Bool)
    /// Writes nr_hugepages, of one node or of all.
    case pool(HugePageSize, HugePageCount, node: Int?)
    /// Writes nr_overcommit_hugepages.
    case overcommit(HugePageSize, HugePageCount)
    /// Allocates huge pages; each gets the next number.
    case allocate(HugePageSize, HugePageCount)
    /// Frees an allocated huge page, or all of them.
    case free(PoolFrame?)
    /// Maps huge pages, which are reserved for whoever touches them.
    case reserve(HugePageSize, HugePageCount, PoolMapping)
    /// Unmaps huge pages that were not touched: their reservation ends.
    case unreserve(HugePageSize, HugePageCount)
    /// Touches mapped huge pages: those that are reserved first. Each gets the next number.
    case touch(HugePageSize, HugePageCount)
    /// A memory error.
    case poison(PoolFrame)
    /// Dissolves the free huge page around a frame.
    case dissolve(PoolFrame)
    /// Demotes the free gigantic page around a frame.
    case demote(PoolFrame)
    /// Writes demote, of one node or of all.
    case demotePages(HugePageSize, HugePageCount, node: Int?)
    /// Writes demote_size.
    case demoteSize(HugePageSize, to: HugePageSize)
    /// Limits the frames that splits and restores may take.
    case budget(PageCount?, isShared: Bool)
    /// Writes hugetlb.SIZE.max of the cgroup that all users are in, or hugetlb.SIZE.rsvd.max; nil: no limit.
    case cgroup(HugePageSize, HugePageCount?, isOfReservations: Bool)
    /// Waits for the deferred work.
    case flush
    /// Shows what /proc/meminfo would.
    case meminfo
    /// Shows what /proc/vmstat would.
    case vmstat
    /// Shows a struct page.
    case page(PoolFrame)
    /// Plugs memory in, with its own vmemmap or without.
    case hotplug(ByteCount, isSelfHosted: Bool)
    /// Takes memory out again that was plugged in, after the walkers are done with it or at once; nil: all of it.
    case offline(ByteCount?, waitsForReaders: Bool)
    /// Starts threads that read compound_head while huge pages come and go; they may sleep before each read.
    case walk(Int, isSleeping: Bool)
    /// Stops them, and holds what they saw against what they may see.
    case stopWalking
    /// Holds a figure against a value.
    case expect(PoolFigure, Int)
    /// Holds the last operation's outcome against an errno's name, `SIGBUS`, or `ok`.
    case expectOutcome(String)
}

extension PoolStatement {
    /// Whether `expect ok` after it is about it. What only looks leaves the last outcome as it is.
    var isOperation: Bool {
        switch self {
        case .expect, .expectOutcome, .meminfo, .vmstat: false
        default: true
        }
    }
}

/// A frame in a script: by its number, or counted from the n-th huge page that was allocated.
enum PoolFrame: Hashable, Sendable {
    /// The frame itself.
    case frame(PageFrameNumber)
    /// `#N+OFFSET`: a frame of the N-th huge page allocated, from 1.
    case allocated(Int, offset: Int)
}

/// A figure that a script can hold against a value.
enum PoolFigure: Hashable, Sendable {
    /// HugePages_Total, HugePages_Free, HugePages_Rsvd, HugePages_Surp, or Optimized, of a size.
    case hugePages(String, HugePageSize)
    /// HugePages_Total, HugePages_Free or HugePages_Surp of a size on a node.
    case nodePages(String, HugePageSize, node: Int)
    /// nr_memmap_pages, nr_memmap_boot_pages, the sum of both, split_page_tables, free_pages, the distinct frames of
    /// the host, or the reads of removed memory that walkers have made.
    case machine(String)

    /// The names that come with a size.
    static let ofPools = [
        "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp", "HugePages_Optimized",
    ]
    /// Those of them that there are of each node.
    static let ofNodes = ["HugePages_Total", "HugePages_Free", "HugePages_Surp"]
    /// The names that stand alone.
    static let ofMachine = [
        "nr_memmap_pages", "nr_memmap_boot_pages", "nr_memmap_sum", "split_page_tables", "free_pages",
        "distinct_frames", "removed_reads",
    ]
}

/// Who a mapping's huge pages are for.
enum PoolMapping: String, Hashable, Sendable, CaseIterable {
    /// MAP_PRIVATE: the mapping's own. Freed, a page is reserved for it again, unless there are surplus pages.
    case `private`
    /// MAP_SHARED: a file's. Freed (punched out), a page is reserved for nobody.
    case shared
}

/// What a `boot` line asks for.
struct PoolBoot: Hashable, Sendable {
    /// A pool of the command line.
    struct Pool: Hashable, Sendable {
        let size: HugePageSize
        /// Nil: on all nodes.
        let node: Int?
        let count: HugePageCount
    }

    /// The machine.
    var configuration: MachineConfiguration
    /// default_hugepagesz=.
    var defaultSize = HugePageSize.twoMebibytes
    /// The pools, in the line's order.
    var pools: [Pool] = []
}
