import HostLab
import HostMemory
import SystemPackage
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
        let left = try #require(first?.residue.torn.first)
        #expect(left.page == HugePageIndex(0))
        for mender in Operation.allCases {
            // Short of memory, it would be tried again with the reserve's mappings.
            let (error, outcome) = mender.run(
                on: region, .excluded,
                under: InjectedFault(first: 1, errno: .tooManyOpenFilesInSystem, operations: [.move]))
            #expect(outcome.failed == 1)
            let residue = try #require(error).residue
            #expect(residue.orphanedBytes == .zero)
            #expect(residue.notPutBack.isEmpty)
            #expect(residue.torn.map(\.replaced) == [left.replaced])
            #expect(residue.torn.map(\.isWriteProtected) == [true])
            #expect(region.wrongHeads().isEmpty)
        }
        try region.restore(region.all, writers: .excluded)
        try region.expectWhole([.restored, .populated])
    }
}

extension MendTests {
    @Test("Mending alone mends what was left, and changes no other huge page's state", arguments: Backing.allCases)
    func mendOnly(_ backing: Backing) throws {
        let region = try Shape(size: .twoMebibytes, pages: 3, backing: backing).region()
        try region.optimize(region.page(2), writers: .excluded)
        let (error, _) = Operation.optimize.run(
            on: region, .excluded,
            under: InjectedFault(first: 3, failures: 1000, operations: [.mapFile, .mapAnonymous]))
        #expect(try #require(error).residue.torn.map(\.page) == [HugePageIndex(0)])
        try region.mend(region.all)
        #expect(region.states.allSatisfy { !$0.isTorn })
        try region.expectWhole([.restored, .populated, .optimized])
        try region.mend(region.all)
        try region.expectWhole([.restored, .populated, .optimized])
        #expect(region.changes.optimized >= 1)
    }
}
