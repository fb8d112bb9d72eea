import Glibc
import HostLab
import HostMemory
import SystemPackage
import Testing

@Suite("vmemmap kernel")
struct KernelCommandTests {
    @Test(
        "Without privileges it says what the kernel offers, every pool there is, and changes nothing",
        .hostSettingsTurn)
    func look() async throws {
        let outcome = try await Command.asOrdinaryUser(["kernel"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.error.isEmpty)
        for pool in try HugeTLBPool.all() ?? [] {
            let size = pool.pageSize == .mebibytes(2) ? "2.00 MiB" : pool.pageSize == .gibibytes(1) ? "1.00 GiB" : ""
            #expect(outcome.output.contains(size))
        }
        if let isOn = try HVOConfiguration.current().isOn {
            #expect(outcome.output.contains("it is \(isOn ? 1 : 0) ("))
        }
        if let counts = try MemmapCounts.current() {
            let json = try await Command.asOrdinaryUser(["kernel", "--export-json", "-"])
            #expect(json.output.contains("\"memmap_pages\" : \(counts.memmap.rawValue)"))
            #expect(json.output.contains("\"measurement\" : null"))
        }
    }

    @Test("An ordinary user may not measure it, and is told why")
    func notPermitted() async throws {
        let outcome = try await Command.asOrdinaryUser(["kernel", "--measure", "--pages", "4"])
        #expect(outcome.code == 4, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.contains("takes root: sudo vmemmap kernel --measure"))
        #expect(outcome.error.split(separator: "\n").count == 1)
    }

    @Test(
        "More than memory holds is refused with what fits, before anything is changed",
        .enabled(if: geteuid() == 0, "only root gets as far"), arguments: ["1000000", "9223372036854775807"])
    func tooMany(_ pages: String) async throws {
        let outcome = try await Command.run(["kernel", "--measure", "--pages", pages])
        if outcome.code == 4 { try Test.cancel("this kernel has no HVO: \(outcome.error)") }
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("MemAvailable leaves"))
        #expect(outcome.error.firstMatch(of: /\d+ fit: use --pages \d+/) != nil)
    }
}
