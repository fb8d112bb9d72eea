import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("Flags of emulated frames, as /proc/kpageflags has them")
struct PageFlagsTests {
    private static let named: UInt64 =
        KernelPageFlag.compoundHead.mask | KernelPageFlag.compoundTail.mask | KernelPageFlag.huge.mask

    /// Every scheme on every backing; one gigantic page, of which each struct page costs a debug build microseconds.
    private static let shapes =
        Backing.allCases.flatMap { backing in
            Scheme.ofHugeTLB.map { Shape(size: .twoMebibytes, pages: 3, scheme: $0, backing: backing) }
        } + [Shape(size: .oneGibibyte, pages: 1, scheme: .head)]

    @Test("Every huge page keeps the kernel test's rule, optimized or not", arguments: shapes)
    func rule(_ shape: Shape) throws {
        let region = try shape.region()
        for step in 0..<(shape.size == .oneGibibyte ? 2 : 4) {
            for page in region.all {
                let flags = region.kernelPageFlags(ofHugePage: page)
                #expect(flags.count == region.plan.geometry.basePagesPerHugePage)
                #expect(HugePageFlagsRule.violations(flags).isEmpty, "step \(step), huge page \(page)")
                #expect(flags.allSatisfy { $0 & ~Self.named == 0 })
            }
            if step.isMultiple(of: 2) {
                try region.optimize(region.all, writers: .excluded)
            } else {
                try region.restore(region.all, writers: .excluded)
            }
        }
    }

    @Test("Frames beyond the region are left out")
    func clamped() throws {
        let region = try Shape(size: .twoMebibytes, pages: 2).region()
        let flags = region.kernelPageFlags(of: PageFrameNumber(1000)..<PageFrameNumber(5000))
        #expect(flags.count == 24)
        #expect(region.kernelPageFlags(of: PageFrameNumber(2000)..<PageFrameNumber(5000)).isEmpty)
    }

    @Test(
        "A memory error of the head shows on every page of its huge page, and on no other", arguments: Scheme.ofHugeTLB)
    func poisoned(_ scheme: Scheme) throws {
        let region = try Shape(size: .twoMebibytes, pages: 3, scheme: scheme).region()
        try region.optimize(region.all, writers: .excluded)
        HugePageFields(of: HugePageIndex(1), region.layout).isPoisoned = true
        for page in region.all {
            let flags = region.kernelPageFlags(ofHugePage: page)
            let isPoisoned = page == HugePageIndex(1)
            #expect(flags.allSatisfy { ($0 & KernelPageFlag.hwPoison.mask != 0) == isPoisoned })
            #expect(HugePageFlagsRule.violations(flags).isEmpty)
        }
    }

    @Test("Free memory of a machine has no flags, a huge page from it does, whichever view is asked")
    func machine() throws {
        let machine = try EmulatedMachine(MachineConfiguration(memory: .gibibytes(3), optimizesAtBoot: true))
        let view = try #require(machine.views[.twoMebibytes])
        #expect(view.kernelPageFlags(of: PageFrameNumber(0)..<PageFrameNumber(4096)).allSatisfy { $0 == 0 })
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        try machine.setPool(.twoMebibytes, to: HugePageCount(3))
        let flags = view.kernelPageFlags(of: view.layout.frames)
        #expect(flags.count { $0 & KernelPageFlag.compoundHead.mask != 0 } == 4)
        #expect(flags.count { $0 & KernelPageFlag.huge.mask != 0 } == 262144 + 3 * 512)
        let head = try #require(flags.firstIndex { $0 & KernelPageFlag.compoundHead.mask != 0 })
        #expect(head.isMultiple(of: 512))
    }

    /// In a process of its own, so that no other test's mapping falls into the gap.
    @Test("A frame whose struct page is in a gap has none")
    func gap() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 2).region()
            try HostKernel.unmap(region.vmemmapPage(3, of: 0))
            let flags = region.kernelPageFlags(of: region.layout.frames)
            let missing = flags.indices.filter { flags[$0] == KernelPageFlag.noPage.mask }
            #expect(missing == Array(192..<256))
        }
    }
}
