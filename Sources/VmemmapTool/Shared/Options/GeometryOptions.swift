import ArgumentParser
import HostMemory
import VmemmapEmulator

/// The options that say how large base pages and huge pages are: those of this host, or of another architecture.
struct GeometryOptions: ParsableArguments {
    @Option(help: "The base page and the sizes of huge page of an architecture (default: this host's base page).")
    var arch: Architecture?

    @Option(
        help: ArgumentHelp("Base page: 4K, 16K or 64K, this host's or larger.", valueName: "SIZE"),
        completion: .list(Geometry.basePageSizes.map(\.argument)), transform: GeometryOptions.basePage)
    var basePage: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Huge page size, \(OptionHelp.pageSizes) (default: the one that a PMD maps, 2M with 4K base pages; with "
                + "--arch its smallest of which something is freed).", valueName: "SIZE"),
        completion: .list(HugePageSize.usual), transform: HugePageSize.parse)
    var pageSize: HugePageSize?

    private static func basePage(_ text: String) throws -> ByteCount {
        guard let size = (try? MemorySize.parse(text))?.bytes, Geometry.basePageSizes.contains(size) else {
            throw ValidationError("it must be 4K, 16K or 64K")
        }
        return size
    }

    /// The base page asked for.
    var basePageSize: ByteCount { arch?.basePageSize ?? basePage ?? HostLimits.pageSize }

    /// The size of huge page asked for.
    ///
    /// - Parameter schemes: of which one at least is to free something where the architecture decides.
    func hugePageSize(_ schemes: [Scheme]) -> HugePageSize {
        if let pageSize { return pageSize }
        let ofArchitecture = arch?.hugePageSizes(of: schemes).first { frees($0, schemes) }
        return ofArchitecture ?? HugePageSize(bytes: basePageSize * (basePageSize.rawValue / 8)) ?? .twoMebibytes
    }

    private func frees(_ size: HugePageSize, _ schemes: [Scheme]) -> Bool {
        schemes.contains { $0.frees(of: size, basePageSize: basePageSize) }
    }

    /// Throws where a size is asked for that an architecture does not have under any of the schemes, or of which its
    /// kernel frees nothing.
    func check(frees schemes: [Scheme]) throws {
        guard let arch, let pageSize else { return }
        try arch.check(has: pageSize, schemes)
        if frees(pageSize, schemes) { return }
        let sizes = arch.hugePageSizes(of: schemes).filter { frees($0, schemes) }.map(\.defaultValueDescription)
        throw ValidationError(
            "Of huge pages of \(pageSize.defaultValueDescription) \(arch.rawValue) has nothing to free: use "
                + "--page-size " + sizes.joined(separator: " or ") + ".")
    }

    /// As on the command line of another process; nothing where it is the default.
    static func arguments(basePageSize: ByteCount) -> [String] {
        basePageSize == HostLimits.pageSize ? [] : ["--base-page", basePageSize.argument]
    }

    func validate() throws {
        try OptionRule.check("--base-page", isGiven: basePage != nil, excludes: "--arch", isOtherGiven: arch != nil)
        let name = basePageSize.argument
        guard basePageSize >= HostLimits.pageSize else {
            throw ValidationError(
                "Base pages of \(name) are smaller than this host's, of \(HostLimits.pageSize.argument).")
        }
        guard let pageSize else { return }
        try arch?.check(has: pageSize, Scheme.ofHugeTLB)
        if pageSize.bytes <= basePageSize {
            throw ValidationError(
                "A huge page is larger than a base page, of \(name): not \(pageSize.defaultValueDescription).")
        }
    }
}

extension Architecture: ExpressibleByArgument {
    /// Throws unless it has huge pages of a size for any of the schemes.
    func check(has size: HugePageSize, _ schemes: [Scheme]) throws {
        let sizes = hugePageSizes(of: schemes)
        if sizes.contains(size) { return }
        let names = sizes.map(\.defaultValueDescription).joined(separator: ", ")
        let use = schemes.contains(where: \.isRemapped) ? "" : " for device DAX"
        throw ValidationError(
            "\(rawValue) has huge pages of \(names)\(use), not of \(size.defaultValueDescription).")
    }
}
