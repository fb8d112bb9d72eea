import Testing

@testable import HostMemory

@Suite("What /proc says of a process's memory")
struct ProcessMemoryTests {
    @Test("A rollup before 5.4 has no parts of Pss")
    func rollupBeforeParts() throws {
        let rollup = try #require(SmapsRollup(Fixtures.rollup4_19))
        #expect(rollup.rss == .kibibytes(884))
        #expect(rollup.pss == .kibibytes(385))
        #expect(rollup.pssAnon == nil)
        #expect(rollup.pssShmem == nil)
        #expect(rollup.privateBytes == .kibibytes(184))
        #expect(rollup.sharedBytes == .kibibytes(700))
        #expect(rollup.anonymous == .kibibytes(104))
        #expect(rollup.anonHugePages == .zero)
    }

    @Test("A rollup from 5.4 on has them")
    func rollupWithParts() throws {
        let rollup = try #require(SmapsRollup(Fixtures.rollup5_15))
        #expect(rollup.pss == .kibibytes(9385))
        #expect(rollup.pssAnon == .kibibytes(6104))
        #expect(rollup.pssShmem == .kibibytes(2100))
        #expect(rollup.anonHugePages == .kibibytes(2048))
    }

    @Test("A rollup of 6.x has fields that change nothing")
    func rollupOfToday() throws {
        let rollup = try #require(SmapsRollup(Fixtures.rollup6_18))
        #expect(rollup.rss == .kibibytes(1744))
        #expect(rollup.pss == .kibibytes(657))
        #expect(rollup.pssAnon == .kibibytes(112))
        #expect(rollup.privateBytes == .kibibytes(252))
    }

    @Test("A rollup cut off anywhere before its last needed field is nil")
    func truncatedRollup() throws {
        let text = Fixtures.rollup4_19
        let needed = try #require(text.firstRange(of: "Anonymous:           104 kB")).upperBound
        for length in 0..<text.distance(from: text.startIndex, to: needed) {
            #expect(SmapsRollup(String(text.prefix(length))) == nil)
        }
        #expect(SmapsRollup(String(text[..<needed])) != nil)
    }

    @Test(
        "A rollup without one of the fields that every version has is nil",
        arguments: ["Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous"])
    func missingField(key: String) {
        #expect(SmapsRollup(Fixtures.rollup5_15.replacing("\n\(key):", with: "\nOther:")) == nil)
    }

    @Test("Parts whose sum does not fit 64 bits make nil and no trap")
    func sumOverflows() async {
        await #expect(processExitsWith: .success) {
            let huge = "9007199254740991 kB"
            for key in ["Private", "Shared"] {
                let text = Fixtures.rollup6_18 + "\(key)_Clean: \(huge)\n\(key)_Dirty: \(huge)\n"
                #expect(SmapsRollup(text) == nil)
            }
        }
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
            #expect(after.anonymous - before.anonymous >= populated)
            #expect(after.pss >= after.privateBytes && after.rss >= after.pss)
            #expect(after.rss == after.privateBytes + after.sharedBytes)
            #expect(status.peakRSS + .mebibytes(1) >= after.rss)
            #expect(status.pageTables >= .kibibytes(32), "4096 pages need eight tables of 4 KiB")
            #expect(statm.resident.bytes(pageSize: ScratchRegion.pageSize) >= populated)
            #expect(statm.size > statm.resident && statm.resident > statm.shared)
        }
    }
}
