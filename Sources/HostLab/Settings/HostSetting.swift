package import HostMemory
package import SystemPackage

/// A setting of the host that is one whole number in a file of /proc/sys or /sys.
package struct HostSetting: Hashable, Sendable, CustomStringConvertible {
    /// What people call it: `vm.max_map_count`.
    package let name: String
    /// Its file.
    package let path: FilePath
    /// The file that is locked by whoever changes it (``SettingLock``). Settings that are changed together share one.
    package let lock: FilePath
    /// Whether a process is in trouble when it is lowered below what the process has: it limits the mappings of every
    /// process.
    package let limitsMappings: Bool
    /// Whether the kernel may do a part of what it is asked to, and the rest later: the huge pages of a pool that are
    /// in use leave it when they are freed.
    package let isGradual: Bool
    /// Whether every value that it may have is the doing of the process that guards it: it has found it unused, and
    /// changes it by other files and by mappings, too.
    package let isExclusive: Bool

    /// The setting in the file `path`, locked by the file `lock`.
    package init(
        name: String, path: FilePath, lock: FilePath, limitsMappings: Bool = false, isGradual: Bool = false,
        isExclusive: Bool = false
    ) {
        self.name = name
        self.path = path
        self.lock = lock
        self.limitsMappings = limitsMappings
        self.isGradual = isGradual
        self.isExclusive = isExclusive
    }

    /// Its name.
    package var description: String { name }

    /// vm.max_map_count: the most mappings a process may have.
    package static let maxMapCount = HostSetting(
        name: "vm.max_map_count", path: "/proc/sys/vm/max_map_count", lock: SettingLock.file("max-map-count"),
        limitsMappings: true)
    /// vm.hugetlb_optimize_vmemmap: whether huge pages that enter a pool from now on are optimized.
    package static let optimizeVmemmap = HostSetting(
        name: "vm.hugetlb_optimize_vmemmap", path: "/proc/sys/vm/hugetlb_optimize_vmemmap",
        lock: HugeTLBPool.lock)

    /// What it is now.
    package func value() throws(HostError) -> Int { try HostKernel.readNumber(path) }

    /// Whether this process may write it: finds out by opening its file, and writes nothing.
    package func checkWritable() throws(HostError) {
        try HostKernel.close(try HostKernel.open(path, .writeOnly))
    }

    /// Writes `value` and returns how long the kernel took over that, in nanoseconds. It may have done less than it was
    /// asked to: read again.
    func write(_ value: Int) throws(HostError) -> Int {
        let text = Array("\(value)\n".utf8)
        let file = try HostKernel.open(path, .writeOnly)
        let start: Int
        let end: Int
        do {
            start = HostKernel.monotonicNanoseconds()
            try HostKernel.write(text, to: file, name: path.string)
            end = HostKernel.monotonicNanoseconds()
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
        return end - start
    }
}
