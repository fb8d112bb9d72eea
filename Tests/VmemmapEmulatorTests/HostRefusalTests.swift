import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("The host refuses for real")
struct HostRefusalTests {
    @Test("A restore that gets no memory leaves the huge page optimized, and succeeds once there is some")
    func noAddressSpace() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .oneGibibyte, pages: 2).region()
            try region.optimize(region.all, writers: .excluded)
            let walkers = try Walkers(1, over: region, seed: 1)
            // Staging is 16 MiB.
            for writers in [Writers.excluded, .present] {
                let limit = try LoweredLimit.addressSpace(leaving: .mebibytes(8))
                let (result, _) = InjectedFault(first: .max).during {
                    Result { () throws(VmemmapError) in try region.restore(region.all, writers: writers) }
                }
                try limit.lift()
                let error = try #require(throws: VmemmapError.self) { try result.get() }
                guard case .host(let cause) = error.cause else {
                    Issue.record("\(error)")
                    return
                }
                #expect(cause.operation == .mapAnonymous)
                #expect(cause.code == .outOfMemory)
                #expect(error.residue.isEmpty)
                try region.expectAll(.optimized)
            }
            try region.restore(region.all, writers: .excluded)
            #expect(walkers.stop().wrong == 0)
            try region.expectAll(.restored)
        }
    }

    @Test("A restore that fails and cannot be undone names every huge page that stays restored")
    func undoFails() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 66).region()
            try region.optimize(region.page(0), writers: .excluded)
            try region.optimize(region.pages(2..<66), writers: .excluded)
            let before = region.states
            // Room to stage one huge page (28 KiB) but not 64 (1792 KiB); and on the way back the third mapping fails.
            let limit = try LoweredLimit.addressSpace(leaving: .mebibytes(1))
            let (error, outcome) = Operation.restore.run(
                on: region, .excluded, under: InjectedFault(first: 3, operations: [.mapFile]))
            try limit.lift()
            #expect(outcome.failed == 1)
            let residue = try #require(error).residue
            #expect(residue.notPutBack == [region.page(0)])
            let check = ResidueCheck(
                region: region, pages: region.all, operation: .restore, before: before, isFailed: true, residue: residue
            )
            #expect(try check.disagreements() == [])
            try region.restore(region.all, writers: .excluded)
            #expect(region.states == [.restored, .populated] + Array(repeating: .restored, count: 64))
            try region.expectWhole(region.states)
        }
    }

    @Test(
        "A region of an impossible size is refused clearly, with nothing mapped",
        arguments: [
            0, -1, Int.min, Int.max, Int.max / 2, Int.max >> 15, Int.max >> 16, Int.max >> 31, 1 << 32, 1 << 31,
        ])
    func impossibleSizes(_ pages: Int) async {
        await #expect(processExitsWith: .success) { [pages] in
            let before = (try Statm.current().size, HostProcess.openFiles())
            for size in [HugePageSize.twoMebibytes, .oneGibibyte] {
                let error = try #require(throws: VmemmapError.self) { _ = try Shape(size: size, pages: pages).region() }
                #expect(error.operation == .build || error.operation == .plan)
                #expect(error.residue.isEmpty)
                switch error.cause {
                case .unusableCount(let count): #expect(count == HugePageCount(pages))
                case .host(let cause): #expect(cause.code == .outOfMemory || cause.code == .noSpace, "\(cause)")
                default: Issue.record("\(error)")
                }
                #expect("\(error)".count < 200)
            }
            #expect(HostProcess.openFiles() == before.1)
            // The least of these regions would be 64 TiB.
            #expect(abs((try Statm.current().size - before.0).rawValue) < 1 << 18)
        }
    }

    @Test("A region that does not fit the address space's limit is refused, with nothing left mapped")
    func addressSpaceLimit() async {
        await #expect(processExitsWith: .success) {
            let files = HostProcess.openFiles()
            let limit = try LoweredLimit.addressSpace(leaving: .mebibytes(64))
            let error = #expect(throws: VmemmapError.self) { _ = try Shape(size: .oneGibibyte, pages: 4).region() }
            try limit.lift()
            #expect(error?.operation == .build)
            #expect(HostProcess.openFiles() == files)
            try Shape(size: .oneGibibyte, pages: 1).region().expectAll(.populated)
        }
    }

    @Test(
        "A region with a smaller base page than the host's is refused before anything is mapped",
        .enabled(if: HostLimits.pageSize > Geometry.basePageSizes[0], "no base page is smaller than this host's"))
    func otherBasePage() throws {
        for base in Geometry.basePageSizes where base < HostLimits.pageSize {
            let geometry = try #require(Geometry(basePageSize: base, hugePageSize: .oneGibibyte))
            let plan = try MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: HugePageCount(1))
            let (result, outcome) = InjectedFault(first: .max).during { Result { try VmemmapRegion(plan) } }
            let error = #expect(throws: VmemmapError.self) { _ = try result.get() }
            #expect(error?.cause == .basePageSize(wanted: base, host: HostLimits.pageSize))
            #expect(outcome.calls == 0)
        }
    }

    @Test("Every call of building a region may fail: nothing stays mapped or open")
    func building() async {
        await #expect(processExitsWith: .success) {
            let shape = Shape(size: .twoMebibytes, pages: 4)
            _ = try shape.region()
            let files = HostProcess.openFiles()
            let growth = try HostProcess.addressSpaceGrowth {
                for number in 1...100 {
                    let (result, outcome) = InjectedFault(first: number).during { Result { try shape.region() } }
                    if outcome.failed == 0 { break }
                    let error = try #require(throws: VmemmapError.self) { _ = try result.get() }
                    #expect(error.operation == .build)
                    #expect(HostProcess.openFiles() == files, "call \(number)")
                }
            }
            #expect(growth < PageCount(256))
        }
    }
}
