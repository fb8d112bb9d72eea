import HostMemory
import Testing
import VmemmapEmulator

@Suite("Mending what a failed operation left")
struct MendTests {
    @Test("A mending that fails leaves its staging nowhere, names the huge page again, and succeeds later")
    func failedMending() throws {
        let region = try Shape(size: .twoMebibytes, pages: 2).region()
        let (first, _) = Operation.optimize.run(
            on: region, .excluded,
            under: InjectedFault(first: 3, failures: 1000, operations: [.mapFile, .mapAnonymous]))
        let left = try #require(first?.residue.incomplete.first)
        #expect(left.page == HugePageIndex(0))
        for mender in Operation.allCases {
            let (error, outcome) = mender.run(
                on: region, .excluded, under: InjectedFault(first: 1, operations: [.move]))
            #expect(outcome.failed == 1)
            let residue = try #require(error).residue
            #expect(residue.orphanedBytes == .zero)
            #expect(residue.notPutBack.isEmpty)
            #expect(residue.incomplete.map(\.replaced) == [left.replaced])
            #expect(residue.incomplete.map(\.isWriteProtected) == [true])
            #expect(region.wrongHeads().isEmpty)
        }
        try region.restore(region.all)
        try region.expectWhole([.restored, .base])
    }
}
