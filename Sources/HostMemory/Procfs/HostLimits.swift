import Glibc
import SystemPackage

/// What this host allows, and what it has.
package enum HostLimits {
    /// The base page, in bytes.
    package static let pageSize = ByteCount(sysconf(CInt(_SC_PAGESIZE)))

    /// vm.max_map_count: the most mappings a process may have.
    package static func maxMapCount() throws(HostError) -> MappingCount {
        MappingCount(try HostKernel.readNumber("/proc/sys/vm/max_map_count"))
    }

    /// The mappings to reckon with: vm.max_map_count, or where that is hidden the limit that a kernel has by itself.
    /// One that is lower refuses, as it may at any time.
    package static func mappingLimit() throws(HostError) -> MappingCount {
        mappingLimit(told: try HostKernel.unlessHidden(maxMapCount))
    }

    /// The same, of what vm.max_map_count was read as; nil: it is hidden.
    package static func mappingLimit(told limit: MappingCount?) -> MappingCount {
        limit ?? MappingAccount.defaultLimit
    }

    /// The memory of the host: MemTotal of /proc/meminfo, or where that is hidden what the kernel says otherwise, the
    /// same but in a container that has a /proc/meminfo of its own. The corresponding C function is `sysconf`.
    package static func totalMemory() throws(HostError) -> ByteCount {
        let path: FilePath = "/proc/meminfo"
        let text = try HostKernel.unlessHidden { () throws(HostError) in try HostKernel.readText(path) }
        if let total = text.flatMap({ ProcFields($0).kibibytes("MemTotal") }) { return total }
        // Old C libraries read /proc/meminfo for it.
        let pages = sysconf(CInt(_SC_PHYS_PAGES))
        guard pages > 0 else { throw HostError(unreadable: path.string) }
        return pageSize * pages
    }

    /// How much can be allocated without swapping: MemAvailable of /proc/meminfo, or less where a memory cgroup
    /// leaves less.
    ///
    /// Going beyond the first summons the OOM killer, going beyond the second does too, and neither gives ENOMEM first.
    package static func availableMemory() throws(HostError) -> AvailableMemory {
        let host = try hostAvailableMemory()
        guard let cgroup = CgroupMemory.headroom(), cgroup.room < host else {
            return AvailableMemory(bytes: host, source: "MemAvailable")
        }
        return AvailableMemory(
            bytes: cgroup.room, source: "the memory cgroup's limit of \(cgroup.limit.rawValue >> 10) KiB")
    }

    /// MemAvailable of /proc/meminfo: what bounds memory that is charged to nobody, such as a pool of huge pages.
    package static func hostAvailableMemory() throws(HostError) -> ByteCount {
        let path: FilePath = "/proc/meminfo"
        guard let available = ProcFields(try HostKernel.readText(path)).kibibytes("MemAvailable") else {
            throw HostError(unreadable: path.string)
        }
        return available
    }

    /// An amount of memory and who says so.
    package struct AvailableMemory: Sendable {
        /// The amount.
        package let bytes: ByteCount
        /// The name of the figure it comes from.
        package let source: String
    }
}

extension ByteCount {
    /// Whether it is a number of whole pages, 0 at least.
    var isWholePages: Bool { rawValue >= 0 && rawValue.isMultiple(of: HostLimits.pageSize.rawValue) }

    /// Whether it is a power of two.
    package var isPowerOfTwo: Bool { rawValue > 0 && rawValue & (rawValue - 1) == 0 }
}

extension AddressRange {
    /// Whether it consists of whole pages.
    var isWholePages: Bool {
        length.isWholePages && start.rawValue.isMultiple(of: UInt(HostLimits.pageSize.rawValue))
    }
}
