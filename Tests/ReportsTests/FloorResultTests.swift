import Experiments
import HostMemory
import Testing
import VmemmapEmulator

@Suite("The bare loop beside the engine")
struct FloorResultTests {
    /// The experiment itself throws where the two leave different frames, files or contents.
    @Test("Both do the same work, for every scheme and backing", arguments: Scheme.allCases, Backing.allCases)
    func sameWork(_ scheme: Scheme, _ backing: Backing) throws {
        for (pages, size, run) in [(67, HugePageSize.twoMebibytes, 1), (5, .twoMebibytes, 5), (2, .oneGibibyte, 100)] {
            if scheme == .head, run > 1 { continue }
            let memory = EmulatedMemory(
                pages: HugePageCount(pages), pageSize: size, scheme: scheme, backing: backing,
                tailRun: .frames(PageCount(run)))
            let result = try FloorExperiment(memory, runs: 2).run()
            #expect(result.optimize.pairs.count == 2 && result.restore.pairs.count == 2)
            #expect(result.optimize.ratio.min > 0 && result.restore.ratio.min > 0)
            #expect(result.growth.value == nil)
        }
    }

    @Test("How the time for one huge page grows is the larger run over the smaller")
    func growth() throws {
        let memory = EmulatedMemory(pages: HugePageCount(64), pageSize: .twoMebibytes, scheme: .sharedTail)
        let result = try FloorExperiment(memory, runs: 3, growthFrom: HugePageCount(8)).run()
        let growth = try #require(result.growth.value)
        #expect(growth.fromPages == HugePageCount(8))
        for factor in [growth.engineOptimize, growth.floorOptimize, growth.engineRestore, growth.floorRestore] {
            #expect(factor > 0 && factor < 1000)
        }
    }
}
