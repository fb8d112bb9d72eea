import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("Walkers that take references")
struct SpeculativeWalkTests {
    private static func region(_ scheme: Scheme, _ backing: Backing = .anonymous) throws -> VmemmapRegion {
        try Shape(size: .twoMebibytes, pages: 4, scheme: scheme, backing: backing).region()
    }

    /// Visits every frame once, as one walker does.
    private static func visitAll(_ region: VmemmapRegion, checked sections: ReadSideSections?) -> Walkers.Tally {
        let walk = SpeculativeWalk(region, checked: sections, HoldUps(longestNanoseconds: 0))
        var seen = Walkers.Tally()
        for frame in region.layout.frames { walk.visit(frame, &seen) }
        return seen
    }

    @Test(
        "Each frame of a huge page in use gives a reference to its head, and gets it back", arguments: Scheme.ofHugeTLB)
    func references(_ scheme: Scheme) throws {
        let region = try Self.region(scheme)
        for sections in [nil, ReadSideSections()] {
            let seen = Self.visitAll(region, checked: sections)
            #expect(seen.references == region.layout.frames.count && seen.refused == 0 && seen.lateReferences == 0)
        }
        try region.expectAll(.populated)
    }

    @Test(
        "Unchecked, each fake head is written to; checked, none, and no tail of any scheme", arguments: Scheme.ofHugeTLB
    )
    func fakeHeads(_ scheme: Scheme) throws {
        let region = try Self.region(scheme)
        try region.optimize(region.all, writers: .excluded)
        let unchecked = Self.visitAll(region, checked: nil)
        #expect(unchecked.refused == (scheme == .head ? 7 * 4 : 0))
        let checked = Self.visitAll(region, checked: ReadSideSections())
        #expect(checked.refused == 0 && checked.references == region.layout.frames.count)
        try region.expectAll(.optimized)
    }

    @Test("What is frozen is left alone")
    func frozen() throws {
        let region = try Self.region(.sharedTail)
        for page in region.all { try region.addToRefcount(of: region.plan.geometry.headFrame(of: page), -1) }
        let seen = Self.visitAll(region, checked: ReadSideSections())
        #expect(seen.references == 0 && seen.refused == 0 && seen.reads == region.layout.frames.count)
    }

    @Test("A counter is replaced if it is as expected, and a read-only page refuses either way")
    func replacing() throws {
        let region = try Self.region(.sharedTail)
        let counter = region.layout.structPage(of: PageFrameNumber(100)) + StructPage.refcountOffset
        // SAFETY: the counter lies in the region, which is mapped throughout; the stores survive a refusal.
        #expect(unsafe MemoryAccess.tryReplace(0, with: 7, at: counter) == (.done, 0))
        #expect(unsafe MemoryAccess.tryReplace(0, with: 9, at: counter) == (.done, 7))
        #expect(unsafe MemoryAccess.tryReplace(7, with: 0, at: counter) == (.done, 7))
        try region.optimize(region.all, writers: .excluded)
        #expect(unsafe MemoryAccess.tryReplace(5, with: 6, at: counter).outcome == .refused)
    }

    @Test("A walk through a gap counts the reads that fell into it, and goes on")
    func gap() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 1).region()
            try HostKernel.mapNothing(at: region.vmemmapPage(5, of: 0))
            let walk = GapWalk(region: region)
            var seen = Walkers.Tally()
            for frame in region.layout.frames { walk.visit(frame, &seen) }
            #expect(seen.reads == 512 && seen.removed == 64 && seen.wrong == 0)
        }
    }

    @Test("The loops that are timed find every head", arguments: Scheme.ofHugeTLB, [false, true])
    func sums(_ scheme: Scheme, _ isOptimized: Bool) throws {
        let region = try Self.region(scheme)
        if isOptimized { try region.optimize(region.all, writers: .excluded) }
        let frames = region.layout.frames.map { UInt32($0.rawValue) }
        let expected = region.layout.frames.reduce(UInt(0)) { $0 &+ region.layout.head(of: $1).rawValue }
        #expect(region.sumOfHeads(of: frames) == expected)
        #expect(region.sumOfWords(of: frames) != expected)
    }
}
