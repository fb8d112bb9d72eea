import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Checks of the demo")
struct DemoCheckTests {
    private static func region() throws -> VmemmapRegion {
        let geometry = try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: .twoMebibytes))
        let region = try VmemmapRegion(
            MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: HugePageCount(3)))
        try region.optimize(region.layout.allHugePages, writers: .excluded)
        return region
    }

    @Test("Tails that the host refuses to make writable pass the check")
    func refused() throws {
        let check = DemoChecks.staysReadOnly(try Self.region())
        #expect(check.outcome == .passed, "\(check)")
    }

    @Test(
        "A refusal for another reason is no pass and no failure: not measured, with the reason",
        arguments: [Errno.noMemory, .resourceTemporarilyUnavailable, .invalidArgument, .notPermitted])
    func otherwise(_ errno: Errno) throws {
        let region = try Self.region()
        let fault = InjectedFault(first: 2, errno: errno, operations: [.protect])
        let (check, seen) = fault.during { DemoChecks.staysReadOnly(region) }
        #expect(seen.failed == 1)
        #expect(check.outcome == .notMeasured, "\(check)")
        #expect(check.method.contains("tells nothing: mprotect of ") && check.method.contains("\(errno)"))
    }

    @Test("A tail that was made writable is a failure, whatever the others ended as")
    func granted() throws {
        let region = try Self.region()
        let frames = try MemoryFile(name: "other", length: HostLimits.pageSize)
        // The last tail of huge page 1, through a descriptor that may write.
        let tail = region.layout.vmemmap(of: HugePageIndex(1), from: VmemmapPageIndex(7), count: PageCount(1))
        try HostKernel.mapFile(frames.writable, at: tail, offset: .zero, .readOnly)
        let fault = InjectedFault(first: 2, operations: [.protect])
        let (check, _) = fault.during { DemoChecks.staysReadOnly(region) }
        #expect(check.outcome == .failed, "\(check)")
    }

    @Test("A figure that is not there is not measured, and no failure")
    func unmeasured() {
        let known = Check.Figure.equal("known", 1, 1)
        #expect(Check("a", "", [known, .some("unknown", nil)], method: "").outcome == .notMeasured)
        #expect(Check("a", "", [.equal("wrong", 1, 2), .some("unknown", nil)], method: "").outcome == .failed)
        #expect(Check("a", "", [known], method: "").outcome == .passed)
        #expect(Check("a", "", [], method: "").outcome == .failed)
    }
}
