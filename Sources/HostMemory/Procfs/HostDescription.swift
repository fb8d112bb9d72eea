import Glibc
import SystemPackage

/// The host, as far as it bears on a result.
package struct HostDescription: Hashable, Sendable {
    /// `uname -r`.
    package let kernelRelease: String
    /// `uname -m`.
    package let machine: String
    /// The base page.
    package let pageSize: ByteCount
    /// Processors online.
    package let processors: Int
    /// vm.max_map_count.
    package let maxMapCount: MappingCount
    /// The chosen word of /sys/kernel/mm/transparent_hugepage/enabled; nil where that is not to be read.
    package let transparentHugePages: String?
    /// Effective user 0.
    package let isRoot: Bool
    /// Whether /proc/self/pagemap tells frame numbers.
    package let showsFrameNumbers: Bool
    /// What one mapping costs the kernel.
    package let mappingCost: MappingCost

    /// Asks this host.
    package static func current() throws(HostError) -> HostDescription {
        HostDescription(
            kernelRelease: try trimmed("/proc/sys/kernel/osrelease"),
            machine: (try? trimmed("/proc/sys/kernel/arch")) ?? buildMachine,
            pageSize: HostLimits.pageSize,
            processors: processorsOnline,
            maxMapCount: try HostLimits.maxMapCount(),
            transparentHugePages: (try? HostKernel.readText("/sys/kernel/mm/transparent_hugepage/enabled"))
                .flatMap(chosen),
            isRoot: geteuid() == 0,
            showsFrameNumbers: try PageMap.showsFrameNumbers(),
            mappingCost: .current())
    }

    /// Processors online. The corresponding C function is `sysconf`.
    package static var processorsOnline: Int { sysconf(CInt(_SC_NPROCESSORS_ONLN)) }

    /// The word in brackets: `always [madvise] never` gives `madvise`. Pure.
    package static func chosen(_ text: String) -> String? {
        guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]") else { return nil }
        return String(text[text.index(after: open)..<close])
    }

    private static func trimmed(_ path: FilePath) throws(HostError) -> String {
        let text = try HostKernel.readText(path)
        guard let word = text.split(whereSeparator: \.isWhitespace).first else {
            throw HostError(unreadable: path.string)
        }
        return String(word)
    }

    /// What this build is for, where the kernel (before 6.1) does not name the machine.
    private static var buildMachine: String {
        #if arch(x86_64)
            "x86_64"
        #elseif arch(arm64)
            "aarch64"
        #else
            "unknown"
        #endif
    }
}
