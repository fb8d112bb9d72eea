package import HostMemory
import SystemPackage

/// A number of the host's own HugeTLB pages.
package struct HostHugePageCount: Quantity {
    /// The number of huge pages.
    package let rawValue: Int

    /// `rawValue` huge pages.
    package init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `1 huge page`, `64 huge pages`.
    package var description: String { described("huge page") }
}

/// One of the host's own HugeTLB pools: /sys/kernel/mm/hugepages/hugepages-SIZEkB. A count is nil where its file is
/// hidden, or does not hold one number of at least 0.
package struct HugeTLBPool: Hashable, Sendable {
    /// The size of its huge pages.
    package let pageSize: ByteCount
    /// Huge pages there are, those in surplus included (nr_hugepages); nil also of more than any memory holds.
    package let pages: HostHugePageCount?
    /// Those nobody uses (free_hugepages).
    package let free: HostHugePageCount?
    /// Those of the free ones that are promised to a mapping (resv_hugepages).
    package let reserved: HostHugePageCount?
    /// Those above the size the pool was given (surplus_hugepages).
    package let surplus: HostHugePageCount?
    /// How many of those there may be (nr_overcommit_hugepages).
    package let overcommit: HostHugePageCount?

    /// The pool that the files of one folder describe. Pure.
    ///
    /// - Parameters:
    ///   - pageSize: the size in the folder's name.
    ///   - read: the text of a file in it; nil where there is none.
    /// - Returns: nil where there is none of the files.
    package init?(pageSize: ByteCount, read: (String) -> String?) {
        var files = 0
        func count(_ file: String) -> HostHugePageCount? {
            let text = read(file)
            if text != nil { files += 1 }
            return Self.count(text)
        }
        self.pageSize = pageSize
        pages = count("nr_hugepages").flatMap { pageSize.multiplied(by: $0.rawValue) == nil ? nil : $0 }
        free = count("free_hugepages")
        reserved = count("resv_hugepages")
        surplus = count("surplus_hugepages")
        overcommit = count("nr_overcommit_hugepages")
        if files == 0 { return nil }
    }

    /// The pool's own huge pages, without those in surplus; nil where one of the two is.
    package var persistent: HostHugePageCount? {
        pages.flatMap { pages in surplus.map { pages - $0 } }
    }

    /// The one number of at least 0 that a file holds; nil for anything else.
    private static func count(_ text: String?) -> HostHugePageCount? {
        let words = text?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count == 1, let number = Int(words[0]), number >= 0 else { return nil }
        return HostHugePageCount(number)
    }

    /// Every pool of this host, by size. Empty on a kernel without HugeTLB; nil where it has one and /sys is hidden.
    package static func all() throws(HostError) -> [HugeTLBPool]? {
        var pools: [HugeTLBPool] = []
        // Every size is a power of two: asking for each is less than reading a folder takes.
        for shift in 14...40 {
            if let pool = current(ofPagesOf: ByteCount(1 << shift)) { pools.append(pool) }
        }
        do throws(HostError) {
            return all(pools, try HugeTLBMeminfo.current())
        } catch  where error.isHidden {
            return pools.isEmpty ? nil : pools
        }
    }

    /// Those that were found, unless what /proc/meminfo says of a pool shows that they were not to be seen. Pure.
    static func all(_ found: [HugeTLBPool], _ meminfo: HugeTLBMeminfo?) -> [HugeTLBPool]? {
        found.isEmpty && meminfo != nil ? nil : found
    }

    /// The size that people give the pool: nr_hugepages. Where the host has several NUMA nodes, that of the first
    /// alone, so that putting it back takes no huge page from another.
    package static func size(ofPagesOf pageSize: ByteCount) throws(HostError) -> HostSetting {
        let nodes = (try? HostKernel.readText("/sys/devices/system/node/online")) ?? "0"
        let name = "\(folderName(of: pageSize))/nr_hugepages"
        guard let node = firstOfSeveral(nodes) else {
            return HostSetting(
                name: name, path: folder(of: pageSize).appending("nr_hugepages"), lock: lock, isGradual: true)
        }
        let path = folder(of: pageSize, onNode: node).appending("nr_hugepages")
        return HostSetting(name: "node\(node)/\(name)", path: path, lock: lock, isGradual: true)
    }

    /// What a NUMA node has of a pool.
    package struct Node: Hashable, Sendable {
        /// Its number.
        package let number: Int
        /// Its huge pages, those in surplus included.
        package let pages: HostHugePageCount
        /// Those nobody uses.
        package let free: HostHugePageCount
        /// Those above the size that the pool was given.
        package let surplus: HostHugePageCount
    }

    /// The parts of some nodes, by their numbers; nil where one cannot be read.
    package static func nodes(_ numbers: [Int], ofPagesOf pageSize: ByteCount) -> [Node]? {
        var nodes: [Node] = []
        for number in numbers {
            func count(_ file: String) -> HostHugePageCount? {
                Self.count(try? HostKernel.readText(folder(of: pageSize, onNode: number).appending(file)))
            }
            guard let pages = count("nr_hugepages"), let free = count("free_hugepages"),
                let surplus = count("surplus_hugepages")
            else { return nil }
            nodes.append(Node(number: number, pages: pages, free: free, surplus: surplus))
        }
        return nodes
    }

    /// The numbers of the nodes that have memory; nil where they cannot be read.
    package static func nodesWithMemory() -> [Int]? {
        (try? HostKernel.readText("/sys/devices/system/node/has_memory")).flatMap(numbers)
    }

    /// The numbers in a list such as `0-3,5`; nil for anything else. Pure.
    static func numbers(_ list: String) -> [Int]? {
        var numbers: [Int] = []
        for part in list.filter({ !$0.isWhitespace }).split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first >= 0,
                first <= last, last - first < 4096
            else { return nil }
            numbers += first...last
        }
        return numbers
    }

    static func folder(of pageSize: ByteCount, onNode node: Int) -> FilePath {
        FilePath("/sys/devices/system/node/node\(node)/hugepages/\(folderName(of: pageSize))")
    }

    /// Locked by whoever changes the pools or whether they are optimized: a huge page is allocated as both say.
    static let lock = SettingLock.file("hugetlb")

    /// The first of several nodes in a list such as `0-3,5`; nil if there is one alone. Pure.
    static func firstOfSeveral(_ list: String) -> Int? {
        numbers(list).flatMap { $0.count > 1 ? $0.first : nil }
    }

    /// The error of a pool that is needed, and hidden.
    package static func hidden(pagesOf pageSize: ByteCount) -> HostError {
        HostError(unreadable: folder(of: pageSize).string)
    }

    static func folder(of pageSize: ByteCount) -> FilePath {
        FilePath("/sys/kernel/mm/hugepages/\(folderName(of: pageSize))")
    }

    /// What the folder of a size is called, wherever it is.
    package static func folderName(of pageSize: ByteCount) -> String { "hugepages-\(pageSize.rawValue / 1024)kB" }
}

/// What /proc/meminfo says of HugeTLB: the pool of the default size, and the memory of all pools.
package struct HugeTLBMeminfo: Hashable, Sendable {
    /// Hugepagesize: the default size.
    package let pageSize: ByteCount
    /// HugePages_Total, of the default size.
    package let pages: HostHugePageCount
    /// Hugetlb: what the huge pages of all sizes occupy; nil before Linux 4.15.
    package let memory: ByteCount?

    /// Parses the text of /proc/meminfo; nil on a kernel without HugeTLB.
    package init?(_ text: String) {
        let fields = ProcFields(text)
        guard let pageSize = fields.kibibytes("Hugepagesize"), let pages = fields.number("HugePages_Total"), pages >= 0
        else { return nil }
        self.pageSize = pageSize
        self.pages = HostHugePageCount(pages)
        memory = fields.kibibytes("Hugetlb")
    }

    /// Reads it; nil on a kernel without HugeTLB.
    package static func current() throws(HostError) -> HugeTLBMeminfo? {
        HugeTLBMeminfo(try HostKernel.readText("/proc/meminfo"))
    }
}

/// Pages of struct pages that the kernel has: /proc/vmstat. Their sum falls by what optimizing frees, to the page.
package struct MemmapCounts: Hashable, Sendable {
    /// From the page allocator (nr_memmap_pages).
    package let memmap: PageCount
    /// From boot memory (nr_memmap_boot_pages).
    package let memmapBoot: PageCount

    /// Both together. Only the sum comes back after a cycle: what came from boot memory is given back to the page
    /// allocator.
    package var total: PageCount { memmap + memmapBoot }

    /// Parses the text of /proc/vmstat; nil on a kernel that does not count them (before Linux 6.11).
    package init?(_ text: String) {
        let fields = ProcFields(text)
        guard let memmap = fields.number("nr_memmap_pages"), let boot = fields.number("nr_memmap_boot_pages"),
            memmap >= 0, boot >= 0, !memmap.addingReportingOverflow(boot).overflow
        else { return nil }
        self.memmap = PageCount(memmap)
        memmapBoot = PageCount(boot)
    }

    /// Reads them; nil on a kernel that does not count them.
    package static func current() throws(HostError) -> MemmapCounts? {
        MemmapCounts(try HostKernel.readText("/proc/vmstat"))
    }
}
