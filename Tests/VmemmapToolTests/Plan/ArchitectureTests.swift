import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("plan --arch: every architecture, size and scheme")
struct ArchitectureTests {
    /// An architecture and a size of huge page, as the kernel's documents and commits have them: whole vmemmap pages,
    /// what of them is freed under the first-tail scheme and under its two successors, and whether mainline does so.
    private static let ofHugeTLB: [(name: String, kibibytes: Int, pages: Int, first: Int, head: Int, is: Bool)] = [
        ("x86-64", 2048, 8, 6, 7, true), ("x86-64", 1 << 20, 4096, 4094, 4095, true),
        ("arm64-4k", 64, 0, 0, 0, false), ("arm64-4k", 2048, 8, 6, 7, false),
        ("arm64-4k", 32 << 10, 128, 126, 127, false), ("arm64-4k", 1 << 20, 4096, 4094, 4095, false),
        ("arm64-16k", 2048, 0, 0, 0, false), ("arm64-16k", 32 << 10, 8, 6, 7, false),
        ("arm64-16k", 1 << 20, 256, 254, 255, false), ("arm64-64k", 2048, 0, 0, 0, false),
        ("arm64-64k", 512 << 10, 8, 6, 7, false), ("arm64-64k", 16 << 20, 256, 254, 255, false),
        ("powerpc-64k", 2048, 0, 0, 0, false), ("powerpc-64k", 1 << 20, 16, 14, 15, false),
        ("s390", 1024, 4, 2, 3, false), ("s390", 2 << 20, 8192, 8190, 8191, false),
        ("loongarch-16k", 32 << 10, 8, 6, 7, true), ("riscv", 64, 0, 0, 0, true), ("riscv", 2048, 8, 6, 7, true),
        ("riscv", 1 << 20, 4096, 4094, 4095, true),
    ]

    /// The same of device DAX: the sizes that a PMD or a PUD maps, of which two vmemmap pages stay.
    private static let ofDevices: [(name: String, kibibytes: Int, pages: Int, freed: Int, is: Bool)] = [
        ("x86-64", 2048, 8, 6, true), ("x86-64", 1 << 20, 4096, 4094, true), ("arm64-4k", 2048, 8, 6, false),
        ("arm64-4k", 1 << 20, 4096, 4094, false), ("arm64-16k", 32 << 10, 8, 6, false),
        ("arm64-64k", 512 << 10, 8, 6, false), ("powerpc-64k", 2048, 0, 0, true),
        ("powerpc-64k", 1 << 20, 16, 14, true), ("s390", 1024, 4, 2, false), ("s390", 2 << 20, 8192, 8190, false),
        ("loongarch-16k", 32 << 10, 8, 6, false), ("riscv", 2048, 8, 6, true), ("riscv", 1 << 20, 4096, 4094, true),
    ]

    private static func text(_ name: String, _ kibibytes: Int, _ pages: Int, _ freed: Int, _ isThere: Bool) -> String {
        "\(name) \(kibibytes): \(freed) of \(pages), \(isThere)"
    }

    private static func texts(_ scheme: Scheme) -> [String] {
        ArchitectureRow.all(schemes: [scheme], structPage: StructPage.size).map {
            text(
                $0.architecture.rawValue, $0.hugePageBytes.rawValue >> 10, $0.vmemmapPages.rawValue,
                $0.freedPages.rawValue, $0.isInMainline)
        }
    }

    private static func plan(
        _ architecture: ArchitectureChoice?, _ schemes: [Scheme], sizes: [HugePageSize] = [.twoMebibytes],
        structPage: ByteCount = StructPage.size
    ) throws -> PlanResult {
        try PlanExperiment(
            memory: .gibibytes(64), architecture: architecture, sizes: sizes, schemes: schemes, backing: .anonymous,
            tailFrames: .frames(PageCount(1)), structPageSize: structPage
        ).run()
    }

    private static func text(_ result: PlanResult) -> String { ForecastReport.lines(result).joined(separator: "\n") }

    @Test("Pages, freed pages and mainline of every row, under every scheme")
    func rows() {
        for scheme in Scheme.ofHugeTLB {
            let expected = Self.ofHugeTLB.map {
                Self.text($0.name, $0.kibibytes, $0.pages, scheme == .firstTail ? $0.first : $0.head, $0.is)
            }
            #expect(Self.texts(scheme) == expected, "\(scheme)")
        }
        let expected = Self.ofDevices.map { Self.text($0.name, $0.kibibytes, $0.pages, $0.freed, $0.is) }
        #expect(Self.texts(.deviceDax) == expected)
    }

    @Test("A struct page of 8 bytes leaves a 2 MiB page nothing to free, and 1 GiB nearly 2 MiB; no kernel has it")
    func memdesc() throws {
        let rows = ArchitectureRow.all(schemes: [.head], structPage: ByteCount(8))
        #expect(rows.prefix(2).map(\.freedPages.rawValue) == [0, 511])
        #expect(rows.allSatisfy { !$0.isInMainline })
        for architecture in [nil, ArchitectureChoice.one(.x86)] {
            let text = Self.text(try Self.plan(architecture, Scheme.ofHugeTLB, structPage: ByteCount(8)))
            #expect(text.contains("(memdesc): no kernel has that yet.") && !text.contains("Mainline has it there."))
            #expect(text.contains("\nA kernel with the ") && !text.contains("This host's kernel"), "\(text)")
        }
    }

    @Test("The share tells apart what rounds to 1, under one key in every form", arguments: Scheme.allCases)
    func share(_ scheme: Scheme) throws {
        let result = try Self.plan(.all, [scheme])
        let shares =
            scheme == .firstTail || scheme == .deviceDax
            ? ["75.00 %", "99.95 %", "99.98 %"] : ["87.50 %", "99.98 %", "99.99 %"]
        let lines = ForecastReport.lines(result, Style(width: 80, isColored: false, isVerbose: false))
        #expect(lines.contains { $0.contains("share  mainline") })
        let markdown = try ExportFormat.markdown.text(result)
        let html = try ExportFormat.html.text(result)
        for share in shares {
            #expect(lines.contains { $0.contains("  \(share)  ") }, "\(share)")
            #expect(markdown.contains("| \(share) |") && html.contains(share.replacing(" ", with: "\u{a0}")))
        }
        for format in ExportFormat.allCases where format != .html {
            #expect(try format.text(result).contains("freed_share_ratio"), "\(format)")
        }
        #expect(try ExportFormat.json.text(result).contains("\"freed_share_ratio\" : null"))
    }

    @Test("The table of all schemes fits 80 columns, with its base pages")
    func width() throws {
        for schemes in [Scheme.ofHugeTLB, [.deviceDax]] {
            let lines = ForecastReport.lines(
                try Self.plan(.all, schemes), Style(width: 80, isColored: false, isVerbose: false))
            #expect(lines.allSatisfy { $0.count <= 80 } && lines.contains { $0.contains("64 KiB") })
        }
    }

    @Test("Of --arch all the architectures are the answer, in every form, and this host's forecast is none")
    func answer() throws {
        let result = try Self.plan(.all, Scheme.ofHugeTLB)
        let csv = try ExportFormat.csv.text(result).split(separator: "\n")
        #expect(
            csv[0].hasPrefix("architecture,huge_page_bytes,scheme,") && csv[1].hasPrefix("x86-64,2097152,first-tail,"))
        for format in [ExportFormat.markdown, .prometheus, .html] {
            let text = try format.text(result)
            #expect(text.contains("loongarch-16k"), "\(format)")
            #expect(!text.contains("kernel_net") && !text.contains("you are here") && !text.contains("would free"))
        }
        // Keys are sorted.
        let keys = try ExportFormat.json.text(result).split(separator: "\n").filter { $0.hasPrefix("  \"") }
        #expect(keys.first?.contains("architectures") == true)
    }

    @Test("Whether mainline shares so there is said of the scheme that was asked for")
    func mainline() throws {
        func text(_ architecture: Architecture, _ scheme: Scheme) throws -> String {
            Self.text(
                try Self.plan(.one(architecture), [scheme], sizes: architecture.hugePageSizes(of: [scheme])))
        }
        #expect(
            try text(.arm64With64K, .head).contains(
                "\nMainline does not have it there: arm64, off since 060a2c92d1b6, as an entry "))
        #expect(try text(.powerpc, .head).contains("there: powerpc, for device DAX alone, with radix page tables."))
        #expect(try text(.loongarch, .head).contains("\nMainline has it there."))
        for scheme in Scheme.ofHugeTLB {
            #expect(try text(.riscv, scheme).contains("\nA kernel with the \(scheme.rawValue) scheme would free, of "))
        }
        for architecture in [Architecture.s390, .arm64With4K, .loongarch] {
            #expect(
                try text(architecture, .deviceDax).contains(
                    "\nMainline does not have it there: \(architecture.family), whose Kconfig does not select "))
        }
        for architecture in [Architecture.x86, .riscv, .powerpc] {
            #expect(
                try text(architecture, .deviceDax).contains("\nLinux has that since 5.19 on x86-64, later on riscv"))
        }
        let devices = Self.text(try Self.plan(.all, [.deviceDax]))
        #expect(devices.contains("\nNot in mainline: arm64, s390, loongarch, whose Kconfig does not select "))
        #expect(!devices.contains("060a2c92d1b6") && !devices.contains("HugeTLB"), "\(devices)")
        let hugeTLB = Self.text(try Self.plan(.all, Scheme.ofHugeTLB))
        #expect(hugeTLB.contains("\nNot in mainline: arm64, off since 060a2c92d1b6, "))
        #expect(hugeTLB.contains("\nNot in mainline: s390, off since October 2025, "))
    }

    @Test("No name that is written small begins with a capital")
    func capitals() throws {
        for architecture in Architecture.allCases {
            for scheme in [Scheme.head, .deviceDax] {
                let text = architecture.mainline(scheme) + Architecture.notInMainline(scheme).joined()
                for name in ["Arm64", "S390", "Powerpc", "Loongarch", "Riscv"] { #expect(!text.contains(name)) }
            }
        }
    }

    @Test("A plan for devices is titled so; a size that no device has here is said")
    func devices() throws {
        let size = try #require(HugePageSize(bytes: .gibibytes(16)))
        let result = try Self.plan(nil, [.deviceDax], sizes: [.twoMebibytes, size])
        let text = Self.text(result)
        #expect(text.hasPrefix("vmemmap plan: what device DAX's shared vmemmap gives back (nothing is mapped)\n"))
        guard Architecture.ofHost != nil else { return }
        #expect(text.contains("\nThis host's kernel has no huge pages of 16.00 GiB for device DAX."), "\(text)")
    }

    @Test(
        "Page tables are deducted where PMDs map the vmemmap, whatever the base page", arguments: Architecture.allCases)
    func pageTables(_ architecture: Architecture) throws {
        for scheme in [Scheme.head, .deviceDax] {
            let result = try Self.plan(.one(architecture), [scheme], sizes: architecture.hugePageSizes(of: [scheme]))
            let isByBasePages = ["arm64-16k", "arm64-64k"].contains(architecture.rawValue)
            for row in result.forecast.rows where row.freedBytes > .zero {
                #expect((row.kernelPageTableBytes == .zero) == isByBasePages, "\(row)")
                #expect(row.kernelNetBytes == row.freedBytes - row.kernelPageTableBytes)
            }
            let text = Self.text(result)
            #expect(text.contains("; that takes no page tables.") == isByBasePages, "\(text)")
            #expect(text.contains("Net: less the page tables that map vmemmap by base pages then.") == !isByBasePages)
        }
    }
}
