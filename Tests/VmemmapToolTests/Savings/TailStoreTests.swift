import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("savings --scheme device-dax: a store through one tail")
struct TailStoreTests {
    private static let id = "store_shows_in_every_tail"

    /// KiB of base page, MiB of huge page, how many, tail frames, and the vmemmap pages that it must be read in.
    static let shapes = [
        (4, 2, 3, 1, 7), (4, 2, 1, 1, 7), (4, 2, 4, 3, 3), (4, 1024, 1, 1, 4095), (16, 32, 2, 1, 7),
        (64, 512, 1, 1, 7), (64, 1024, 2, 4, 4),
    ]

    @Test("It is read in every vmemmap page but the first, and in no other huge page's", arguments: shapes)
    func seen(_ base: Int, _ size: Int, _ pages: Int, _ run: Int, _ expected: Int) throws {
        guard ByteCount.kibibytes(base) >= HostLimits.pageSize else { return }
        for backing in Backing.allCases {
            let memory = EmulatedMemory(
                pages: HugePageCount(pages), pageSize: try #require(HugePageSize(bytes: .mebibytes(size))),
                basePageSize: .kibibytes(base), scheme: .deviceDax, backing: backing,
                tailFrames: .frames(PageCount(run)), construction: .optimized)
            let result = try SavingsExperiment(memory).run { _ in }
            let check = try #require(result.checks.first { $0.id == Self.id })
            #expect(check.outcome == .passed && check.figures[0].measured.value == expected, "\(check)")
            #expect(check.figures.map(\.name).first == "vmemmap_pages_seen_in")
            let text = SavingsReport.lines(result).joined(separator: "\n")
            for note in result.notes { #expect(text.contains("\nNote: \(note).\n")) }
            #expect(result.notes.count == 2)
            #expect(try ExportFormat.html.text(result).contains("Nobody may keep "))
        }
    }

    @Test("Where each tail has a frame of its own, it fails, and nothing is left of the store")
    func populated() throws {
        let region = try VmemmapRegion(hugePages: 3)
        let check = try TailStore(in: region).check
        #expect(check.outcome == .failed && check.figures.map(\.measured.value) == [1, 0, 0])
        #expect(check.figures.map(\.expected.value) == [7, 0, 0])
    }

    @Test("HugeTLB's savings have neither the check nor its notes")
    func hugeTLB() throws {
        let memory = EmulatedMemory(pages: HugePageCount(2), pageSize: .twoMebibytes, scheme: .firstTail)
        let result = try SavingsExperiment(memory).run { _ in }
        #expect(result.checks.count == 3 && result.notes.isEmpty)
    }

    @Test("Nodes have it of all of them, and the export has its figure")
    func nodes() async throws {
        let arguments = ["savings", "--scheme", "device-dax", "--pages", "5", "--nodes", "2", "--export-csv", "-"]
        #expect(try await Command.run(arguments).code == 0)
        let json = try await Command.run(arguments.dropLast(2) + ["--export-json", "-"])
        #expect(json.code == 0 && json.output.contains("\"id\" : \"\(Self.id)\""), "\(json)")
        #expect(json.output.contains("\"measured\" : 14"), "\(json)")
    }
}
