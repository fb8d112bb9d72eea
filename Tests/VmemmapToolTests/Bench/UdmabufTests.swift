import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Dma-bufs beside the engine")
struct UdmabufTests {
    @Test(
        "Where there is none, or only root may use it, the row says so",
        arguments: [
            (.noSuchFileOrDirectory, "there is no /dev/udmabuf: the kernel has it with CONFIG_UDMABUF"),
            (.permissionDenied, "not permitted: only root may use /dev/udmabuf"),
            (.tooManyOpenFiles, "the host refused: open of /dev/udmabuf: "),
        ] as [(Errno, String)])
    func reasons(_ errno: Errno, _ reason: String) {
        let error = HostError(errno, .open, .file("/dev/udmabuf"))
        #expect(UdmabufExperiment.reason(error).hasPrefix(reason))
    }

    @Test("The peer is measured, or has a row that says why not")
    func row() throws {
        let bench = BenchExperiment(pages: HugePageCount(16), pairs: 1, peers: [.udmabuf])
        let result = try bench.run()
        let row = try #require(result.combinations.first?.measured?.udmabuf)
        #expect((row.value == nil) == (UdmabufExperiment.refusal() != nil))
        #expect(row.reason.value == UdmabufExperiment.refusal())
        let lines = BenchReport.lines(result)
        #expect(lines.contains { $0.hasPrefix(row.value == nil ? "udmabuf: " : "udmabuf, first touch ") })
    }

    @Test(
        "One mapping of a dma-buf shows all tails of a huge page: readers find every head, and all comes back",
        .enabled(if: UdmabufExperiment.refusal() == nil, "no /dev/udmabuf that this user may use"),
        arguments: Scheme.ofHugeTLB, Backing.allCases)
    func measured(_ scheme: Scheme, _ backing: Backing) throws {
        // More tails than one list may name.
        let plan = try EmulatedMemory(
            pages: HugePageCount(200), pageSize: .twoMebibytes, scheme: scheme, backing: backing
        ).planOnThisHost()
        var told = 0
        let result = try UdmabufExperiment(plan: plan, pairs: 2).run {
            told += 1
            return true
        }
        #expect(told == 3 && result.optimize.pairs.count == 2)
        #expect(result.engineMappings == plan.regionMappings(.optimized))
        #expect(result.udmabufMappings < result.engineMappings)
    }
}
