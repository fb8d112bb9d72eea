import Testing

@testable import HostMemory

@Suite("What /proc says of a process's memory")
struct ProcessMemoryTests {
    @Test("A rollup of any kernel has them, whatever else it has")
    func rollups() throws {
        for (text, rss, pss) in [
            (Fixtures.rollup4_19, 884, 385), (Fixtures.rollup5_15, nil, 9385), (Fixtures.rollup6_18, 1744, 657),
        ] {
            let rollup = try #require(SmapsRollup(text))
            #expect(
                rollup.anonHugePages != nil && rollup.pss == .kibibytes(pss)
                    && (rss == nil || rollup.rss == .kibibytes(rss ?? 0)))
        }
    }

    @Test("A rollup cut off anywhere before its last needed field is nil")
    func truncatedRollup() throws {
        let text = Fixtures.rollup4_19
        let needed = try #require(text.firstRange(of: "Pss:                 385 kB")).upperBound
        for length in 0..<text.distance(from: text.startIndex, to: needed) {
            #expect(SmapsRollup(String(text.prefix(length))) == nil)
        }
        #expect(SmapsRollup(String(text[..<needed])) != nil)
    }

    @Test(
        "A rollup without one of the fields that every version has is nil",
        arguments: ["Rss", "Pss"])
    func missingField(key: String) {
        #expect(SmapsRollup(Fixtures.rollup5_15.replacing("\n\(key):", with: "\nOther:")) == nil)
    }

    @Test("Statm is seven numbers of pages")
    func statm() throws {
        let statm = try #require(Statm("765 436 408 5 0 90 0\n"))
        #expect((statm.size, statm.resident, statm.shared) == (PageCount(765), PageCount(436), PageCount(408)))
    }

    @Test(
        "Anything else is no statm",
        arguments: [
            "", "\n", "765 436 408 5 0 90", "765 436 408 5 0 90 0 1", "x 436 408 5 0 90 0", "765 436 4o8 5 0 90 0",
            "99999999999999999999 436 408 5 0 90 0", "765 436 408 5 0 90 0x", "1\u{0} 2 3 4 5 6 7",
        ])
    func badStatm(text: String) {
        #expect(Statm(text) == nil)
    }

    @Test(
        "Status gives the page tables and the peak in every version",
        arguments: [
            (Fixtures.status4_9, 32, 664), (Fixtures.status5_15, 1044, 524_744), (Fixtures.status6_18, 44, 1744),
        ])
    func status(text: String, pageTables: Int, peak: Int) throws {
        let status = try #require(ProcessStatus(text))
        #expect(status.pageTables == .kibibytes(pageTables))
        #expect(status.peakRSS == .kibibytes(peak))
    }

    @Test("Status without one of its fields is nil (a kernel thread has none)", arguments: ["VmPTE", "VmHWM"])
    func badStatus(key: String) {
        #expect(ProcessStatus(Fixtures.status6_18.replacing("\(key):", with: "Other:")) == nil)
        #expect(ProcessStatus(Fixtures.status6_18.replacing("\(key):\t", with: "\(key):\tx")) == nil)
        #expect(ProcessStatus("") == nil)
    }

    @Test("This process's own files read, and agree with each other as far as they must")
    func current() async {
        await #expect(processExitsWith: .success) {
            let region = try ScratchRegion(pages: 4096)
            let before = try SmapsRollup.current()
            try HostKernel.populate(region.range)
            let after = try SmapsRollup.current()
            let status = try ProcessStatus.current()
            let statm = try Statm.current()
            let populated = region.range.length
            // Not the growth of PSS: another process that starts meanwhile shares the program, whose part shrinks.
            #expect(after.rss - before.rss >= populated)
            #expect(after.pss >= populated && after.rss >= after.pss)
            #expect(status.peakRSS + .mebibytes(1) >= after.rss)
            #expect(status.pageTables >= .kibibytes(32), "4096 pages need eight tables of 4 KiB")
            #expect(statm.resident.bytes(pageSize: ScratchRegion.pageSize) >= populated)
            #expect(statm.size > statm.resident && statm.resident > statm.shared)
        }
    }
}
