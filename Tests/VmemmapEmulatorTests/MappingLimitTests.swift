import HostLab
import HostMemory
import Testing
import VmemmapEmulator

/// Each in a process of its own: the limit is a process's.
@Suite(
    "At vm.max_map_count",
    .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"))
struct MappingLimitTests {
    @Test("What does not fit is refused before anything is mapped; the largest that is said to fit does")
    func budget() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 200).region()
            let ballast = try MappingBallast(leaving: MappingCount(500))
            let (result, outcome) = InjectedFault(
                first: .max, operations: [.mapFile, .mapAnonymous, .move, .protect, .write]
            ).during { Result { () throws(VmemmapError) in try region.optimize(region.all, writers: .excluded) } }
            let error = try #require(throws: VmemmapError.self) { try result.get() }
            guard case .mappingLimit(let asked, let inUse, let limit, let largest) = error.cause else {
                Issue.record("\(error)")
                return
            }
            #expect(outcome.calls == 0)
            #expect(error.residue.isEmpty)
            #expect(limit == (try HostLimits.maxMapCount()))
            #expect(asked == MappingCount(1600))
            #expect(abs((inUse - limit).rawValue + 500) < 8)
            #expect(largest == HostProcess.largest(limit - inUse))
            #expect("\(error)".contains("vm.max_map_count is \(limit.rawValue)"))
            #expect("\(error)".contains("at most \(largest.rawValue) huge pages fit"))
            try region.expectAll(.populated)

            #expect(throws: VmemmapError.self) {
                try region.optimize(region.pages(0..<(largest.rawValue + 1)), writers: .excluded)
            }
            try region.expectAll(.populated)
            try region.optimize(region.pages(0..<largest.rawValue), writers: .excluded)
            // There is room left for the way back.
            try region.restore(region.all, writers: .excluded)
            try ballast.remove()
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
        }
    }

    @Test(
        "A restore works at the limit, on the mappings held in reserve",
        arguments: [HugePageSize.twoMebibytes, .oneGibibyte])
    func restoreAtTheLimit(_ size: HugePageSize) async {
        await #expect(processExitsWith: .success) { [bytes = size.bytes.rawValue as Int] in
            let size = try #require(HugePageSize(bytes: ByteCount(bytes)))
            let region = try Shape(size: size, pages: 3).region()
            try region.optimize(region.all, writers: .excluded)
            let ballast = try MappingBallast(leaving: MappingCount(4))
            // Nothing is reported before the ballast is gone: reporting needs mappings too.
            let errors = (0..<3).map { page -> VmemmapError? in
                do throws(VmemmapError) {
                    try region.restore(region.page(page), writers: page == 1 ? .present : .excluded)
                    return nil
                } catch {
                    return error
                }
            }
            try ballast.remove()
            #expect(errors.allSatisfy { $0 == nil }, "\(errors)")
            try region.expectAll(.restored)
        }
    }

    @Test("The kernel's own ENOMEM in the middle of optimize is put back", arguments: [4, 7, 100, 333])
    func behindTheBudget(_ free: Int) async {
        await #expect(processExitsWith: .success) { [free] in
            let region = try Shape(size: .twoMebibytes, pages: 150).region()
            // The budget counts once, and finds plenty.
            try region.optimize(region.page(0), writers: .excluded)
            let walkers = try Walkers(1, over: region, seed: 1)
            let ballast = try MappingBallast(leaving: MappingCount(free))
            let result = Result { () throws(VmemmapError) in try region.optimize(region.all, writers: .excluded) }
            try ballast.remove()
            let error = try #require(throws: VmemmapError.self) { try result.get() }
            guard case .host(let cause) = error.cause, cause.code == .outOfMemory else {
                Issue.record("\(error)")
                return
            }
            #expect(error.residue.isEmpty, "\(error)")
            #expect(region.states.map(\.isOptimized) == [true] + Array(repeating: false, count: 149))
            #expect(region.differencesFromPrepared().isEmpty)
            #expect(walkers.stop().wrong == 0)
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
            try region.restore(region.all, writers: .excluded)
            try region.expectAll(.restored)
        }
    }
}

extension HostProcess {
    /// How many 2 MiB huge pages fit `free` mappings.
    fileprivate static func largest(_ free: MappingCount) -> HugePageCount { HugePageCount(free.rawValue / 8) }
}
