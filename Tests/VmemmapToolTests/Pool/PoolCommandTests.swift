import HostMemory
import Testing

@Suite("vmemmap pool")
struct PoolCommandTests {
    static let stories = [
        "boot-gigantic", "boot-memory", "deferred", "demote", "dimm-failed", "hotplug", "memory-failure", "nodes",
        "opt-in",
        "page-tables", "pfn-walkers", "policies", "reservations", "restore-fails", "schemes", "struct-page-size",
        "surplus", "zone-border",
    ]

    @Test("More memory than an address space holds is refused with what fits, and that does fit")
    func absurdMemory() async throws {
        for memory in ["8388606T", "1048576T", "100000T"] {
            let outcome = try await Command.shell("echo boot memory=\(memory) | \"$0\" pool")
            #expect(outcome.code == 3, "\(outcome)")
            #expect(outcome.error.firstMatch(of: /\d+ fit: use memory=\d+M/) != nil, "\(outcome)")
        }
    }

    @Test("A script that cannot be read is told with what may stand there")
    func unreadable() async throws {
        let long = String(repeating: "a", count: 300)
        let reasons = ["/tmp": "it is a folder", long: "File name too long", "/none/such": "No such file"]
        for (name, reason) in reasons {
            let outcome = try await Command.run(["pool", name])
            #expect(outcome.code == 64 && outcome.error.contains(reason), "\(outcome)")
            #expect(outcome.error.hasSuffix("give a script that may be read, or - for standard input\n"), "\(outcome)")
        }
    }

    @Test("Every story of the thread runs, and is as its script expects", arguments: stories)
    func examples(_ name: String) async throws {
        let outcome = try await Command.run(["pool", "\(Command.repository)/scripts/examples/\(name).pool"])
        // No transparent huge pages, or Linux before 6.7.
        if name == "page-tables", outcome.code == 4 { try Test.cancel("\(outcome.error)") }
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("  ok    "))
        #expect(!outcome.output.contains("FAIL"))
    }

    @Test("No script is left out")
    func allExamples() async throws {
        let names = try await Repository.names(in: "scripts/examples").filter { $0.hasSuffix(".pool") }
        #expect(names == Self.stories.map { $0 + ".pool" })
    }

    @Test("meminfo has the host's own lines, to the column")
    func meminfo() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=64M\nmeminfo\n", to: "empty.pool")
        let outcome = try await Command.run(["pool", folder.path("empty.pool")])
        let shown = outcome.output.split(separator: "\n").filter { $0.hasPrefix("  Huge") && !$0.contains("HugeTLB: ") }
            .map { $0.dropFirst(2) }
        let host = try Repository.text(of: "/proc/meminfo").split(separator: "\n").filter { $0.hasPrefix("Huge") }
        if host.isEmpty { try Test.cancel("a kernel without HugeTLB") }
        #expect(shown.count == 6)
        // Whatever the figures are, they end in the same column.
        func shape(_ line: Substring) -> String {
            let name = line.prefix { $0 != ":" }
            return "\(name): \(line.count) \(line.hasSuffix(" kB") ? "kB" : "")"
        }
        #expect(shown.map(shape) == host.map(shape))
    }

    @Test("A bad line is reported with file, line and what was expected, and nothing after it runs")
    func badLine() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("bad.pool")
        try folder.write("boot memory=64M\n\nnr_hugepages 2M many\nmeminfo\n", to: "bad.pool")
        let outcome = try await Command.run(["pool", path])
        #expect(outcome.code == 64)
        #expect(outcome.error == "vmemmap: \(path):3: found 'many', expected a number of huge pages\n")
        #expect(!outcome.output.contains("HugePages_Total"))
    }

    @Test("A script that ends while walkers walk is refused: what they saw would go unsaid")
    func walkersLeft() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=64M hugepages=3\nwalkers 2\n", to: "left.pool")
        let outcome = try await Command.run(["pool", folder.path("left.pool")])
        #expect(outcome.code == 64, "\(outcome)")
        #expect(
            outcome.error.hasSuffix("left.pool:2: found walkers that still walk, expected walkers off before the end\n")
        )
    }

    @Test("A line without end is refused, and not kept", arguments: ["/dev/zero", "/dev/full"])
    func endless(_ file: String) async throws {
        let outcome = try await Command.run(["pool", file])
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error == "vmemmap: \(file):1: found a line of more than 4096 bytes, expected a shorter one\n")
    }

    @Test("A line may have 4096 bytes, and no more", arguments: [(4096, 0), (4097, 64)] as [(Int, Int32)])
    func longLine(_ length: Int, _ code: Int32) async throws {
        let folder = try TemporaryFolder()
        try folder.write("# \(String(repeating: "x", count: length - 2))\nboot memory=2M\n", to: "long.pool")
        let outcome = try await Command.run(["pool", folder.path("long.pool")])
        #expect(outcome.code == code, "\(outcome)")
        #expect((code == 0) == outcome.output.contains("boot"))
    }

    @Test("A figure that is not as expected is a violation, and the rest still runs")
    func violation() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=64M hugepages=2\nexpect HugePages_Total 2M 3\nmeminfo", to: "wrong.pool")
        let outcome = try await Command.run(["pool", folder.path("wrong.pool")])
        #expect(outcome.code == 2)
        #expect(outcome.output.contains("FAIL  HugePages_Total is 2, expected 3"))
        #expect(outcome.output.contains("HugePages_Free:"))
    }

    @Test("A script that there is not is a usage error")
    func missing() async throws {
        let outcome = try await Command.run(["pool", "/nonexistent/x.pool"])
        #expect(outcome.code == 64 && outcome.error.contains("cannot read /nonexistent/x.pool"))
    }
}
