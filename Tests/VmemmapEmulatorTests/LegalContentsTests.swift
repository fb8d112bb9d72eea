import HostMemory
import Testing
import VmemmapEmulator

@Suite("What a vmemmap page may hold")
struct LegalContentsTests {
    @Test("Every page of a region is legal in every state; any wrong word is found", arguments: Scheme.ofHugeTLB)
    func region(_ scheme: Scheme) throws {
        let region = try Shape(size: .twoMebibytes, pages: 4, scheme: scheme).region()
        let contents = LegalContents(branding: region, 1 << 40)
        func wrong() -> [Int] { Self.wrong(contents, region) }
        #expect(wrong().isEmpty)
        try region.optimize(region.pages(0..<3), writers: .excluded)
        #expect(wrong().isEmpty)
        try region.restore(region.pages(1..<3), writers: .excluded)
        #expect(wrong().isEmpty)
        // A head page, an optimized page's at that; and a tail page that has its own frame.
        for (page, vmemmapPage) in [(0, 0), (3, 5)] {
            let start = region.vmemmapPage(vmemmapPage, of: page).start
            for offset in [0, 8, 64 + 8, 2 * 64 + 40, 4088] {
                let address = start + ByteCount(offset)
                // SAFETY: the word lies in a page of the region that is mapped read-write, and nobody else writes.
                let before = unsafe MemoryAccess.load(address)
                #expect(unsafe MemoryAccess.tryStore(before ^ 0x100, at: address) == .done)
                #expect(wrong().contains(page * 8 + vmemmapPage), "byte \(offset)")
                #expect(unsafe MemoryAccess.tryStore(before, at: address) == .done)
            }
        }
        #expect(wrong().isEmpty)
    }

    @Test(
        "The pages of a machine are legal whatever they are used for; a wrong word is found",
        arguments: Scheme.ofHugeTLB
    )
    func machine(_ scheme: Scheme) throws {
        let machine = try EmulatedMachine(
            MachineConfiguration(memory: .mebibytes(64), scheme: scheme, optimizesAtBoot: true))
        let region = try #require(machine.region(.twoMebibytes))
        let contents = LegalContents(of: machine)
        #expect(Self.wrong(contents, region).isEmpty)
        try machine.setPool(.twoMebibytes, to: HugePageCount(5))
        let page = try machine.allocate(.twoMebibytes)
        try machine.poison(page.head.advanced(by: 77))
        #expect(Self.wrong(contents, region).isEmpty)
        try machine.free(page)
        try machine.setPool(.twoMebibytes, to: .zero)
        #expect(Self.wrong(contents, region).isEmpty)
        let address = region.layout.structPage(of: PageFrameNumber(100)) + StructPage.compoundHeadOffset
        // SAFETY: the word lies in a page of the machine that is mapped read-write, and nobody else writes.
        #expect(unsafe MemoryAccess.tryStore(0xbad1, at: address) == .done)
        #expect(Self.wrong(contents, region) == [1])
    }

    private static func wrong(_ contents: LegalContents, _ region: VmemmapRegion) -> [Int] {
        (0..<region.plan.framesPopulated.rawValue).filter { page in
            if case .whole = contents.observe(page) { false } else { true }
        }
    }
}
