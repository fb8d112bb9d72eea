import FoundationEssentials
import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("The naive restore beside the engine's")
struct RaceResultTests {
    private static func run(
        _ scheme: Scheme, _ backing: Backing, run tailFrames: Int = 1, milliseconds: Int = 100
    ) throws -> RaceResult {
        try RaceExperiment(
            EmulatedMemory(
                pages: HugePageCount(16), pageSize: .twoMebibytes, scheme: scheme, backing: backing,
                tailFrames: .frames(PageCount(tailFrames))), walkers: 2, nanosecondsEach: milliseconds * 1_000_000
        ).run()
    }

    @Test("Walkers catch the naive way, and never the engine", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func caught(_ scheme: Scheme, _ backing: Backing) throws {
        // On a busy host a walker may not look in time.
        for _ in 0..<100 {
            let result = try Self.run(scheme, backing, run: scheme == .head ? 1 : 3)
            let (naive, atomic) = (result.side(.naive), result.side(.atomic))
            #expect(result.holds && atomic.wrongReads == 0 && atomic.wrongRead == .notMeasured)
            #expect(naive.reads > 0 && naive.cycles > 0 && naive.pairs == atomic.pairs)
            #expect(naive.durationNanoseconds >= 100_000_000 && atomic.durationNanoseconds >= 100_000_000)
            guard naive.wrongReads > 0 else { continue }
            #expect(naive.wrongReads < naive.reads && naive.pairsWithWrongReads > 0)
            #expect(naive.wrongRead.value?.word == 0)
            let lines = RaceReport.lines(result)
            #expect(lines.contains { $0.hasPrefix("It is a real one.") })
            #expect(lines.contains { $0.hasPrefix("It holds where each replacement is one step. At the naive way's") })
            #expect(lines.contains { $0.hasPrefix("ok    walkers read right under the engine: wrong reads 0, reads ") })
            #expect(lines.last == "1 check passed")
            return
        }
        Issue.record("the naive way was not caught in 100 runs")
    }

    @Test("The page draws wrong reads, not durations")
    func page() throws {
        let page = HTMLExport.text(try Self.run(.head, .memfd, milliseconds: 20))
        #expect(page.contains(">Wrong reads of each way</title>"))
        #expect(page.contains("of a million") && !page.contains("time, ms</text>"))
    }

    @Test("The naive way leaves every vmemmap page with its bytes, and the engine's account in order")
    func contents() throws {
        for (scheme, backing) in [(Scheme.firstTail, Backing.anonymous), (.sharedTail, .memfd), (.head, .anonymous)] {
            let plan = try EmulatedMemory(
                pages: HugePageCount(3), pageSize: .twoMebibytes, scheme: scheme, backing: backing
            ).planOnThisHost()
            let region = try VmemmapRegion(plan)
            let naive = try NaiveRestore(region)
            try region.optimize(region.layout.allHugePages, writers: .excluded)
            try naive.restore(region.layout.allHugePages)
            #expect(region.visitEveryStructPage().wrong == 0)
            #expect(try FrameCount.count(in: region.range).distinct > plan.framesOptimized)
            try region.restore(region.layout.allHugePages, writers: .excluded)
            #expect(region.differencesFromPrepared().isEmpty)
            #expect(try FrameCount.count(in: region.range).distinct == plan.framesPopulated)
            #expect(try ProcMaps.count(overlapping: region.range) <= plan.regionMappings(.restored))
        }
    }

    /// A result with counts of one's own choosing.
    private static func result(naive: Int, atomic: Int) throws -> RaceResult {
        let real = try run(.firstTail, .anonymous, milliseconds: 1)
        let sides = [(RaceResult.Way.naive, naive), (.atomic, atomic)].map { way, wrong in
            var side = RaceResult.Side(way: way)
            (side.pairs, side.cycles, side.reads, side.wrongReads) = (1, 1, 1_000_000, wrong)
            if wrong > 0 { side.wrongRead = .value(RaceResult.WrongRead(frame: 77, word: 0xbad1)) }
            return side
        }
        return RaceResult(host: real.host, configuration: real.configuration, plan: real.plan, sides: sides)
    }

    @Test("A naive way that was not caught is no failure, and is not called right")
    func notCaught() throws {
        let result = try Self.result(naive: 0, atomic: 0)
        #expect(result.holds && result.verdict == true && result.wrongReadsAtTheNaiveRate == nil)
        let lines = RaceReport.lines(result)
        #expect(lines.contains { $0.hasPrefix("The naive way was not caught in 1 000 000 reads.") })
        #expect(
            lines.suffix(4) == [
                "?     walkers read right under the engine",
                "        naive_failures: expected at least 1, not measured",
                "        walkers of both ways; where nothing goes wrong of the naive one, nobody looked in time",
                "0 of 1 check passed, 1 not measured",
            ])
    }

    @Test("A wrong read under the engine is a violation, whatever the naive way did", arguments: [0, 10])
    func violation(_ naive: Int) throws {
        let result = try Self.result(naive: naive, atomic: 1)
        #expect(!result.holds && result.verdict == false)
        let lines = RaceReport.lines(result)
        #expect(lines.contains("It does not hold here: for frame 77, say, compound_head read 0xbad1."))
        #expect(lines.contains("FAIL  walkers read right under the engine"))
        #expect(lines.contains("        wrong_reads: expected 0, measured 1") && lines.last == "1 of 1 check failed")
    }

    @Test("What the naive rate would have come to is read off the counts")
    func rate() throws {
        let result = try Self.result(naive: 250, atomic: 0)
        #expect(result.wrongReadsAtTheNaiveRate == 250)
        #expect(RaceReport.lines(result).contains { $0.contains("gave a wrong head, one in 4 000: ") })
    }

    @Test("The JSON gives the result back, null where there was no wrong read")
    func json() throws {
        let result = try Self.result(naive: 3, atomic: 0)
        let text = try JSONExport.text(result)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        #expect(try decoder.decode(RaceResult.self, from: Data(text.utf8)) == result)
        #expect(text.contains("\"command\" : \"race\"") && text.contains("\"wrong_read\" : null"))
        #expect(try JSON(text: text)["checks"]?.elements.first?["id"] == .text("walkers_read_right"))
    }
}
