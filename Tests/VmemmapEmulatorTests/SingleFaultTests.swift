import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("The n-th call fails once", .serialized)
struct SingleFaultTests {
    @Test(
        "Everything or nothing at every call, right heads throughout, and the retry succeeds",
        arguments: FaultCase.all, [Errno.noMemory, .resourceTemporarilyUnavailable, .interrupted])
    func sweep(_ fault: FaultCase, _ errno: Errno) throws {
        let region = try fault.shape.region()
        let walkers = try Walkers(fault.isSmall ? 1 : 0, over: region, seed: 3)
        defer { _ = walkers.stop() }
        try sweep(fault, errno, region)
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "\(String(describing: seen.firstWrong))")
    }

    private func sweep(_ fault: FaultCase, _ errno: Errno, _ region: VmemmapRegion) throws {
        let operation = fault.operation
        if operation == .restore { try region.optimize(region.all) }
        var refused = 0
        var succeeded = 0
        for number in fault.calls {
            let before = region.states
            let (error, outcome) = operation.run(
                on: region, fault.writers, under: InjectedFault(first: number, errno: errno))
            let comment = "call \(number), \(errno)"
            if outcome.failed == 0 {
                #expect(error == nil, "\(comment): \(String(describing: error))")
                break
            }
            if let error {
                refused += 1
                expectUndone(error, operation, region, before, comment)
                try expectFigures(region, fault, comment)
                try operation.run(on: region, fault.writers)
            } else {
                succeeded += 1
            }
            try expectFigures(region, fault, "\(comment), done")
            #expect(region.states.allSatisfy { $0 == (operation == .optimize ? .optimized : .restored) }, "\(comment)")
            try operation.opposite.run(on: region, fault.writers)
        }
        // A restore without memory is tried again with the reserve's mappings.
        if operation == .optimize || errno == .interrupted { #expect(refused > 0) }
        // At least one call is made again after a signal, or again at the operation's end.
        if fault.isSmall, errno == .interrupted || operation == .restore { #expect(succeeded > 0) }
        try region.expectWhole(region.states, "at the end")
    }

    private func expectUndone(
        _ error: VmemmapError, _ operation: Operation, _ region: VmemmapRegion, _ before: [HugePageState],
        _ comment: String
    ) {
        #expect(error.operation.rawValue == operation.rawValue)
        guard case .host(let cause) = error.cause else {
            Issue.record("\(comment): \(error)")
            return
        }
        #expect(cause.errno != nil, "\(comment)")
        #expect(error.residue.isEmpty, "\(comment): \(error)")
        #expect(region.states.map(\.isOptimized) == before.map(\.isOptimized), "\(comment): \(error)")
    }

    /// The figures that a failure may not change, but for the mappings of huge pages that were put back.
    private func expectFigures(_ region: VmemmapRegion, _ fault: FaultCase, _ comment: String) throws {
        if fault.isSmall { return try region.expectWhole(region.states, comment) }
        try region.expectMapped(region.states, comment)
        #expect(region.wrongHeads(every: 63).isEmpty, "\(comment)")
    }
}
