import Testing

@testable import HostMemory

@Suite("Reading memory without allocating")
struct MemoryMeterTests {
    @Test(
        "statm's second number, or nothing",
        arguments: [
            ("5061 1771 1563 2 0 161 0\n", 1771), ("5061 1771", 1771), ("5061", nil), ("", nil), ("a 1 2", nil),
            ("1 99999999999999999999 2", nil), ("1 18446744073709551615 2", nil),
        ] as [(String, Int?)])
    func statm(_ text: String, _ pages: Int?) {
        #expect(MemoryMeter.residentPages(Array(text.utf8).span) == pages)
    }

    @Test(
        "The line Pss of smaps_rollup and no other, or nothing",
        arguments: [
            ("7f-80 ---p 00000000 00:00 0 [rollup]\nRss:   12 kB\nPss:    7263 kB\nPss_Dirty:   1 kB\n", 7263),
            ("Pss:\n", nil), ("Pss_Anon: 4 kB\n", nil), ("Pss: x kB\n", nil), ("Pss: 12 kB", nil), ("", nil),
            ("\n\n", nil),
        ] as [(String, Int?)])
    func rollup(_ text: String, _ kibibytes: Int?) {
        #expect(MemoryMeter.pssKibibytes(Array(text.utf8).span) == kibibytes)
    }

    @Test("It reads what the parsers of whole texts read, in the same unit")
    func agrees() async {
        await #expect(processExitsWith: .success) {
            let region = try ScratchRegion(pages: 4096)
            region.stamp(0..<4096, from: 1)
            var meter = try MemoryMeter()
            let (read, readPss) = (meter.residentBytes(), meter.proportionalBytes())
            let (resident, proportional) = (try #require(read), try #require(readPss))
            let rollup = try SmapsRollup.current()
            // Half of it, for what the runtime's threads do meanwhile; a unit would be a factor of 1024 or 4096.
            #expect(resident > region.range.length && abs((rollup.rss - resident).rawValue) < rollup.rss.rawValue / 2)
            #expect(
                proportional > region.range.length
                    && abs((rollup.pss - proportional).rawValue) < rollup.pss.rawValue / 2)
        }
    }
}
