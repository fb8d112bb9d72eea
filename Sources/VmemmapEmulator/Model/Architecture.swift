package import HostMemory

/// An architecture with a size of base page: the sizes of huge page that it has, and whether mainline shares their
/// vmemmap. Read in the kernel's sources (arch/*/Kconfig, Linux 7.1), not measured.
package enum Architecture: String, CaseIterable, Sendable, Codable {
    case x86 = "x86-64"
    case arm64With4K = "arm64-4k"
    case arm64With16K = "arm64-16k"
    case arm64With64K = "arm64-64k"
    case powerpc = "powerpc-64k"
    case s390
    case loongarch = "loongarch-16k"
    case riscv

    /// The base page.
    package var basePageSize: ByteCount {
        switch self {
        case .x86, .arm64With4K, .s390, .riscv: .kibibytes(4)
        case .arm64With16K, .loongarch: .kibibytes(16)
        case .arm64With64K, .powerpc: .kibibytes(64)
        }
    }

    /// HugeTLB's sizes, the smallest first. Those between the levels of a page table are runs of entries that the
    /// hardware takes for one: arm64's contiguous bit, Svnapot of RISC-V.
    package var hugePageSizes: [HugePageSize] {
        let mebibytes: [Double] =
            switch self {
            case .x86, .powerpc: [2, 1024]
            case .arm64With4K: [1.0 / 16, 2, 32, 1024]
            case .arm64With16K: [2, 32, 1024]
            case .arm64With64K: [2, 512, 16384]
            case .s390: [1, 2048]
            case .loongarch: [32]
            case .riscv: [1.0 / 16, 2, 1024]
            }
        return mebibytes.compactMap { HugePageSize(bytes: ByteCount(Int($0 * 1048576))) }
    }

    /// Those of HugeTLB and of device DAX that any of `schemes` is for. A device is aligned to what a PMD or a PUD maps
    /// (`dax_align_valid()`), and to no run of entries.
    package func hugePageSizes(of schemes: [Scheme]) -> [HugePageSize] {
        if schemes.contains(where: \.isRemapped) { return hugePageSizes }
        return hugePageSizes.filter { $0.bytes == pmdBytes || $0.bytes == pudBytes }
    }

    /// What a PMD maps.
    private var pmdBytes: ByteCount {
        switch self {
        case .x86, .arm64With4K, .powerpc, .riscv: .mebibytes(2)
        case .arm64With16K, .loongarch: .mebibytes(32)
        case .arm64With64K: .mebibytes(512)
        case .s390: .mebibytes(1)
        }
    }

    /// What a PUD maps; nil where that is more than HugeTLB has.
    private var pudBytes: ByteCount? {
        switch self {
        case .x86, .arm64With4K, .powerpc, .riscv: .gibibytes(1)
        case .s390: .gibibytes(2)
        case .arm64With16K, .arm64With64K, .loongarch: nil
        }
    }

    /// Whether PMDs map the vmemmap, so that sharing some of it takes page tables (`vmemmap_populate()`). arm64 has it
    /// mapped so with base pages of 4 KiB alone.
    package var mapsVmemmapByPMDs: Bool { self != .arm64With16K && self != .arm64With64K }

    /// The sizes of an emulated machine, which has two at most: the one that a PMD maps, and the largest, if that is
    /// another. The latter is what a PUD maps; on arm64 with larger base pages, where a PUD would map more than HugeTLB
    /// has, it is a run of 32 PMDs.
    package var machineSizes: MachineSizes? {
        HugePageSize(bytes: pmdBytes).flatMap { block in
            MachineSizes(
                basePage: basePageSize, block: block, gigantic: hugePageSizes.last { $0.bytes > block.bytes })
        }
    }

    /// A machine that has one or two others of its sizes, the smaller first; nil where there are no such.
    package func machineSizes(_ sizes: [HugePageSize]) -> MachineSizes? {
        guard let block = sizes.first, sizes.count <= 2, sizes.allSatisfy(hugePageSizes.contains) else { return nil }
        return MachineSizes(basePage: basePageSize, block: block, gigantic: sizes.dropFirst().first)
    }

    /// That of this host; nil where it is none of these.
    package static var ofHost: Architecture? {
        #if arch(x86_64)
            .x86
        #elseif arch(arm64)
            [.arm64With4K, .arm64With16K, .arm64With64K].first { $0.basePageSize == HostLimits.pageSize }
        #else
            nil
        #endif
    }

    /// Its name without the base page, as the kernel writes it.
    package var family: String { String(rawValue.prefix { $0 != "-" }) }

    /// Whether mainline shares vmemmap there so: HugeTLB's (ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP), or that of device DAX
    /// (ARCH_WANT_OPTIMIZE_DAX_VMEMMAP).
    package func isInMainline(_ scheme: Scheme) -> Bool { whyNotInMainline(scheme) == nil }

    /// Why not, as said of the ``family``; nil where it does.
    package func whyNotInMainline(_ scheme: Scheme) -> String? {
        switch (self, scheme.isRemapped) {
        case (.x86, _), (.riscv, _), (.loongarch, true), (.powerpc, false): nil
        case (.arm64With4K, true), (.arm64With16K, true), (.arm64With64K, true):
            "off since 060a2c92d1b6, as an entry may not be replaced in one step (break-before-make)"
        case (.s390, true): "off since October 2025, as a valid entry may not be replaced by another"
        case (.powerpc, true): "for device DAX alone, with radix page tables"
        case (_, false): "whose Kconfig does not select ARCH_WANT_OPTIMIZE_DAX_VMEMMAP"
        }
    }
}
