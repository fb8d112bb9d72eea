import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("From the n-th call on, calls keep failing", .serialized)
struct PersistentFaultTests {
    @Test(
        "The error tells what is left, heads stay right, and the next operation mends it",
        arguments: FaultCase.all, [2, 3, 1000])
    func sweep(_ fault: FaultCase, _ failures: Int) throws {
        let region = try fault.shape.region()
        let walkers = try Walkers(fault.isSmall ? 1 : 0, over: region, seed: 3)
        defer { _ = walkers.stop() }
        for mender in Operation.allCases {
            try fault.operation.opposite.run(on: region, fault.writers)
            var leftBehind = 0
            for number in fault.calls {
                let before = region.states
                let (error, outcome) = fault.operation.run(
                    on: region, fault.writers, under: InjectedFault(first: number, failures: failures))
                if outcome.failed == 0 { break }
                let comment = "call \(number), \(failures) failures, mended by \(mender)"
                if let error {
                    leftBehind += error.residue.isEmpty ? 0 : 1
                    let check = ResidueCheck(
                        region: region, operation: fault.operation, before: before, residue: error.residue)
                    let disagreements = try check.disagreements()
                    #expect(disagreements.isEmpty, "\(comment): \(disagreements.prefix(3)) \(error)")
                }
                try mender.run(on: region, fault.writers)
                try expectMended(region, fault, mender, comment)
                try fault.operation.opposite.run(on: region, fault.writers)
            }
            if fault.isSmall, failures > 2 { #expect(leftBehind > 0) }
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "\(String(describing: seen.firstWrong))")
    }

    private func expectMended(
        _ region: VmemmapRegion, _ fault: FaultCase, _ mender: Operation, _ comment: String
    ) throws {
        #expect(region.states.allSatisfy { $0.isOptimized == (mender == .optimize) }, "\(comment)")
        if fault.isSmall {
            try region.expectWhole(region.states, comment)
        } else {
            try region.expectMapped(region.states, comment)
            #expect(region.wrongHeads(every: 63).isEmpty, "\(comment)")
        }
        for page in Set([region.all.lowerBound, region.all.upperBound.advanced(by: -1)]) {
            let frame = region.frame(inVmemmapPage: 1, of: page.rawValue)
            #expect(throws: Never.self, "\(comment)") {
                try region.addToRefcount(of: frame, 1)
                try region.addToRefcount(of: frame, -1)
            }
        }
    }
}
