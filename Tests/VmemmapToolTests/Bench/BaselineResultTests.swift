import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("The C baseline beside the engine")
struct BaselineResultTests {
    /// The experiment itself throws where the two leave different frames, files or contents.
    @Test("Both do the same work, for every scheme and backing", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func sameWork(_ scheme: Scheme, _ backing: Backing) throws {
        for (pages, size, run) in [(67, HugePageSize.twoMebibytes, 1), (5, .twoMebibytes, 5), (2, .oneGibibyte, 100)] {
            if scheme == .head, run > 1 { continue }
            let memory = EmulatedMemory(
                pages: HugePageCount(pages), pageSize: size, scheme: scheme, backing: backing,
                tailFrames: .frames(PageCount(run)))
            let result = try BaselineExperiment(plan: memory.planOnThisHost(), pairs: 2).run()
            #expect(result.optimize.pairs.count == 2 && result.restore.pairs.count == 2)
            for side in [result.optimize, result.restore] {
                #expect(side.pairs.allSatisfy { $0.engineNanoseconds > 0 && $0.peerNanoseconds > 0 })
                #expect(side == PairedRuns(side.pairs, pages: pages))
            }
            #expect(result.growth.value == nil)
        }
    }

    @Test(
        "How the time for one huge page grows is the larger run's over the smaller's, by their medians, each for itself"
    )
    func growth() {
        func runs(_ pages: Int, _ engine: [Int], _ other: [Int]) -> PairedRuns {
            PairedRuns(zip(engine, other).map { .init($0 * pages, $1 * pages) }, pages: pages)
        }
        let small = (optimize: runs(8, [10, 20, 90], [100, 100, 700]), restore: runs(8, [5, 5, 1], [8, 4, 2]))
        let large = (optimize: runs(64, [30, 50, 40], [50, 50, 50]), restore: runs(64, [5, 4, 9], [12, 12, 12]))
        let growth = BaselineResult.Growth(HugePageCount(8), small, large)
        #expect(growth.fromPages == HugePageCount(8))
        #expect(growth.engineOptimize == 2 && growth.baselineOptimize == 0.5)
        #expect(growth.engineRestore == 1 && growth.baselineRestore == 3)
    }

    @Test("Growth is measured from as many huge pages as are asked for")
    func growthMeasured() throws {
        let memory = EmulatedMemory(pages: HugePageCount(64), pageSize: .twoMebibytes, scheme: .sharedTail)
        var pairs = 0
        let result = try BaselineExperiment(plan: memory.planOnThisHost(), pairs: 3, growthFrom: HugePageCount(8)).run {
            pairs += 1
            return true
        }
        #expect(result.growth.value?.fromPages == HugePageCount(8))
        // Each with a warm-up.
        #expect(pairs == 8)
        #expect(result.optimize.pairs.count == 3)
    }
}
