import SystemPackage
import Testing

/// What scripts/check-kernels makes of what guests wrote: the script that counts may not pass what failed.
@Suite("The verdicts of the check of kernels")
struct KernelVerdictTests {
    private static let refusals = """
        # versions | check | words | reason
        -6.6      | pmd    | PAGEMAP_SCAN | since Linux 6.7
        6.1-6.1.9 | twice  | no such      | for a while

        """

    /// What comes of guests that wrote `results`, one a kernel: a release, and lines of check, code and output.
    private static func outcome(_ results: (release: String, lines: [(String, Int, String)])...) async throws
        -> Command.Outcome
    {
        let folder = try TemporaryFolder()
        try folder.write(refusals, to: "refusals")
        for (number, result) in results.enumerated() {
            let lines = result.lines.map { check, code, output in
                "@ \(check)\t\(code)\t1\tvmemmap \(check)\n" + (output.isEmpty ? "" : "| \(output)\n")
            }
            try folder.write(
                "@ release\t0\t0\t\(result.release)-cloud-amd64\n" + lines.joined(), to: "results\(number)")
        }
        let outcome = try await Command.run(
            "/bin/bash",
            [
                "-c", #"cd "$1" && exec awk -f "$2/scripts/kernels/verdicts.awk" refusals results*"#, "bash",
                folder.path.string, Command.repository,
            ])
        #expect(outcome.error.isEmpty, "\(outcome)")
        return outcome
    }

    /// The row of a check in the table, cell by cell.
    private static func row(_ check: String, in outcome: Command.Outcome) -> [String] {
        let line = outcome.output.split(separator: "\n").first { $0.hasPrefix("| \(check) ") }
        return (line ?? "").split(separator: "|").dropFirst().map { cell in
            cell.split(separator: " ").joined(separator: " ")
        }
    }

    @Test("All commands of a check must pass; a check that a guest did not come to is no pass")
    func passed() async throws {
        let outcome = try await Self.outcome(
            ("5.10.0-1", [("demo", 0, ""), ("demo", 0, ""), ("stress", 0, "")]), ("7.3.4+deb13", [("demo", 0, "")]))
        #expect(outcome.code == 0 && outcome.output.hasSuffix("\n3 passed, 0 failed\n"), "\(outcome)")
        #expect(Self.row("Linux", in: outcome) == ["5.10.0-1", "7.3.4+deb13"])
        #expect(Self.row("demo", in: outcome) == ["ok", "ok"] && Self.row("stress", in: outcome) == ["ok", "-"])
    }

    @Test("One command that fails fails its check, and its output is shown", arguments: [1, 2, 3, 64, 137])
    func failed(_ code: Int) async throws {
        let outcome = try await Self.outcome(
            ("6.12.1", [("demo", 0, ""), ("demo", code, "out of cheese"), ("demo", 0, "")]))
        #expect(outcome.code == 1 && outcome.output.hasSuffix("\n0 passed, 1 failed\n"), "\(outcome)")
        #expect(outcome.output.contains("FAIL  6.12.1: demo: exit code \(code)\n      vmemmap demo\n"))
        #expect(outcome.output.contains("      out of cheese\n"))
    }

    @Test(
        "A refusal passes where it is listed: the kernel, the check and the words",
        arguments: [
            ("5.10.0-46", "pmd", "ioctl(PAGEMAP_SCAN)", true), ("6.6.99", "pmd", "ioctl(PAGEMAP_SCAN)", true),
            ("6.7.0", "pmd", "ioctl(PAGEMAP_SCAN)", false), ("6.6.1", "pmd", "no memory", false),
            ("6.6.1", "demo", "ioctl(PAGEMAP_SCAN)", false), ("6.1.9", "twice", "no such thing", true),
            ("6.1.10", "twice", "no such thing", false), ("6.0.9", "twice", "no such thing", false),
        ])
    func refused(_ release: String, _ check: String, _ words: String, _ mayBe: Bool) async throws {
        let outcome = try await Self.outcome((release, [(check, 4, words), (check, 0, "")]))
        #expect(outcome.code == (mayBe ? 0 : 1), "\(outcome)")
        #expect(Self.row(check, in: outcome) == [mayBe ? "refused: 1" : "FAIL"], "\(outcome)")
        #expect(outcome.output.contains("\n1. ") == mayBe)
    }

    @Test("Nothing checked is no success, and neither is a kernel without a result")
    func nothing() async throws {
        let empty = try await Self.outcome(("6.12.1", []))
        #expect(
            empty.code == 1 && empty.output.hasSuffix("FAIL  nothing was checked\n0 passed, 1 failed\n"), "\(empty)")
        let folder = try TemporaryFolder()
        try folder.write("# none\n", to: "refusals")
        try folder.write("@ release\t0\t0\t6.1\n@ demo\t0\t1\tvmemmap demo\n", to: "one")
        let missing = try await Command.run(
            "/usr/bin/env",
            [
                "awk", "-v", "expected=2", "-f", "\(Command.repository)/scripts/kernels/verdicts.awk",
                folder.path("refusals"), folder.path("one"),
            ])
        #expect(missing.code == 1 && missing.output.hasSuffix("\n1 passed, 1 failed\n"), "\(missing)")
    }

    @Test("A kernel that is broken itself is named, and the tool must find it out")
    func broken() async throws {
        let found = try await Self.outcome(
            (
                "6.12.117",
                [
                    ("own HVO", 5, "BUG: Bad page state"), ("kernel --measure", 2, "stopped"),
                    ("taint after HVO", 1, ""),
                ]
            ))
        #expect(found.code == 0 && found.output.hasSuffix("\n0 passed, 0 failed\n"), "\(found)")
        #expect(found.output.contains("broken: the own HVO of 6.12.117 "))
        #expect(Self.row("own HVO", in: found) == ["broken"])
        let overlooked = try await Self.outcome(
            ("6.12.117", [("own HVO", 5, "BUG: Bad page state"), ("kernel --measure", 0, "")]))
        #expect(overlooked.code == 1 && Self.row("kernel --measure", in: overlooked) == ["FAIL"], "\(overlooked)")
        let other = try await Self.outcome(
            ("6.12.117", [("own HVO", 5, "BUG: Bad page state"), ("kernel", 2, ""), ("kernel --page-tables", 0, "")]))
        #expect(other.code == 1 && other.output.hasSuffix("\n0 passed, 2 failed\n"), "\(other)")
        // Of a kernel whose own use of it does no harm it is the tool's doing.
        let ours = try await Self.outcome(("6.12.113", [("own HVO", 0, ""), ("taint after HVO", 1, "")]))
        #expect(ours.code == 1 && Self.row("taint after HVO", in: ours) == ["FAIL"], "\(ours)")
    }
}
