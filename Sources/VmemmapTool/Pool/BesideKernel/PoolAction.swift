import HostMemory
import VmemmapEmulator

/// What a line of a script asks of a HugeTLB layer, the emulated one or another.
enum PoolAction: Hashable, Sendable {
    /// Back to how it was found: nothing mapped, pools of no page, nothing optimized.
    case reset
    /// vm.hugetlb_optimize_vmemmap.
    case optimize(Bool)
    /// Writes nr_hugepages, of one node or of all.
    case pool(HugePageSize, Int, node: Int?)
    /// Writes nr_overcommit_hugepages.
    case overcommit(HugePageSize, Int)
    /// Takes a huge page that nobody has reserved.
    case allocate(HugePageSize)
    /// Takes a huge page that has been reserved.
    case touch(HugePageSize)
    /// Gives back the N-th huge page taken.
    case free(Int)
    /// Gives back every huge page taken.
    case freeAll
    /// Reserves huge pages, for a file that is mapped or for private memory.
    case reserve(HugePageSize, Int, isShared: Bool)
    /// Takes reservations back.
    case unreserve(HugePageSize, Int)
    /// Splits free huge pages into smaller ones, of one node or of all.
    case demote(HugePageSize, Int, node: Int?)
}

/// A HugeTLB layer that the emulated one is held against.
protocol PoolPeer: AnyObject {
    /// What it is called in a sentence: `the kernel`.
    var name: String { get }

    /// Does one thing. Returns `ok`, the name of an errno, or SIGBUS where a store would end the process.
    func perform(_ action: PoolAction) throws(ExperimentError) -> String

    /// What it counts, once it counts `expected` or what it has put off is done.
    func counts(expecting expected: PoolCounts) throws(ExperimentError) -> PoolCounts
}

/// The counters that a HugeTLB layer has for its users.
struct PoolCounts: Hashable, Sendable, Codable {
    /// Of one size.
    struct Pool: Hashable, Sendable, Codable {
        /// Hugepagesize.
        let hugePageBytes: ByteCount
        /// HugePages_Total.
        var totalPages = 0
        /// HugePages_Free.
        var freePages = 0
        /// HugePages_Rsvd.
        var reservedPages = 0
        /// HugePages_Surp.
        var surplusPages = 0
        /// What each node has, in their order; empty where that is not known.
        var nodes: [Node] = []

        /// A node's part.
        struct Node: Hashable, Sendable, Codable {
            /// nr_hugepages of the node, surplus pages included.
            let totalPages: Int
            /// free_hugepages.
            let freePages: Int
            /// surplus_hugepages.
            let surplusPages: Int

            /// Each counter by the name that it has in the sum of all nodes.
            var named: [(name: String, value: Int)] {
                [("Total", totalPages), ("Free", freePages), ("Surp", surplusPages)]
            }
        }

        /// Each counter by its name in /proc/meminfo.
        var named: [(name: String, value: Int)] {
            [("Total", totalPages), ("Free", freePages), ("Rsvd", reservedPages), ("Surp", surplusPages)]
        }
    }

    /// Each size.
    var pools: [Pool]
    /// nr_memmap_pages and nr_memmap_boot_pages together, less what they were at the start; null where they are not
    /// counted (before Linux 6.11).
    var memmapChangePages: Measured<Int>

    /// Nothing at all.
    static let zero = PoolCounts(
        pools: MachineSizes.x86.hugePages.map { Pool(hugePageBytes: $0.bytes) }, memmapChangePages: .value(0))

    /// The figures that these and another's have both, by what they are called: those of nodes only where there are as
    /// many of them.
    private func figures(beside other: PoolCounts) -> [(name: String, value: Int?)] {
        zip(pools, other.pools).flatMap { pool, theirs in
            let size = pool.hugePageBytes.argument
            let nodes = pool.nodes.count == theirs.nodes.count ? pool.nodes : []
            return pool.named.map { ("\(size) \($0.name)", Optional($0.value)) }
                + nodes.enumerated().flatMap { number, node in
                    node.named.map { ("\(size) node\(number) \($0.name)", Optional($0.value)) }
                }
        } + [("memmap", memmapChangePages.value)]
    }

    /// How far another's figures are from these, by what they are called; only those that differ.
    func offsets(to other: PoolCounts) -> [String: Int] {
        zip(figures(beside: other), other.figures(beside: self)).reduce(into: [:]) { offsets, pair in
            guard let value = pair.0.value, let peer = pair.1.value, value != peer else { return }
            offsets[pair.0.name] = peer - value
        }
    }

    /// What differs, a line each, in the order of the figures.
    func differences(to other: PoolCounts, of peer: String, in names: Set<String>) -> [String] {
        zip(figures(beside: other), other.figures(beside: self)).compactMap { pair in
            guard names.contains(pair.0.name), let value = pair.0.value, let theirs = pair.1.value else { return nil }
            return "\(pair.0.name) is \(value), and \(theirs) in \(peer)"
        }
    }
}
