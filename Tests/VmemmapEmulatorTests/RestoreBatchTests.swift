import HostLab
import HostMemory
import Testing

@testable import VmemmapEmulator

/// On the anonymous backing huge pages are moved in many at a time, heads too: how many mappings that leaves, and what
/// it leaves of those that are restored in other portions.
@Suite("Restored many at a time")
struct RestoreBatchTests {
    private static let shapes = Backing.allCases.flatMap { backing in
        [(Scheme.firstTail, 1), (.head, 1), (.sharedTail, 7)].map { scheme, run in
            Shape(size: .twoMebibytes, pages: 150, scheme: scheme, backing: backing, tailFrames: run)
        }
    }

    @Test(
        "Restored all at once, as many mappings are left as there were, and one for each 64 huge pages at most",
        arguments: shapes, [Writers.excluded, .present])
    func all(_ shape: Shape, _ writers: Writers) throws {
        let region = try shape.region()
        let populated = try ProcMaps.count(overlapping: region.range)
        for _ in 0..<3 {
            try region.optimize(region.all, writers: .excluded)
            try region.restore(region.all, writers: writers)
            let mappings = try ProcMaps.count(overlapping: region.range)
            #expect(mappings <= populated + MappingCount(150 / 64))
            #expect(mappings == region.plan.regionMappings(.restored) && mappings == region.expectedMappings)
        }
        try region.expectAll(.restored)
    }

    @Test(
        "Restored in portions, every mapping is counted, at the limit's account too; none is added by further cycles",
        arguments: shapes)
    func portions(_ shape: Shape) throws {
        let writers = Writers.excluded
        let budget = MappingBudget(
            limit: { () throws(HostError) in MappingCount(1_000_000) }, inUse: { () throws(HostError) in .zero })
        _ = try budget.reserve(MappingCount(1))
        let region = try VmemmapRegion(shape.plan(), budget: budget)
        let sum = budget.balance
        var found: [MappingCount] = []
        for _ in 0..<2 {
            try region.optimize(region.all, writers: .excluded)
            for span in [5..<6, 6..<80, 100..<101, 102..<103, 101..<102, 0..<3, 149..<150, 0..<150] {
                try region.restore(region.pages(span), writers: writers)
                try region.expectMapped(region.states, "\(span)")
                found.append(try ProcMaps.count(overlapping: region.range))
                #expect(found.last == region.expectedMappings, "\(span)")
                #expect(budget.balance + region.parts.states.mappings(of: region.all) == sum, "\(span)")
            }
            // In the middle of what was moved in together.
            for page in [20, 70, 101] {
                try region.optimize(region.page(page), writers: .excluded)
                #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings, "\(page)")
                try region.restore(region.page(page), writers: writers)
                #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings, "\(page)")
            }
        }
        #expect(found.prefix(found.count / 2) == found.suffix(found.count / 2))
        try region.expectAll(.restored)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
    }

    @Test("A cut that a refused restore leaves in front of its first head is counted")
    func cut() throws {
        let region = try Shape(size: .twoMebibytes, pages: 3).region()
        try region.optimize(region.pages(1..<3), writers: .excluded)
        // As the kernel leaves it that has no memory to join the pieces again: here they differ in their protection.
        try HostKernel.protect(region.vmemmapPage(0, of: 1), .readOnly)
        let (error, _) = Operation.restore.run(
            on: region, .excluded, under: InjectedFault(first: 1, failures: 1000, operations: [.move]))
        #expect(try #require(error).residue.isEmpty)
        #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings)
        try region.restore(region.all, writers: .excluded)
        try region.expectWhole([.populated, .restored, .restored])
    }

    @Test(
        "Heads that are moved in are right for readers, and writers to them lose nothing",
        arguments: shapes.filter { $0.backing == .anonymous })
    func heads(_ shape: Shape) throws {
        let region = try shape.region()
        let walkers = try Walkers(1, over: region, seed: 3)
        let writers = try RefcountWriters(1, over: region, seed: 5, vmemmapPages: 1)
        defer { _ = (walkers.stop(), writers.stop()) }
        var cycles = 0
        let areEnough = try HostProcess.eventually {
            try region.optimize(region.all, writers: .present)
            try region.restore(region.all, writers: .present)
            cycles += 1
            return cycles >= 5 && writers.writes > 1000
        }
        let (seen, sums) = (walkers.stop(), writers.stop())
        #expect(areEnough && seen.reads > 0 && seen.wrong == 0, "\(String(describing: seen.firstWrong))")
        #expect(sums.failures.isEmpty, "\(sums.failures.prefix(3))")
        // Tails that showed the head hold its counts.
        #expect(try sums.lost(in: region, vmemmapPages: 1) == 0)
    }
}
