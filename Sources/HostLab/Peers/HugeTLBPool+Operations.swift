package import HostMemory
import SystemPackage

// What is done with a pool that was found empty and is this process's alone for a while.
extension HugeTLBPool {
    /// The pool of one size; nil where the host has none.
    package static func current(ofPagesOf pageSize: ByteCount) -> HugeTLBPool? {
        HugeTLBPool(pageSize: pageSize) { try? HostKernel.readText(folder(of: pageSize).appending($0)) }
    }

    /// Huge pages that the pool counts in, surplus ones included, on all nodes: nr_hugepages.
    package static func exclusiveSize(ofPagesOf pageSize: ByteCount) -> HostSetting {
        exclusive("nr_hugepages", pageSize)
    }

    /// How many surplus pages there may be: nr_overcommit_hugepages.
    package static func overcommit(ofPagesOf pageSize: ByteCount) -> HostSetting {
        exclusive("nr_overcommit_hugepages", pageSize)
    }

    private static func exclusive(_ file: String, _ pageSize: ByteCount) -> HostSetting {
        let path = folder(of: pageSize).appending(file)
        return HostSetting(
            name: "\(folderName(of: pageSize))/\(file)", path: path, lock: lock, isExclusive: true)
    }

    /// Makes `count` free huge pages smaller ones of another pool, or as many as there are: of a node's, or of all.
    /// Which ones, the kernel chooses.
    package static func demote(_ count: Int, pagesOf pageSize: ByteCount, onNode node: Int? = nil) throws(HostError) {
        _ = try (node.map { ofNode($0, "demote", pageSize) } ?? demotion(pageSize)).write(count)
    }

    /// Gives a node's part of the pool another size. What was there before comes back with
    /// ``exclusiveSize(ofPagesOf:)``.
    package static func setSize(_ count: Int, pagesOf pageSize: ByteCount, onNode node: Int) throws(HostError) {
        _ = try ofNode(node, "nr_hugepages", pageSize).write(count)
    }

    private static func ofNode(_ node: Int, _ file: String, _ pageSize: ByteCount) -> HostSetting {
        HostSetting(
            name: "node\(node)/\(folderName(of: pageSize))/\(file)",
            path: folder(of: pageSize, onNode: node).appending(file), lock: lock, isExclusive: true)
    }

    private static func demotion(_ pageSize: ByteCount) -> HostSetting { exclusive("demote", pageSize) }

    /// Has the kernel move what lies in the way of memory in one piece (vm.compact_memory). Changes no setting.
    package static func compactMemory() throws(HostError) {
        _ = try HostSetting(name: "vm.compact_memory", path: "/proc/sys/vm/compact_memory", lock: lock).write(1)
    }
}
