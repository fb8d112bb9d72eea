package import HostMemory
import SystemPackage

/// Memory that is neither free nor in any count of what it is used for.
///
/// What the kernel has lost is in there, and little that comes and goes: while others build programs on the machine, it
/// moves by less than 0.5 MiB in 0.2 s, where MemFree moves by 40 MiB. Only differences mean anything.
package struct UnaccountedMemory: Hashable, Sendable {
    /// What is left over.
    package let bytes: ByteCount

    /// Works it out; nil where a figure is missing.
    ///
    /// - Parameters:
    ///   - meminfo: the text of /proc/meminfo.
    ///   - zoneinfo: that of /proc/zoneinfo: what each processor has put aside is free, and not in MemFree.
    ///   - pageSize: the base page.
    package init?(meminfo: String, zoneinfo: String, pageSize: ByteCount) {
        let fields = ProcFields(meminfo)
        guard let total = fields.kibibytes("MemTotal") else { return nil }
        var known = ByteCount.zero
        for name in Self.required {
            guard let figure = fields.kibibytes(name) else { return nil }
            known += figure
        }
        for name in Self.sinceLater { known += fields.kibibytes(name) ?? .zero }
        let lines = zoneinfo.split(separator: "\n").map { $0.drop { $0 == " " } }
        let counts = lines.filter { $0.hasPrefix("count:") }
        let aside = counts.compactMap { UInt32($0.dropFirst(6).drop { $0 == " " }) }
        guard !aside.isEmpty, aside.count == counts.count else { return nil }
        bytes = total - known - aside.reduce(.zero) { $0 + pageSize * Int($1) }
    }

    /// Asks this host; nil where a file or a figure is hidden.
    package static func current() throws(HostError) -> UnaccountedMemory? {
        try HostKernel.unlessHidden { () throws(HostError) in
            UnaccountedMemory(
                meminfo: try HostKernel.readText("/proc/meminfo"), zoneinfo: try HostKernel.readText("/proc/zoneinfo"),
                pageSize: HostLimits.pageSize)
        }
    }

    /// The lists of pages in use hold the page cache, anonymous and shared memory.
    private static let required = [
        "MemFree", "Active", "Inactive", "Unevictable", "Slab", "KernelStack", "PageTables",
    ]
    private static let sinceLater = ["SecPageTables", "Percpu", "Hugetlb", "Balloon", "Bounce"]
}
