import SystemPackage

/// Whether this kernel was built with HugeTLB vmemmap optimization, whether it is on, and who says so.
package struct HVOConfiguration: Hashable, Sendable {
    /// Where the answer comes from.
    package enum Source: String, Hashable, Sendable, Codable {
        /// The sysctl vm.hugetlb_optimize_vmemmap (Linux 5.19): there only if the kernel was built with it and can use
        /// it (`hugetlb_vmemmap_init()`).
        case sysctl
        /// The kernel's configuration in /boot.
        case bootConfig = "boot-config"
        /// The configuration beside the kernel's modules, in /usr/lib/modules: Debian's place from Linux 7.2 on.
        case modulesConfig = "modules-config"
        /// Nothing that can be read: at most /proc/config.gz, which takes decompressing.
        case none
    }

    /// Whether the kernel was built with it; nil if nothing says so.
    package let isConfigured: Bool?
    /// Where that comes from.
    package let source: Source
    /// Whether huge pages that enter a pool now are optimized; nil without the sysctl.
    package let isOn: Bool?
    /// Whether the kernel shows its configuration in /proc/config.gz.
    package let hasCompressedConfig: Bool

    /// Puts together what was read. Pure.
    ///
    /// - Parameters:
    ///   - sysctl: the text of the sysctl; nil if there is none.
    ///   - bootConfig: the text of /boot/config-RELEASE; nil if there is none.
    ///   - modulesConfig: the text of /usr/lib/modules/RELEASE/config; nil if there is none.
    ///   - hasCompressedConfig: whether there is a /proc/config.gz.
    package init(sysctl: String?, bootConfig: String?, modulesConfig: String? = nil, hasCompressedConfig: Bool) {
        self.hasCompressedConfig = hasCompressedConfig
        // An empty file, put over the kernel's own, says nothing.
        let configurations = [(Source.bootConfig, bootConfig), (.modulesConfig, modulesConfig)].map { source, text in
            (source: source, lines: (text ?? "").split(separator: "\n"))
        }
        let configuration = configurations.first { _, lines in
            lines.contains { $0.hasPrefix("CONFIG_") || $0.hasPrefix("# CONFIG_") }
        }
        if let value = Int(sysctl?.split(whereSeparator: \.isWhitespace).first ?? "") {
            isConfigured = true
            source = .sysctl
            isOn = value != 0
        } else if let configuration {
            isConfigured = configuration.lines.contains { Self.options.contains($0) }
            source = configuration.source
            isOn = nil
        } else {
            isConfigured = nil
            source = .none
            isOn = nil
        }
    }

    /// Since Linux 5.18, and in 5.14 to 5.17.
    private static let options: [Substring] = [
        "CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP=y", "CONFIG_HUGETLB_PAGE_FREE_VMEMMAP=y",
    ]

    /// Asks this host.
    package static func current() throws(HostError) -> HVOConfiguration {
        let release = SystemName.current.release
        return HVOConfiguration(
            sysctl: try? HostKernel.readText("/proc/sys/vm/hugetlb_optimize_vmemmap"),
            bootConfig: try? HostKernel.readText(FilePath("/boot/config-\(release)")),
            modulesConfig: try? HostKernel.readText(FilePath("/usr/lib/modules/\(release)/config")),
            hasCompressedConfig: isThere("/proc/config.gz"))
    }

    private static func isThere(_ path: FilePath) -> Bool {
        guard let file = try? HostKernel.open(path, .readOnly) else { return false }
        try? HostKernel.close(file)
        return true
    }
}
