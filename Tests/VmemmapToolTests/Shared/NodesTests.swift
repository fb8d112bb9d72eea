import ArgumentParser
import FoundationEssentials
import Glibc
import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

/// How huge pages are divided among emulated nodes, and what they measured is put together.
@Suite("Shares and sums of emulated nodes")
struct NodesTests {
    private static func memory(_ pages: Int, tailFrames: TailFrames = .frames(PageCount(1))) -> EmulatedMemory {
        EmulatedMemory(
            pages: HugePageCount(pages), pageSize: .twoMebibytes, scheme: .firstTail, tailFrames: tailFrames)
    }

    private static func room(_ memory: ByteCount = .gibibytes(64)) -> HostRoom {
        HostRoom(
            mappingLimit: MappingCount(65530), mappingsInUse: MappingCount(100), memory: memory,
            memorySource: "MemAvailable")
    }

    @Test("1 TiB takes as many nodes as the default limit of mappings asks for, and none has more than that")
    func terabyte() throws {
        let shares = try NodeShares(Self.memory(524_288), .auto, on: Self.room())
        #expect(shares.plans.reduce(0) { $0 + $1.hugePages.rawValue } == 524_288)
        #expect(shares.memories.map(\.pages) == shares.plans.map(\.hugePages))
        let largest = try #require(shares.plans.map { $0.regionMappings(.optimized).rawValue }.max())
        #expect(largest < 65530)
        // One node less, and a share would not fit.
        #expect((shares.plans.count - 1) * (65530 / 8) < 524_288 + 65530 / 8)
        #expect(throws: Never.self) { try NodeShares(Self.memory(64), .auto, on: Self.room()) }
        #expect(try NodeShares(Self.memory(64), .auto, on: Self.room()).plans.count == 1)
    }

    @Test("Too few nodes are refused with how many it takes, and so is too little memory for all of them")
    func refused() throws {
        do {
            _ = try NodeShares(Self.memory(40_000), .number(2), on: Self.room())
            Issue.record("40 000 huge pages in two nodes")
        } catch {
            let line = ErrorText.line(error)
            #expect(line.contains("use --nodes auto or --nodes "), "\(line)")
            let number = try #require(line.firstMatch(of: /or --nodes (\d+)/).flatMap { Int($0.output.1) })
            #expect(throws: Never.self) { try NodeShares(Self.memory(40_000), .number(number), on: Self.room()) }
        }
        #expect(throws: ExperimentError.self) {
            try NodeShares(Self.memory(40_000), .auto, on: Self.room(.gibibytes(1)))
        }
    }

    @Test(
        "Where as many nodes as there may be are too few, a number of huge pages is named, or a limit",
        arguments: [1, 2])
    func tooMany(_ parts: Int) throws {
        let room = Self.room(.gibibytes(1 << 20))
        let part = parts == 1 ? room : room.half
        let memory = Self.memory(10_000_000)
        for count in [NodeCount.auto, .number(NodeCount.most)] {
            do throws(ExperimentError) {
                _ = try NodeShares(memory, count, on: part)
                Issue.record("10 000 000 huge pages")
            } catch {
                let line = ErrorText.line(error)
                #expect(
                    line.contains(
                        "a node need \(Format.count(parts * 78128)) mappings, but vm.max_map_count is 65530, "))
                #expect(!line.contains("--nodes") && !line.contains("--raise-map-limit"), "\(line)")
                let pages = try #require(line.firstMatch(of: /use --pages (\d+)/).flatMap { Int($0.output.1) })
                #expect(throws: Never.self) { try NodeShares(Self.memory(pages), count, on: part) }
                // Of a half, no number lets that many fit.
                let frames = line.firstMatch(of: /--tail-frames (\d+)/).flatMap { Int($0.output.1) }
                #expect((frames != nil) == (parts == 1), "\(line)")
                guard let frames else { continue }
                let other = Self.memory(10_000_000, tailFrames: .frames(PageCount(frames)))
                #expect(throws: Never.self) { try NodeShares(other, count, on: part) }
            }
        }
    }

    @Test("All nodes have the tail frames that are chosen once")
    func tailFrames() throws {
        for count in [NodeCount.number(3), .auto] {
            let shares = try NodeShares(Self.memory(1000, tailFrames: .auto), count, on: Self.room())
            #expect(Set(shares.plans.map(\.tailFrames)).count == 1)
            #expect(shares.memories.allSatisfy { "\($0.tailFrames)" == "\(shares.plans[0].tailFrames.rawValue)" })
        }
    }

    @Test("Shares add up, and differ by one at most", arguments: [1, 2, 3, 7, 64])
    func shares(_ nodes: Int) throws {
        let shares = NodeCount.shares(of: 64, among: nodes)
        #expect(shares.count == nodes && shares.reduce(0, +) == 64)
        #expect(try #require(shares.first) - (try #require(shares.last)) <= 1)
    }

    @Test("What one node has too many does not make up for what another has too few")
    func sums() {
        func node(_ measured: Int?) -> [Check] {
            [Check("frames", "they are right", [.equal("frames", 8, measured)], method: "a count")]
        }
        let right = Check.all(ofNodes: [node(8), node(8)])
        #expect(right[0].outcome == .passed && right[0].figures[0].measured.value == 16)
        let wrong = Check.all(ofNodes: [node(7), node(9)])
        #expect(wrong[0].outcome == .failed && wrong[0].figures[0].measured.value == 16)
        #expect(wrong[0].method.contains("node 0: frames: expected 8, measured 7"))
        #expect(wrong[0].method.contains("node 1: frames: expected 8, measured 9"))
        #expect(Check.all(ofNodes: [node(8), node(nil)])[0].outcome == .notMeasured)
        #expect([Measured.value(1), .notMeasured, .value(2)].sum() == .notMeasured)
        #expect([Measured.value(1), .value(2)].sum() == .value(3))
        #expect([Measured<Int>]().sum() == nil)
    }

    @Test("A node that fails is told from one that a signal has ended")
    func failures() {
        let refused = NodeFailure(node: 2, pid: 77, code: 3, text: "vmemmap: the host refused: no room\n")
        #expect(refused.description == "node 2 (process 77): the host refused: no room")
        #expect(ExitCode(ExperimentError.node(refused)) == .shortage)
        let killed = NodeFailure(node: 0, pid: 78, code: 128 + SIGKILL, text: "")
        #expect(killed.description.hasPrefix("node 0 (process 78) was ended by signal 9 "))
        #expect(ExitCode(ExperimentError.node(killed)) == .shortage)
        let crashed = NodeFailure(node: 0, pid: 79, code: 128 + SIGSEGV, text: "")
        #expect(ExitCode(ExperimentError.node(crashed)) == .failure)
    }

    @Test("Phases begin when all nodes are ready, and never for some of them alone")
    func phases() throws {
        var phases = NodePhases(2)
        #expect(try !phases.isComplete(with: "optimized"))
        #expect(try phases.isComplete(with: "optimized"))
        #expect(try !phases.isComplete(with: "measuring"))
        #expect(throws: ExperimentError.self) { try phases.isComplete(with: "restored") }
        #expect(try phases.isComplete(with: "measuring"))
        #expect(Array(phases.durations.keys) == ["optimized"])
    }

    @Test("A stress run fails if one of its nodes does, and says which; counts are added up")
    func stress() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let text = try Repository.text(of: "Tests/VmemmapToolTests/Stress/Snapshots/stress.json")
        let good = try decoder.decode(StressResult.self, from: Data(text.utf8))
        var configuration = StressConfiguration(
            pages: HugePageCount(5), schemes: good.combinations.map(\.scheme),
            backings: Array(good.combinations.map(\.backing).prefix(1)), seed: 9)
        configuration.schemes = Array(configuration.schemes.prefix(1))
        let runs = [3, 2].enumerated().map { node, pages in
            var run = configuration
            run.pages = HugePageCount(pages)
            run.seed = StressSeed.derive(9, UInt64(node))
            return run
        }
        let check = StressCheck.poolCountsAddUp
        let violation = StressViolation(
            check: check.id, statement: check.statement, detail: "they do not", seed: runs[1].seed, scheme: .head,
            backing: .memfd, setUp: 0, round: 0, states: [], mappings: [], lastOperations: [])
        let bad = StressResult(
            host: good.host, seed: runs[1].seed, configuration: good.configuration, combinations: good.combinations,
            total: good.total, leftOut: good.leftOut, footprints: good.footprints, history: [], checks: good.checks,
            wasEnded: false, isComplete: true, violation: violation)
        func sum(_ results: [StressResult]) -> StressResult {
            StressResult(host: good.host, configuration, runs, results, [1, 2], history: [], wasEnded: false)
        }
        #expect(sum([good, good]).holds)
        let failed = sum([good, bad])
        #expect(!failed.holds && failed.nodes.map(\.holds) == [true, false])
        #expect(failed.total.operations == 2 * good.total.operations)
        #expect(failed.total.elapsedNanoseconds == good.total.elapsedNanoseconds)
        #expect(failed.checks.filter { $0.outcome == .failed }.map(\.id) == [check.id])
        let lines = StressReport.lines(failed)
        #expect(
            lines.contains(
                "in node 1; again with --seed 9 --nodes 2, or that node alone with --seed \(runs[1].seed) --pages 2"))
    }

    @Test(
        "What does not go with nodes is a usage error",
        arguments: [
            ["savings", "--pages", "8", "--nodes", "0"], ["savings", "--pages", "8", "--nodes", "many"],
            ["savings", "--pages", "8", "--nodes", "9"], ["savings", "--pages", "8", "--nodes", "2000"],
            ["savings", "--pages", "8", "--nodes", "2", "--raise-map-limit"], ["hold", "--pages", "2", "--nodes", "3"],
            ["hold", "--nodes", "2", "--export-kpageflags", "flags"], ["inspect", "--pid", "1", "--nodes", "2"],
            ["stress", "--pages", "8", "--nodes", "5"], ["stress", "--nodes", "3", "--cycles", "2"],
            ["demo", "--nodes", "2"], ["bench", "--nodes", "2"],
        ])
    func unusable(_ arguments: [String]) throws {
        do {
            _ = try VmemmapCommand.parseAsRoot(arguments)
            Issue.record("it is taken")
        } catch {
            #expect(VmemmapCommand.exitCode(for: error) == .validationFailure)
            #expect(VmemmapCommand.message(for: error).contains("--nodes"))
        }
    }
}
