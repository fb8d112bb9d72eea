import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("Lifetime")
struct LifetimeTests {
    @Test("A region leaves nothing mapped and no file open, whatever its state", arguments: [0, 1, 2, 3])
    func deinitialization(_ step: Int) async {
        await #expect(processExitsWith: .success) { [step] in
            func build(_ step: Int) throws -> AddressRange {
                let region = try Shape(size: .twoMebibytes, pages: 70).region()
                if step > 0 { try region.optimize(region.all, writers: .excluded) }
                if step > 1 { try region.restore(region.pages(10..<60), writers: .excluded) }
                // Incomplete, with frames and staging left over.
                if step > 2 {
                    _ = Operation.optimize.run(on: region, .excluded, under: InjectedFault(first: 5, failures: 1000))
                }
                return region.range
            }
            _ = try build(step)
            let files = HostProcess.openFiles()
            let growth = try HostProcess.addressSpaceGrowth {
                for _ in 0..<20 {
                    let range = try build(step)
                    let guards = AddressRange(start: range.start - .kibibytes(4), length: range.length + .kibibytes(8))
                    #expect(try ProcMaps.count(overlapping: guards) == .zero)
                    #expect(HostProcess.openFiles() == files)
                }
            }
            // A leaked region or its staging would be 560 pages, or 7, twenty times over.
            #expect(growth < PageCount(128))
        }
    }

    @Test("A sweep of faults leaks neither staging nor files")
    func faultsLeakNothing() async {
        await #expect(processExitsWith: .success) {
            func sweep() throws {
                let region = try Shape(size: .twoMebibytes, pages: 3).region()
                for operation in Operation.allCases {
                    for failures in [1, 2, 3, 1000] {
                        for number in 1...30 {
                            _ = operation.run(
                                on: region, .present, under: InjectedFault(first: number, failures: failures))
                            try operation.run(on: region, .present)
                            try operation.opposite.run(on: region, .excluded)
                        }
                    }
                    try operation.run(on: region, .excluded)
                }
                try region.expectWhole(region.states)
            }
            try sweep()
            let files = HostProcess.openFiles()
            #expect(try HostProcess.addressSpaceGrowth(over: sweep) < PageCount(64))
            #expect(HostProcess.openFiles() == files)
        }
    }

    @Test("Walkers keep their region alive, and let it go once stopped")
    func walkersHoldRegion() throws {
        weak var region: VmemmapRegion?
        func start() throws -> Walkers {
            let owned = try Shape(size: .twoMebibytes, pages: 2).region()
            region = owned
            return try Walkers(1, over: owned, seed: 5)
        }
        var walkers: Walkers? = try start()
        HostKernel.sleep(nanoseconds: 50_000_000)
        #expect(region != nil)
        let seen = walkers?.stop()
        #expect((seen?.reads ?? 0) > 0)
        #expect(seen?.wrong == 0)
        walkers = nil
        #expect(region == nil)
    }
}
