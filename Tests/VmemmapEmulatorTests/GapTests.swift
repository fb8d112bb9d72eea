import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

/// A refusal that comes late can leave vmemmap pages unmapped. Made by hand here, each in a process
/// of its own, so that no other test's mapping falls into the gap.
@Suite("Gaps that a late refusal leaves")
struct GapTests {
    @Test(
        "An incomplete huge page with a gap at the refused page is mended by either operation",
        arguments: Operation.allCases)
    func incomplete(_ mender: Operation) async {
        await #expect(processExitsWith: .success) { [isOptimize = (mender == .optimize) as Bool] in
            let mender: Operation = isOptimize ? .optimize : .restore
            for refused in 1...7 {
                let region = try Shape(size: .twoMebibytes, pages: 3).region()
                let (error, _) = Operation.optimize.run(
                    on: region, .present,
                    under: InjectedFault(first: refused, failures: 1000, operations: [.mapFile, .mapAnonymous]))
                let residue = try #require(error).residue
                if refused == 1 {
                    // Nothing had been replaced: put back without staging.
                    #expect(residue.isEmpty)
                    continue
                }
                let part = try #require(residue.torn.first)
                #expect(residue.torn.count == 1)
                #expect(part.replaced == VmemmapPageIndex(1)..<VmemmapPageIndex(refused))
                #expect(part.uncertain == VmemmapPageIndex(refused)..<VmemmapPageIndex(refused + 1))
                #expect(part.isWriteProtected)
                let write = #expect(throws: VmemmapError.self) {
                    try region.addToRefcount(of: region.frame(inVmemmapPage: 1, of: 0), 1)
                }
                #expect(write?.cause == .torn(HugePageIndex(0)))
                try HostKernel.unmap(region.vmemmapPage(refused, of: 0))
                try mender.run(on: region, .present)
                try region.expectWhole(region.states, "refused at \(refused)")
                #expect(region.states.allSatisfy { $0.isOptimized == (mender == .optimize) })
                try region.addToRefcount(of: region.frame(inVmemmapPage: 1, of: 0), 1)
            }
        }
    }

    @Test("A restore that is refused and finds a gap closes it, and the huge page is optimized as before")
    func keptOptimized() async {
        await #expect(processExitsWith: .success) {
            for gap in 1...7 {
                let region = try Shape(size: .twoMebibytes, pages: 2).region()
                try region.optimize(region.all, writers: .excluded)
                try HostKernel.unmap(region.vmemmapPage(gap, of: 0))
                let (error, _) = Operation.restore.run(
                    on: region, .excluded, under: InjectedFault(first: 1, failures: 2, operations: [.move]))
                #expect(try #require(error).residue.isEmpty)
                try region.expectAll(.optimized)
                try region.restore(region.all, writers: .excluded)
                try region.expectAll(.restored)
            }
        }
    }

    @Test("On memfd, a torn huge page shows its own frames at its end, so that the next one's mapping begins there")
    func tornNeighbour() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 2, backing: .memfd, tailFrames: 3).region()
            try region.optimize(region.page(0), writers: .excluded)
            // The first page of a mapping of three: there are as many mappings as before.
            try HostKernel.unmap(region.vmemmapPage(4, of: 0))
            let (result, _) = InjectedFault(first: 1, failures: 1000, operations: [.mapFile]).during {
                Result { () throws(VmemmapError) in try region.restore(region.page(0), writers: .excluded) }
            }
            #expect(throws: VmemmapError.self) { try result.get() }
            #expect(region.states[0].isTorn && region.states[1] == .populated)
            #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings)
            #expect(region.plan.regionMappings(of: region.states) == region.expectedMappings)
            #expect(try region.mend(region.all).isEmpty)
            try region.expectWhole([.restored, .populated])
        }
    }

    @Test(
        "Where the gap cannot be closed either, it is named, and closed by the next operation",
        arguments: Operation.allCases)
    func gapStays(_ mender: Operation) async {
        await #expect(processExitsWith: .success) { [isOptimize = (mender == .optimize) as Bool] in
            let mender: Operation = isOptimize ? .optimize : .restore
            for gap in 1...7 {
                let region = try Shape(size: .twoMebibytes, pages: 2).region()
                try region.optimize(region.all, writers: .excluded)
                try HostKernel.unmap(region.vmemmapPage(gap, of: 0))
                let (error, _) = Operation.restore.run(
                    on: region, .excluded,
                    under: InjectedFault(first: 1, failures: 1000, operations: [.move, .mapFile]))
                let part = try #require(error?.residue.torn.first)
                #expect(part.uncertain.contains(VmemmapPageIndex(gap)))
                try mender.run(on: region, .excluded)
                #expect(region.states.allSatisfy { $0.isOptimized == (mender == .optimize) })
                try region.expectWhole(region.states, "gap at \(gap)")
            }
        }
    }

    @Test(
        "On memfd, shared-tail restores huge pages by one call; gaps that it leaves are closed, now or by the next",
        arguments: Operation.allCases, [false, true])
    func together(_ mender: Operation, isClosedLater: Bool) async {
        await #expect(processExitsWith: .success) { [isOptimize = (mender == .optimize) as Bool, isClosedLater] in
            let mender: Operation = isOptimize ? .optimize : .restore
            for gap in 0...7 {
                let region = try Shape(size: .twoMebibytes, pages: 4, scheme: .sharedTail, backing: .memfd).region()
                try region.optimize(region.all, writers: .excluded)
                for page in [1, 2] { try HostKernel.unmap(region.vmemmapPage(gap, of: page)) }
                let (error, _) = Operation.restore.run(
                    on: region, .excluded,
                    under: InjectedFault(
                        // Short of memory, it would be tried again.
                        first: 1, failures: isClosedLater ? 1000 : 1, errno: .tooManyOpenFilesInSystem,
                        operations: [.mapFile]))
                let residue = try #require(error).residue
                if isClosedLater {
                    #expect(residue.torn.map(\.page.rawValue) == [1, 2])
                    #expect(residue.torn.allSatisfy { $0.uncertain.contains(VmemmapPageIndex(gap)) })
                    try mender.run(on: region, .excluded)
                } else {
                    #expect(residue.isEmpty)
                    try region.expectAll(.optimized)
                    try region.restore(region.all, writers: .excluded)
                }
                let isOptimized = isClosedLater && mender == .optimize
                #expect(region.states.allSatisfy { $0.isOptimized == isOptimized })
                try region.expectWhole(region.states, "gap at \(gap)")
            }
        }
    }

    private static let cutShapes: [Shape] = Scheme.ofHugeTLB.flatMap { scheme in
        Backing.allCases.map { Shape(size: .twoMebibytes, pages: 3, scheme: scheme, backing: $0) }
    }

    /// With more in use than the limit allows, Linux (6.12 and later) cuts the mapping where the new one is to be,
    /// refuses, and leaves the cut. Limits are lowered for the whole process.
    @Test(
        "Where a refusal leaves the mapping cut, the huge page is named, and whole once it is mended",
        arguments: 0..<6, [false, true])
    func cut(_ number: Int, withWriters: Bool) async {
        await #expect(processExitsWith: .success) { [number, withWriters] in
            let region = try Self.cutShapes[number].region()
            try MappingReserve.process.fill()
            let limit = try LoweredLimit.addressSpace(leaving: .zero - .mebibytes(4))
            let (error, _) = Operation.optimize.run(
                on: region, withWriters ? .present : .excluded, under: InjectedFault(first: .max))
            try limit.lift()
            let residue = try #require(error).residue
            let isCut = try ProcMaps.count(overlapping: region.range) != region.expectedMappings
            #expect(!isCut || !residue.isEmpty)
            try region.mend(region.all)
            #expect(region.states.allSatisfy { !$0.isOptimized })
            try region.expectWhole(region.states)
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
        }
    }

    @Test("A cut that can be mended at once is", arguments: 0..<6, [false, true])
    func mended(_ number: Int, withWriters: Bool) async {
        await #expect(processExitsWith: .success) { [number, withWriters] in
            let region = try Self.cutShapes[number].region()
            let file = try MemoryFile(name: "other", length: HostLimits.pageSize)
            let limit = try LoweredLimit.addressSpace(leaving: .zero - .mebibytes(4))
            let place = region.vmemmapPage(3, of: 1)
            let refusal = Result { () throws(HostError) in
                try HostKernel.mapFile(file.readOnly, at: place, offset: .zero, .readOnly)
            }
            try limit.lift()
            #expect(throws: HostError.self) { try refusal.get() }
            let writers = withWriters ? Writers.present : .excluded
            let (result, _) = InjectedFault(first: 1, errno: .noMemory, operations: [.mapFile]).during {
                Result { () throws(VmemmapError) in try region.optimize(region.page(1), writers: writers) }
            }
            let error = try #require(throws: VmemmapError.self) { try result.get() }
            #expect(error.residue.isEmpty)
            #expect(region.states.allSatisfy { !$0.isOptimized })
            try region.expectWhole(region.states)
        }
    }
}
