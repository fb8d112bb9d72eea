import HostMemory
import Testing
import VmemmapEmulator

@Suite("Optimizing and restoring on real memory")
struct OptimizeRestoreTests {
    @Test("Frames, mappings, memory file and contents are as planned in every state", arguments: Shape.all)
    func cycle(_ shape: Shape) throws {
        let region = try shape.region()
        try region.expectAll(.populated)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
    }

    @Test("Twenty cycles end with the same figures each", arguments: Shape.all, [Writers.excluded, .present])
    func repeated(_ shape: Shape, _ writers: Writers) throws {
        let region = try shape.region()
        for cycle in 1...20 {
            try region.optimize(region.all, writers: writers)
            // Every figure in the first and the last cycle; the cheap ones in between.
            if cycle == 1 || cycle == 20 { try region.expectAll(.optimized, "cycle \(cycle)") }
            try region.restore(region.all, writers: writers)
            if cycle == 1 || cycle == 20 { try region.expectAll(.restored, "cycle \(cycle)") }
            #expect(try region.sharedFrameBytes() == .zero)
            #expect(try FrameCount.count(in: region.range).distinct == region.plan.framesPopulated)
            let mappings = try ProcMaps.count(overlapping: region.range)
            #expect(mappings <= MappingCount(2) * shape.pages, "cycle \(cycle)")
        }
    }

    @Test("Both ways of counting frames agree in every state", arguments: Shape.all)
    func countingMethods(_ shape: Shape) throws {
        let region = try shape.region()
        func expectAgreement(_ expected: PageCount) throws {
            // Once with tails not faulted in yet, once with all of them.
            for _ in 0..<2 {
                let byNumber = try FrameCount.count(in: region.range)
                let byOffset = try FrameCount.count(in: region.range, preferring: .fileOffset)
                #expect(byOffset.method == .fileOffset)
                #expect(byNumber.distinct == expected)
                #expect(byOffset.distinct == expected)
                #expect(byNumber.present == byOffset.present)
                #expect(byNumber.notFaulted == byOffset.notFaulted)
                _ = region.differencesFromPrepared()
            }
        }
        try expectAgreement(region.plan.framesPopulated)
        try region.optimize(region.all, writers: .excluded)
        try expectAgreement(region.plan.framesOptimized)
        try region.restore(region.all, writers: .excluded)
        try expectAgreement(region.plan.framesPopulated)
    }

    @Test("Two regions know nothing of each other")
    func twoRegions() throws {
        let shape = Shape(size: .twoMebibytes, pages: 70)
        let regions = [try shape.region(), try shape.region()]
        try regions[0].optimize(regions[0].all, writers: .excluded)
        try regions[0].expectAll(.optimized)
        try regions[1].expectAll(.populated)
        try regions[1].optimize(regions[1].all, writers: .excluded)
        try regions[0].restore(regions[0].all, writers: .excluded)
        try regions[0].expectAll(.restored)
        try regions[1].expectAll(.optimized)
    }
}
