import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("What a forked child gets of a region")
struct ForkTests {
    @Test(
        "Neither memory nor files, in whatever state its huge pages are, and the parent goes on",
        arguments: Backing.allCases)
    func region(_ backing: Backing) throws {
        let region = try Shape(size: .twoMebibytes, pages: 6, backing: backing).region()
        try region.optimize(region.pages(1..<5), writers: .excluded)
        try region.restore(region.pages(3..<5), writers: .excluded)
        let targets = region.all.flatMap { page in
            [0, 1, 7].map { region.vmemmapPage($0, of: page.rawValue).start + ByteCount(32) }
        }
        let probe = try ForkProbe(storingTo: targets)
        #expect(probe.storesMade == 0)
        // The guard pages show the memory file too.
        let whole = HostKernel.withGuardPages(region.range)
        #expect(try ProcMaps.count(of: .other(probe.processID), overlapping: whole) == .zero)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
        probe.end()
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
    }
    @Test("Pages that a restore has staged carry the mark that keeps them from children")
    func staged() throws {
        let region = try Shape(size: .twoMebibytes, pages: 2).region()
        try region.optimize(region.all, writers: .excluded)
        try region.restore(region.page(1), writers: .excluded)
        let kept = try HostProcess.anonymousMappingsKeptFromChildren().filter { $0.overlaps(region.range) }
        // Its head moved in with the others.
        #expect(kept == [AddressRange(start: region.vmemmapPage(0, of: 1).start, length: ByteCount(8 * 4096))])
    }
}
