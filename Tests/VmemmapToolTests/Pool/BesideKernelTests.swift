import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("A pool script beside another HugeTLB layer")
struct BesideKernelTests {
    static let examples = ["counters", "free-list", "gigantic", "hugemmap", "reservations", "selftests", "surplus"]

    @Test("What the kernel counts in each example is in it, and the emulated pools count the same", arguments: examples)
    func holds(_ name: String) async throws {
        let script = "\(Command.repository)/scripts/examples/beside-kernel/\(name).pool"
        let outcome = try await Command.run(["pool", script])
        #expect(outcome.code == 0 && outcome.output.contains("  ok    "), "\(outcome)")
    }

    @Test("Every example can be done on the host: none of its lines is refused", arguments: examples)
    func translatedExamples(_ name: String) throws {
        let text = try Repository.text(of: "scripts/examples/beside-kernel/\(name).pool")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let script = try BesideScript(lines, scheme: .head)
        #expect(script.refusals.isEmpty && !script.lines.isEmpty)
        let memory = try #require(script.memory)
        #expect(try #require(script.mostBytes()) <= memory)
    }

    @Test("No example is left out")
    func allExamples() async throws {
        let names = try await Repository.names(in: "scripts/examples/beside-kernel")
        #expect(names == Self.examples.map { $0 + ".pool" })
    }

    // MARK: Reading

    @Test("Without root, and with lines that have no counterpart, nothing is begun")
    func refused() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=64M\npoison 0\nalloc 2M\nbudget 3\n", to: "poison.pool")
        let poison = try await Command.run(["pool", "--beside-kernel", folder.path("poison.pool")])
        #expect(poison.code == 4 && poison.output.isEmpty, "\(poison)")
        #expect(poison.error.contains("poison.pool:2: poison 0: a memory error cannot be taken back"), "\(poison)")
        #expect(poison.error.contains("poison.pool:4: budget 3: "), "\(poison)")
        try folder.write("boot memory=64M\n", to: "plain.pool")
        let plain = try await Command.asOrdinaryUser(["pool", "--beside-kernel", folder.path("plain.pool")])
        #expect(plain.code == 4 && plain.error.contains("takes root: sudo vmemmap pool"), "\(plain)")
        try folder.write("boot memory=64M\nnr_hugepages 2M 9999999999\n", to: "large.pool")
        let large = try await Command.run(["pool", "--beside-kernel", folder.path("large.pool")])
        #expect(large.code == 3 && large.error.contains("at most half of the host's available memory"), "\(large)")
        try folder.write("boot memory=64M\nnr_hugepages 2M 33\n", to: "small.pool")
        let small = try await Command.run(["pool", "--beside-kernel", folder.path("small.pool")])
        #expect(small.code == 3 && small.error.contains("say memory=66M or more"), "\(small)")
        try folder.write("boot memory=64M\nfrob\n", to: "wrong.pool")
        let wrong = try await Command.run(["pool", "--beside-kernel", folder.path("wrong.pool")])
        #expect(wrong.code == 64 && wrong.error.contains("wrong.pool:2: found 'frob'"), "\(wrong)")
    }

    @Test(
        "What cannot be done on the host is refused",
        arguments: [
            "poison 3", "dissolve 3", "budget off", "free 512", "boot memory=1G scheme=first-tail",
            "boot memory=1G policy=pool-only", "boot memory=2G nodes=2", "nr_hugepages 2M 1 node=1",
            "demote 1G 1 node=1", "demote 2M 3",
            "hotplug 128M", "offline", "cgroup 2M max=1", "boot memory=1G keep_pages=on",
            "boot memory=1G struct_page_size=56", "boot memory=1G arch=s390", "boot memory=4G arch=arm64-64k",
        ])
    func refusals(_ line: String) throws {
        let script = try BesideScript([line], scheme: .head)
        #expect(script.lines.isEmpty && script.refusals.map(\.statement) == [line])
    }

    @Test("A script for another architecture is refused for that, and this host's may be named")
    func architecture() throws {
        let script = try BesideScript(["boot arch=arm64-64k memory=4G", "nr_hugepages 512M 1"], scheme: .head)
        #expect(script.refusals.map(\.number) == [1])
        #expect(
            script.refusals.first?.reason
                == "this host is no arm64-64k: leave arch= out")
        let host = try #require(Architecture.ofHost)
        let named = try BesideScript(["boot memory=4G arch=\(host.rawValue)"], scheme: .head)
        #expect(named.refusals.isEmpty && named.lines.count == 1)
    }

    @Test("A boot line is a plain machine of the kernel's scheme, and the rest by sysctl and sysfs")
    func boot() throws {
        let text = "boot memory=4G hugepagesz=1G hugepages=2 hugetlb_free_vmemmap=on backing=memfd"
        let line = try #require(try BesideScript([text], scheme: .head).lines.first)
        #expect(
            line.steps.map(\.line) == [
                "boot memory=4G backing=memfd scheme=head", "sysctl hugetlb_optimize_vmemmap=1", "nr_hugepages 1G 2",
            ])
        #expect(line.steps.map(\.action) == [.reset, .optimize(true), .pool(.oneGibibyte, 2, node: nil)])
    }

    @Test("What a script takes at most is counted, and what cannot be counted is too much")
    func mostBytes() throws {
        func most(_ lines: [String]) throws -> ByteCount? { try BesideScript(lines, scheme: .head).mostBytes() }
        #expect(try most(["nr_hugepages 2M 3", "nr_hugepages 2M 1"]) == .mebibytes(6))
        #expect(try most(["nr_hugepages 2M 3", "nr_overcommit_hugepages 2M 9", "alloc 2M 2"]) == .mebibytes(10))
        #expect(try most(["nr_hugepages 1G 1", "nr_hugepages 2M 1"]) == .mebibytes(1026))
        #expect(try most(["nr_hugepages 2M 9223372036854775807"]) == nil)
        #expect(try most(["nr_hugepages 1G 9223372036", "nr_hugepages 2M 99999999"]) == nil)
    }

    // MARK: Listed differences

    @Test("A kernel's version says which differences may be")
    func versions() throws {
        #expect(KernelVersion(release: "6.18.44-fc") == KernelVersion(6, 18))
        #expect(KernelVersion(release: "7.1-rc2") == KernelVersion(7, 1))
        #expect(KernelVersion(release: "x") == nil)
        let versions = [(5, 10), (5, 14), (5, 17), (5, 18), (7, 0), (7, 1), (8, 0)].map { KernelVersion($0, $1) }
        #expect(
            versions.map(\.scheme) == [.head, .firstTail, .firstTail, .head, .head, .sharedTail, .sharedTail])
        #expect(KernelDifference.all(of: KernelVersion(6, 18)).map(\.kind) == [.refusesGiganticOvercommit])
        #expect(KernelDifference.all(of: KernelVersion(6, 19)).isEmpty)
        #expect(KernelDifference.all(of: KernelVersion(6, 1)).count == 3)
    }

    @Test("Only what is listed is let pass, and nothing is done on the emulated machine then")
    func listed() throws {
        let lines = try BesideScript(
            ["boot memory=2G", "nr_overcommit_hugepages 1G 1", "reserve 1G 1"], scheme: .head
        ).lines
        for isListed in [true, false] {
            let peer = FaultyPools(.refusesGiganticOvercommit)
            let run = BesideRun(peer, listed: isListed ? KernelDifference.all : [])
            let outcomes = try lines.map { try run.run($0) }
            #expect(outcomes.map(\.isRight) == [true, isListed, isListed])
            #expect(outcomes.map { $0.listed.count } == [0, isListed ? 1 : 0, 0])
            let comparison = PoolComparison(peer: "kernel", lines: outcomes, random: .notMeasured)
            #expect(comparison.checks.map(\.id) == ["both_do_the_same"] && comparison.checks.holds == isListed)
        }
    }

    // MARK: Drawn scripts

    @Test("The emulated pools and the plain counters agree in 50 scripts that are drawn")
    func random() async throws {
        let outcome = try await Command.run(["pool", "--random", "50", "--seed", "1"])
        #expect(
            outcome.code == 0 && outcome.output.hasSuffix(": differing sequences 0, sequences 50\n1 check passed\n"),
            "\(outcome)")
    }

    @Test("The same seed draws the same scripts, another one others")
    func seeds() {
        func drawn(_ seed: UInt64) -> [[RandomPool.Step]] {
            let pool = RandomPool(BesideRun(PlainPools(.head)), scheme: .head, hasGigantic: true)
            return (0..<20).map { pool.draw(seed, $0) }
        }
        #expect(drawn(7) == drawn(7))
        #expect(drawn(7) != drawn(8))
        #expect(drawn(7).allSatisfy { (5...25).contains($0.count) })
    }

    @Test(
        "A fault is found within 200 scripts, and shrunk to the lines that it takes",
        arguments: FaultyPools.Fault.allCases)
    func shrunk(_ fault: FaultyPools.Fault) throws {
        let pool = RandomPool(BesideRun(FaultyPools(fault)), scheme: .head, hasGigantic: true)
        for number in 0..<200 {
            let steps = pool.draw(1, number)
            if try pool.run(steps).differences.isEmpty { continue }
            let found = try #require(try pool.shrink(steps))
            // Of what is left no line can be left out; a shorter script of other lines there may be.
            #expect(found.script.count - 1 <= fault.lines, "\(found.script)")
            // As a script it does the same.
            let lines = try BesideScript(found.script, scheme: .head).lines
            let run = BesideRun(FaultyPools(fault))
            let outcomes = try lines.map { try run.run($0) }
            #expect(outcomes.last?.differences == found.differences)
            #expect(outcomes.dropLast().allSatisfy { $0.isRight })
            return
        }
        Issue.record("not found: \(fault)")
    }
}

/// Plain counters that do one thing wrongly.
final class FaultyPools: PoolPeer {
    enum Fault: CaseIterable {
        case surplusStays
        case reservesWithoutCheck
        case memmapNeverChanges
        case refusesGiganticOvercommit
        case demotesOneLess

        /// The fewest lines that show it.
        var lines: Int {
            switch self {
            case .reservesWithoutCheck, .refusesGiganticOvercommit: 1
            case .demotesOneLess: 2
            case .surplusStays, .memmapNeverChanges: 3
            }
        }
    }

    let name = "the faulty pools"
    private let fault: Fault
    private let pools = PlainPools(.head)
    private var surplus = 0

    init(_ fault: Fault) { self.fault = fault }

    func perform(_ action: PoolAction) -> String {
        let before = pools.counts(expecting: .zero)
        let outcome = pools.perform(action)
        switch (fault, action) {
        case (.surplusStays, .freeAll), (.surplusStays, .free):
            surplus = max(surplus, before.pools[0].surplusPages)
        case (.surplusStays, .reset): surplus = 0
        case (.reservesWithoutCheck, .reserve): return "ok"
        case (.refusesGiganticOvercommit, .overcommit(.oneGibibyte, _)):
            _ = pools.perform(.overcommit(.oneGibibyte, 0))
            return "EINVAL"
        case (.demotesOneLess, .demote) where before.pools[1].freePages > before.pools[1].reservedPages:
            _ = pools.perform(.pool(.twoMebibytes, before.pools[0].totalPages + 511, node: nil))
        default: break
        }
        return outcome
    }

    func counts(expecting expected: PoolCounts) -> PoolCounts {
        var counts = pools.counts(expecting: expected)
        counts.pools[0].surplusPages += surplus
        if fault == .memmapNeverChanges { counts.memmapChangePages = .value(0) }
        return counts
    }
}
