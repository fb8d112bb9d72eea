import ArgumentParser
import HostMemory
import VmemmapEmulator

/// An architecture with a size of base page: the sizes of huge page that HugeTLB has there, and whether mainline
/// optimizes their vmemmap. Read in the kernel's sources (arch/*/Kconfig, Linux 7.1), not measured.
enum Architecture: String, CaseIterable, Sendable, Codable {
    case x86 = "x86-64"
    case arm64With4K = "arm64-4k"
    case arm64With16K = "arm64-16k"
    case arm64With64K = "arm64-64k"
    case powerpc = "powerpc-64k"
    case s390
    case loongarch = "loongarch-16k"
    case riscv

    /// The base page.
    var basePageSize: ByteCount {
        switch self {
        case .x86, .arm64With4K, .s390, .riscv: .kibibytes(4)
        case .arm64With16K, .loongarch: .kibibytes(16)
        case .arm64With64K, .powerpc: .kibibytes(64)
        }
    }

    /// HugeTLB's sizes, the smallest first. Those between the levels of a page table are runs of entries that the
    /// hardware takes for one: arm64's contiguous bit, Svnapot of RISC-V.
    var hugePageSizes: [HugePageSize] {
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

    /// What a PMD maps.
    private var pmdBytes: ByteCount {
        switch self {
        case .x86, .arm64With4K, .powerpc, .riscv: .mebibytes(2)
        case .arm64With16K, .loongarch: .mebibytes(32)
        case .arm64With64K: .mebibytes(512)
        case .s390: .mebibytes(1)
        }
    }

    /// The sizes of an emulated machine, which has two at most: the one that a PMD maps, and the largest, if that is
    /// another. The latter is what a PUD maps; on arm64 with larger base pages, where a PUD would map more than HugeTLB
    /// has, it is a run of 32 PMDs.
    var machineSizes: MachineSizes? {
        HugePageSize(bytes: pmdBytes).flatMap { block in
            MachineSizes(
                basePage: basePageSize, block: block, gigantic: hugePageSizes.last { $0.bytes > block.bytes })
        }
    }

    /// That of this host; nil where it is none of these.
    static var ofHost: Architecture? {
        #if arch(x86_64)
            .x86
        #elseif arch(arm64)
            [.arm64With4K, .arm64With16K, .arm64With64K].first { $0.basePageSize == HostLimits.pageSize }
        #else
            nil
        #endif
    }

    /// Whether mainline has HugeTLB vmemmap optimization there (ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP).
    var isInMainline: Bool { whyNotInMainline == nil }

    /// Whether it has, in a sentence.
    var mainline: String {
        whyNotInMainline.map { "Mainline has it not there. \($0.capitalizedFirst)." } ?? "Mainline has it there."
    }

    /// Why not; nil where it has.
    var whyNotInMainline: String? {
        switch self {
        case .x86, .loongarch, .riscv: nil
        case .arm64With4K, .arm64With16K, .arm64With64K:
            "arm64: off since 060a2c92d1b6, as an entry may not be replaced in one step (break-before-make)"
        case .s390: "s390: off since October 2025, as a valid entry may not be replaced by another"
        case .powerpc: "powerpc: for device DAX alone, with radix page tables"
        }
    }
}

/// A size of huge page of an architecture under a scheme.
struct ArchitectureRow: Hashable, Sendable, Codable {
    /// The architecture.
    let architecture: Architecture
    /// Its base page.
    let basePageBytes: ByteCount
    /// The huge page.
    let hugePageBytes: ByteCount
    /// How the vmemmap is shared.
    let scheme: Scheme
    /// Whole vmemmap pages of a huge page.
    let vmemmapPages: PageCount
    /// Those that are freed.
    let freedPages: PageCount
    /// Whether mainline has the optimization there.
    let isInMainline: Bool

    /// Every size of every architecture under each of `schemes`, with struct pages of a size.
    static func all(schemes: [Scheme], structPage: ByteCount) -> [ArchitectureRow] {
        Architecture.allCases.flatMap { architecture in
            architecture.hugePageSizes.flatMap { size in
                schemes.compactMap { scheme in
                    Geometry(
                        forecastOf: size, basePageSize: architecture.basePageSize, structPageSize: structPage
                    ).map { ArchitectureRow(architecture, scheme, $0) }
                }
            }
        }
    }

    private init(_ architecture: Architecture, _ scheme: Scheme, _ geometry: Geometry) {
        self.architecture = architecture
        basePageBytes = geometry.basePageSize
        hugePageBytes = geometry.hugePageSize.bytes
        self.scheme = scheme
        vmemmapPages = geometry.vmemmapPagesPerHugePage
        freedPages = scheme.freedPages(geometry)
        isInMainline = architecture.isInMainline
    }

    static func table(_ rows: [ArchitectureRow]) -> ExportTable {
        ExportTable(
            "architecture", "A size of huge page of an architecture, and what of its vmemmap is freed.", rows,
            [
                .label("architecture", "The architecture, with its base page.") { $0.architecture.rawValue }
                    .shown("architecture"),
                .sizeLabel("huge_page_bytes", "The huge page.") { $0.hugePageBytes }.shown("huge page"),
                .label("scheme", "How the vmemmap is shared.") { $0.scheme.rawValue }.shown("scheme"),
                .bytes("base_page", "The base page.") { $0.basePageBytes }.shown("base\npage", drop: 1),
                .count("vmemmap_pages", "Whole vmemmap pages of a huge page.") { $0.vmemmapPages.rawValue }
                    .shown("vmemmap\npages"),
                .count("freed_pages", "Those that are freed.") { $0.freedPages.rawValue }.shown("freed"),
                .ratio("freed_share", "Freed over all; nothing where there is no whole one.") {
                    $0.vmemmapPages == .zero ? nil : Double($0.freedPages.rawValue) / Double($0.vmemmapPages.rawValue)
                },
                .truth("is_in_mainline", "Whether mainline has the optimization there.") { $0.isInMainline }
                    .shown("in\nmainline"),
            ])
    }
}

/// `--arch`: an architecture, or all of them.
enum ArchitectureChoice: ExpressibleByArgument, Sendable {
    case one(Architecture)
    case all

    init?(argument: String) {
        if argument == "all" {
            self = .all
        } else if let architecture = Architecture(rawValue: argument) {
            self = .one(architecture)
        } else {
            return nil
        }
    }

    static var allValueStrings: [String] { Architecture.allCases.map(\.rawValue) + ["all"] }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    var defaultValueDescription: String { name }

    /// As it is written on the command line.
    var name: String { if case .one(let architecture) = self { architecture.rawValue } else { "all" } }
}
