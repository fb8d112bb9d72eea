import HostMemory
import SystemPackage
import Testing
@testable import VmemmapEmulator

// Memory files on a host that gives them huge pages of its own accord (shmem_enabled=always): khugepaged would fill the
// holes that are punched while it works on a file.
extension HostSettingsTests {
    private static let shmemEnabled = FilePath("/sys/kernel/mm/transparent_hugepage/shmem_enabled")

    private static func write(_ value: String) throws {
        let file = try HostKernel.open(shmemEnabled, .writeOnly)
        defer { try? HostKernel.close(file) }
        try HostKernel.write(Array(value.utf8), to: file, name: "shmem_enabled")
    }

    /// The choice in brackets.
    private static func choice() throws -> String {
        let text = try HostKernel.readText(shmemEnabled)
        return String(text.split(separator: "[").last?.prefix { $0 != "]" } ?? "")
    }

    /// Writable mappings in `range`, and how many of them are to have no huge pages (VmFlags `nh`).
    private static func writable(_ range: AddressRange) throws -> (all: Int, advised: Int) {
        let smaps = try HostKernel.readText("/proc/self/smaps")
        var (all, advised, isOurs) = (0, 0, false)
        for line in smaps.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words[0].hasSuffix(":") {
                if isOurs, words[0] == "VmFlags:", words.contains("nh") { advised += 1 }
                continue
            }
            let start = words[0].prefix { $0 != "-" }
            isOurs = try words[1].hasPrefix("rw") && range.contains(Address(#require(UInt(start, radix: 16))))
            if isOurs { all += 1 }
        }
        return (all, advised)
    }

    @Test(
        "khugepaged keeps off a memory file, populated and restored, whatever maps it",
        .enabled(if: (try? choice()) != nil, "this kernel has no transparent huge pages in memory files"),
        arguments: [
            (HugePageSize.twoMebibytes, 64, RegionMapping.pte), (.oneGibibyte, 1, .pte), (.oneGibibyte, 1, .pmd),
        ])
    func khugepaged(_ size: HugePageSize, _ pages: Int, _ mapping: RegionMapping) throws {
        let before = try Self.choice()
        defer { try? Self.write(before) }
        try Self.write("always")
        let region = try VmemmapRegion(
            MappingPlan(
                geometry: #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: size)), scheme: .firstTail,
                backing: .memfd, mapping: mapping,
                hugePages: HugePageCount(pages)))
        func expectAdvised(_ state: Comment) throws {
            let (all, advised) = try Self.writable(region.range)
            #expect(all > 0 && advised == all, state)
        }
        try expectAdvised("populated")
        let mapped = mapping == .pmd ? try region.pmdMappedBytes() : nil
        try region.optimize()
        try expectAdvised("optimized")
        try region.restore()
        try expectAdvised("restored")
        if let mapped { #expect(try region.pmdMappedBytes() == mapped) }
        #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings)
    }
}
