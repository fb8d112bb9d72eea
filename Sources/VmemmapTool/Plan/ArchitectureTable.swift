import ArgumentParser
import HostMemory
import VmemmapEmulator

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
    /// Those over all; null where there is no whole one.
    let freedShareRatio: Measured<Double>
    /// Whether mainline shares vmemmap there by the scheme.
    let isInMainline: Bool

    /// Every size of every architecture under each of `schemes`, with struct pages of a size.
    static func all(schemes: [Scheme], structPage: ByteCount) -> [ArchitectureRow] {
        Architecture.allCases.flatMap { architecture in
            architecture.hugePageSizes(of: schemes).flatMap { size in
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
        freedShareRatio = Measured(
            vmemmapPages == .zero ? nil : Double(freedPages.rawValue) / Double(vmemmapPages.rawValue))
        isInMainline =
            architecture.isInMainline(scheme) && !Geometry.plannedStructPageSizes.contains(geometry.structPageSize)
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
                .share("freed_share", "Those over all; nothing where there is no whole one.") {
                    $0.freedShareRatio.value
                }.shown("share"),
                .truth("is_in_mainline", "Whether mainline shares vmemmap there by the scheme.") { $0.isInMainline }
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

    /// The one; nil of all.
    var one: Architecture? { if case .one(let architecture) = self { architecture } else { nil } }

    /// As it is written on the command line.
    var name: String { one?.rawValue ?? "all" }
}

extension Architecture {
    /// Whether mainline shares vmemmap there by a scheme, in a sentence.
    func mainline(_ scheme: Scheme) -> String {
        whyNotInMainline(scheme).map { "Mainline does not have it there: \(family), \($0)." }
            ?? "Mainline has it there."
    }

    /// Which of all are not in mainline, a sentence for each reason.
    static func notInMainline(_ scheme: Scheme) -> [String] {
        var reasons: [(why: String, families: [String])] = []
        for architecture in allCases {
            guard let why = architecture.whyNotInMainline(scheme) else { continue }
            if let known = reasons.firstIndex(where: { $0.why == why }) {
                if !reasons[known].families.contains(architecture.family) {
                    reasons[known].families.append(architecture.family)
                }
            } else {
                reasons.append((why, [architecture.family]))
            }
        }
        return reasons.map { "Not in mainline: \($0.families.joined(separator: ", ")), \($0.why)." }
    }
}
