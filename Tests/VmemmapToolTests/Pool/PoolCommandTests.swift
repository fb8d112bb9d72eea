import HostMemory
import Testing

@Suite("vmemmap pool")
struct PoolCommandTests {
    static let stories = [
        "arm64-64k", "boot-gigantic", "boot-memory", "deferred", "demote", "dimm-failed", "hotplug", "memory-failure",
        "nodes",
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

    @Test("Of a size that no machine has the line is told, with those that there are")
    func sizeNotThere() async throws {
        let outcome = try await Command.shell(
            "printf 'boot arch=arm64-64k memory=4G\\nnr_hugepages 512M 1\\nalloc 2M\\n' | \"$0\" pool")
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.hasSuffix(":3: found '2M', expected 16G or 512M\n"), "\(outcome)")
    }

    @Test("A size of which nothing is freed is in the pool like others, and the kernel's message says so")
    func notOptimizable() async throws {
        let script =
            "boot arch=powerpc-64k memory=2G hugetlb_free_vmemmap=on\\nnr_hugepages 2M 5\\n"
            + "expect HugePages_Total 2M 5\\nexpect HugePages_Optimized 2M 0\\nnr_hugepages 1G 1\\n"
            + "expect HugePages_Optimized 1G 1\\n"
        let outcome = try await Command.shell("printf '\(script)' | \"$0\" pool")
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("  HugeTLB: 0 KiB vmemmap can be freed for a 2.00 MiB page\n"), "\(outcome)")
        #expect(outcome.output.contains("  2.00 GiB of memory, base pages of 64 KiB, first-tail scheme"), "\(outcome)")
    }

    @Test("A script's comments are told, in their places, and every line breaks at words")
    func comments() async throws {
        let script =
            "# The story begins.\\n\\nboot memory=64M hugepages=4\\n"
            + "# It ends here, after quite a few words.\\nmeminfo\\n"
        let outcome = try await Command.shell("printf '\(script)' | COLUMNS=40 \"$0\" pool")
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasPrefix("# The story begins.\n\n> boot memory=64M hugepages=4\n"))
        #expect(
            outcome.output.contains("\n# It ends here, after quite a few words.\n> meminfo\n")
                || outcome.output.contains("\n# It ends here, after quite a few\nwords.\n> meminfo\n"), "\(outcome)")
        #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 40 }, "\(outcome.output)")
    }

    @Test("The page draws frames, optimized huge pages and surplus over the script")
    func course() async throws {
        let outcome = try await Command.run([
            "pool", "\(Command.repository)/scripts/examples/surplus.pool", "--export-html", "-",
        ])
        #expect(outcome.code == 0)
        for text in [
            "frames of struct pages: in the end ", "huge pages optimized: in the end", "huge pages in surplus: ",
        ] {
            #expect(outcome.output.contains(text), "\(text)")
        }
        #expect(outcome.output.contains(">The pools after each line</title>"))
        // Not twice: HugePages_Surp is 0: hugepages surp 0.
        #expect(outcome.output.contains("HugePages_Surp is 0</li>") && !outcome.output.contains(">Line</h"))
    }

    @Test("A failing script says what failed in every form: the line, what was expected, and what was")
    func failing() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=64M hugepages=4\n\nexpect HugePages_Free 2M 5\n", to: "bad.pool")
        let forms = ["json", "csv", "markdown", "prometheus", "html"]
        let outcome = try await Command.run(
            ["pool", folder.path("bad.pool")] + forms.flatMap { ["--export-\($0)", folder.path($0)] })
        #expect(outcome.code == 2, "\(outcome)")
        #expect(
            outcome.output.hasSuffix(
                "\n\nFAIL  line 3: HugePages_Free is 5\n        hugepages_free: expected 5, measured 4\n"
                    + "1 of 1 check failed\n"))
        let check = try JSON(text: folder.text("json"))["checks"]?.elements.first
        #expect(check?["id"] == .text("line_3") && check?["outcome"] == .text("failed"))
        #expect(outcome.error.contains("bad.pool:3: HugePages_Free is 4, not as expected: 5"))
        let line = try JSON(text: folder.text("json"))["lines"]?.elements.last
        #expect(
            line?["expectation"]
                == .object(["expects": .text("HugePages_Free"), "expected": .text("5"), "measured": .text("4")]))
        #expect(try folder.text("csv").contains("HugePages_Free,5,4"))
        #expect(try folder.text("markdown").contains("\nLine 3: HugePages_Free is 4, expected 5.\n"))
        #expect(try folder.text("prometheus").contains("vmemmap_pool_line_holds{line=\"3\"} 0"))
        let red = "<p class=\"note failed\">Line 3: HugePages_Free is 4, expected 5.</p>"
        #expect(try folder.text("html").contains(red))
    }

    @Test(
        "A pool that meets vm.max_map_count says how many are optimized, and which tail frames let all be",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func mappingLimit() async throws {
        let folder = try TemporaryFolder()
        try folder.write("boot memory=17G hugepages=8500 hugetlb_free_vmemmap=on\n", to: "limit.pool")
        let outcome = try await Command.run(["pool", folder.path("limit.pool")])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(
            outcome.output.firstMatch(of: /8 500 of 8 500 huge pages of 2\.00 MiB, 8 1\d\d optimized\n/) != nil,
            "\(outcome)")
        #expect(outcome.output.firstMatch(of: /3\d\d of them not optimized: .*vm\.max_map_count/) != nil)
        #expect(outcome.output.contains("; tail_frames=2 would let all of them be\n"))
    }

    @Test(
        "Where no number of tail frames lets all be optimized, the one that goes furthest is named, and goes as far",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func furthest() async throws {
        func run(_ words: String) async throws -> String {
            let script = "printf 'boot memory=40G hugepages=17000 \(words)\n' | \"$0\" pool"
            let outcome = try await Command.shell(script)
            #expect(outcome.code == 0, "\(outcome)")
            return outcome.output
        }
        let one = try await run("hugetlb_free_vmemmap=on")
        #expect(one.contains("; no number of tail frames would let all of them be: tail_frames=4 goes furthest"))
        let named = try #require(one.firstMatch(of: /goes furthest, to about ([\d ]+)\n/), "\(one)")
        let best = try await run("hugetlb_free_vmemmap=on tail_frames=4")
        let reached = try #require(best.firstMatch(of: /2\.00 MiB, ([\d ]+) optimized\n/), "\(best)")
        let (said, done) = (try Self.number(named.output.1), try Self.number(reached.output.1))
        #expect(abs(said - done) < 100)
        #expect(best.contains("more go no further than about"))
        let off = try await run("")
        #expect(off.contains("none of them optimized, as HVO is off: hugetlb_free_vmemmap=on"), "\(off)")
    }

    private static func number(_ text: Substring) throws -> Int {
        try #require(Int(text.filter { $0 != " " }))
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
        let script = "boot memory=64M hugepages=2\nexpect HugePages_Total 2M 3\nexpect ENOMEM\nexpect ok\nmeminfo"
        try folder.write(script, to: "wrong.pool")
        let outcome = try await Command.run(["pool", folder.path("wrong.pool")])
        #expect(outcome.code == 2)
        #expect(outcome.output.contains("FAIL  HugePages_Total is 2, expected 3"))
        #expect(outcome.output.contains("HugePages_Free:"))
        // Each expectation is a check; those that passed have had their line.
        #expect(
            outcome.output.hasSuffix(
                "measured 2\nFAIL  line 3: outcome is ENOMEM\n        outcomes_as_expected: expected 1, measured 0\n"
                    + "        the outcome is ok\n2 of 3 checks failed\n"), "\(outcome)")
    }

    @Test("A script that there is not is a usage error")
    func missing() async throws {
        let outcome = try await Command.run(["pool", "/nonexistent/x.pool"])
        #expect(outcome.code == 64 && outcome.error.contains("cannot read /nonexistent/x.pool"))
    }
}
