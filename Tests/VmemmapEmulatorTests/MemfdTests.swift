import Glibc
import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("The region as one memory file")
struct MemfdTests {
    static let shapes = Shape.matrix.filter { $0.backing == .memfd }

    /// The vmemmap pages, by number, that do not show the page of the file that is theirs.
    private func displaced(_ region: VmemmapRegion) throws -> [Int] {
        let pageSize = region.plan.geometry.basePageSize.rawValue
        var displaced: [Int] = []
        var number = 0
        try PageMap.forEachPage(in: region.range) { (view) throws(HostError) in
            if view.file?.offset != ByteCount(number * pageSize) { displaced.append(number) }
            number += 1
        }
        return displaced
    }

    @Test("Restored, it is one mapping of the file from end to end again", arguments: shapes)
    func merges(_ shape: Shape) throws {
        let region = try shape.region()
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
        for _ in 0..<2 {
            try region.optimize(region.all, writers: .excluded)
            #expect(try ProcMaps.count(overlapping: region.range) == region.plan.regionMappings(.optimized))
            // Own pages of a first-tail frames stay where they are; everything freed is shown from elsewhere.
            #expect(try displaced(region).count == region.plan.freedPages.count * shape.pages)
            try region.restore(region.all, writers: .excluded)
            #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
            #expect(try displaced(region).isEmpty)
        }
        #expect(try FrameCount.count(in: region.range).distinct == region.plan.framesPopulated)
    }

    @Test(
        "Where the host writes a file in huge pages, frames are given back all the same",
        .enabled(if: geteuid() == 0, "only root mounts"), arguments: Scheme.ofHugeTLB, Backing.allCases)
    func hugePages(_ scheme: Scheme, _ backing: Backing) throws {
        let plan = try Shape(size: .twoMebibytes, pages: 70, scheme: scheme, backing: backing).plan()
        let fileSystem = try SmallFileSystem(size: .mebibytes(32), hasHugePages: true)
        let region = try VmemmapRegion(plan, budget: .process, store: .fileSystem(fileSystem))
        func held(_ pages: HugePageCount) -> ByteCount {
            plan.fileFrames(optimized: pages).bytes(pageSize: plan.geometry.basePageSize)
        }
        for _ in 0..<2 {
            #expect(try region.sharedFrameBytes() == held(.zero))
            try region.optimize(region.all, writers: .excluded)
            #expect(try region.sharedFrameBytes() == held(plan.hugePages))
            try region.restore(region.all, writers: .excluded)
        }
    }

    @Test("In whatever order the huge pages are restored", arguments: shapes.filter { $0.pages > 1 }, Seeds.all)
    func anyOrder(_ shape: Shape, _ seed: UInt64) throws {
        let region = try shape.region()
        var generator = SplitMix64(seed: seed)
        try region.optimize(region.all, writers: .excluded)
        for page in (0..<shape.pages).shuffled(using: &generator) {
            try region.restore(region.page(page), writers: .excluded)
            #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings)
        }
        #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
        #expect(region.differencesFromPrepared().isEmpty)
    }

    @Test("The freed frames are holes of the file while optimized, and full again after", arguments: shapes)
    func holes(_ shape: Shape) throws {
        let region = try shape.region()
        let plan = region.plan
        let templates = plan.templates
        let pageSize = plan.geometry.basePageSize
        #expect(try region.sharedFrameBytes() == (plan.framesPopulated + templates).bytes(pageSize: pageSize))
        try region.optimize(region.all, writers: .excluded)
        #expect(try region.sharedFrameBytes() == plan.framesOptimized.bytes(pageSize: pageSize))
        try region.restore(region.all, writers: .excluded)
        #expect(try region.sharedFrameBytes() == (plan.framesPopulated + templates).bytes(pageSize: pageSize))
    }
}
