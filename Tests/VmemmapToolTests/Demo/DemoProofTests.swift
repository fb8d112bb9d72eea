import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Proofs of the demo")
struct DemoProofTests {
    private static func region() throws -> VmemmapRegion {
        let geometry = try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: .twoMebibytes))
        let region = try VmemmapRegion(
            MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: HugePageCount(3)))
        try region.optimize(region.layout.allHugePages, writers: .excluded)
        return region
    }

    @Test("Tails that the host refuses to make writable hold the claim")
    func refused() throws {
        let proof = DemoProofs.staysReadOnly(try Self.region())
        #expect(proof.holds.value == true, "\(proof)")
    }

    @Test(
        "A refusal for another reason is no pass and no failure: not measured, with the reason",
        arguments: [Errno.noMemory, .resourceTemporarilyUnavailable, .invalidArgument, .notPermitted])
    func otherwise(_ errno: Errno) throws {
        let region = try Self.region()
        let fault = InjectedFault(first: 2, errno: errno, operations: [.protect])
        let (proof, seen) = fault.during { DemoProofs.staysReadOnly(region) }
        #expect(seen.failed == 1)
        #expect(proof.holds == .notMeasured, "\(proof)")
        #expect(proof.method.contains("tells nothing: mprotect of ") && proof.method.contains("\(errno)"))
    }

    @Test("A tail that was made writable is a failure, whatever the others ended as")
    func granted() throws {
        let region = try Self.region()
        let frames = try MemoryFile(name: "other", length: HostLimits.pageSize)
        // The last tail of huge page 1, through a descriptor that may write.
        let tail = region.layout.vmemmap(of: HugePageIndex(1), from: VmemmapPageIndex(7), count: PageCount(1))
        try HostKernel.mapFile(frames.writable, at: tail, offset: .zero, .readOnly)
        let fault = InjectedFault(first: 2, operations: [.protect])
        let (proof, _) = fault.during { DemoProofs.staysReadOnly(region) }
        #expect(proof.holds == .value(false), "\(proof)")
    }

    @Test("A figure that is not there is not measured, and no failure")
    func unmeasured() {
        let known = Proof.Figure.equal("known", 1, 1)
        #expect(Proof(.pmdMapped, [known, .some("unknown", nil)], method: "").holds == .notMeasured)
        #expect(Proof(.pmdMapped, [.equal("wrong", 1, 2), .some("unknown", nil)], method: "").holds == .value(false))
        #expect(Proof(.pmdMapped, [known], method: "").holds == .value(true))
        #expect(Proof(.pmdMapped, [], method: "").holds == .value(false))
    }
}
