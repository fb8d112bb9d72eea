import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("Regions built optimized")
struct AtBootTests {
    /// Many pages of which few stay: 128 MiB of struct pages.
    static let large = Backing.allCases.flatMap { backing in
        [
            Shape(size: .twoMebibytes, pages: 4096, scheme: .sharedTail, backing: backing, tailFrames: 7),
            Shape(size: .twoMebibytes, pages: 4096, scheme: .head, backing: backing),
            Shape(size: .oneGibibyte, pages: 8, scheme: .firstTail, backing: backing, tailFrames: 16),
        ]
    }

    @Test("Memory never exceeds the optimized size while it is built", arguments: 0..<large.count)
    func peak(_ number: Int) async {
        await #expect(processExitsWith: .success) { [number] in
            let shape = Self.large[number]
            let plan = try shape.plan()
            // The first region of a process faults its code and account in.
            _ = try Shape(size: shape.size, pages: 8, scheme: shape.scheme, backing: shape.backing).region(.optimized)
            let before = try ProcessStatus.current()
            let region = try VmemmapRegion(plan, .optimized)
            let after = try ProcessStatus.current()
            let optimized = plan.framesOptimized.bytes(pageSize: HostLimits.pageSize)
            // The file only grows while it is built, and no page that is mapped is counted twice by adding it.
            let peak = after.peakRSS - before.peakRSS + (try region.sharedFrameBytes())
            #expect(peak <= optimized + .mebibytes(4), "\(peak) of \(optimized)")
            #expect(try FrameCount.count(in: region.range).distinct == plan.framesOptimized)
        }
    }

    @Test("More than memory holds can be built, as long as what stays of it fits")
    func moreThanMemory() async {
        await #expect(processExitsWith: .success) {
            // 256 GiB of struct pages for 16 TiB of memory, 4096 frames of which stay in each zone, and one a huge
            // page.
            let plan = try Shape(size: .oneGibibyte, pages: 16384, scheme: .sharedTail, tailFrames: 4095).plan()
            let region = try VmemmapRegion(plan, .optimized)
            #expect(try region.sharedFrameBytes() == plan.templates.bytes(pageSize: HostLimits.pageSize))
            #expect(region.visitStructPages(of: region.page(16383)).wrong == 0)
        }
    }

    @Test(
        "Every call of building may fail: nothing stays mapped or open", arguments: Backing.allCases, Scheme.ofHugeTLB)
    func faults(_ backing: Backing, _ scheme: Scheme) async {
        await #expect(processExitsWith: .success) {
            [backing = backing.rawValue as String, scheme = scheme.rawValue as String] in
            let backing = try #require(Backing(rawValue: backing))
            let scheme = try #require(Scheme(rawValue: scheme))
            let shape = Shape(size: .twoMebibytes, pages: 3, scheme: scheme, backing: backing)
            _ = try shape.region(.optimized)
            let files = HostProcess.openFiles()
            let growth = try HostProcess.addressSpaceGrowth {
                for number in 1...200 {
                    let (result, outcome) = InjectedFault(first: number).during {
                        Result { try shape.region(.optimized) }
                    }
                    if outcome.failed == 0 { break }
                    let error = try #require(throws: VmemmapError.self) { _ = try result.get() }
                    #expect(error.operation == .build)
                    #expect(HostProcess.openFiles() == files, "call \(number)")
                }
            }
            #expect(growth < PageCount(24))
        }
    }

    @Test(
        "What the mapping limit does not allow is refused before the first huge page, with the number that fits",
        .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"))
    func mappingLimit() async {
        await #expect(processExitsWith: .success) {
            let ballast = try MappingBallast(leaving: MappingCount(500))
            let error = #expect(throws: VmemmapError.self) {
                _ = try Shape(size: .twoMebibytes, pages: 200).region(.optimized)
            }
            try ballast.remove()
            guard case .mappingLimit(_, _, _, let largest) = error?.cause else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error?.operation == .build)
            _ = try Shape(size: .twoMebibytes, pages: largest.rawValue).region(.optimized)
        }
    }
}
