import CSystemShims
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
    /// vm.max_map_count; nil where /proc/sys is hidden.
    package let maxMapCount: MappingCount?
    /// The chosen word of /sys/kernel/mm/transparent_hugepage/enabled; nil where that is not to be read.
    package let transparentHugePages: String?
    /// Effective user 0.
    package let isRoot: Bool
    /// Whether /proc/self/pagemap tells frame numbers; nil where there is none, as on a kernel without it.
    package let showsFrameNumbers: Bool?
    /// What one mapping costs the kernel.
    package let mappingCost: MappingCost

    /// Asks this host.
    package static func current() throws(HostError) -> HostDescription {
        let name = SystemName.current
        return HostDescription(
            kernelRelease: name.release,
            machine: name.machine,
            pageSize: HostLimits.pageSize,
            processors: processorsOnline,
            maxMapCount: try HostKernel.unlessHidden(HostLimits.maxMapCount),
            transparentHugePages: (try? HostKernel.readText("/sys/kernel/mm/transparent_hugepage/enabled"))
                .flatMap(chosen),
            isRoot: geteuid() == 0,
            showsFrameNumbers: try HostKernel.unlessHidden(PageMap.showsFrameNumbers),
            mappingCost: .current())
    }

    /// Processors online. The corresponding C function is `sysconf`.
    package static var processorsOnline: Int { sysconf(CInt(_SC_NPROCESSORS_ONLN)) }

    /// The word in brackets: `always [madvise] never` gives `madvise`. Pure.
    package static func chosen(_ text: String) -> String? {
        guard let open = text.firstIndex(of: "["), let close = text[open...].firstIndex(of: "]") else { return nil }
        return String(text[text.index(after: open)..<close])
    }
}

/// What the kernel calls itself. The corresponding C function is `uname`, which no hidden /proc stands in the way of.
package struct SystemName: Hashable, Sendable {
    /// `uname -r`.
    package let release: String
    /// `uname -m`.
    package let machine: String
    /// `uname -n`.
    package let node: String

    /// Asks the kernel.
    package static var current: SystemName {
        var name = utsname()
        // SAFETY: the structure lives for the call. It fails for a bad address alone.
        _ = unsafe uname(&name)
        return SystemName(release: text(name.release), machine: text(name.machine), node: text(name.nodename))
    }

    /// The text in an array of C characters, up to the first that is 0.
    private static func text<Characters>(_ characters: Characters) -> String {
        // SAFETY: the bytes are read while the copy of the array lives, and there are as many as it has.
        unsafe withUnsafeBytes(of: characters) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

extension HostKernel {
    /// The commit that the program was built from; empty where the build does not name one.
    package static var commitOfBuild: String {
        // SAFETY: a string literal of C, which lives as long as the program.
        unsafe String(cString: vme_commit())
    }
}
