import HostMemory
import VmemmapEmulator

/// The emulated HugeTLB layer beside another one.
struct PoolComparison: Hashable, Sendable, Codable {
    /// What it is held against: `kernel`, or `plain-pools`.
    let peer: String
    /// A script's lines on both sides; empty for sequences that were drawn.
    let lines: [BesideOutcome]
    /// Sequences that were drawn; null for a script.
    let random: Measured<RandomOutcome>

    /// That both do the same, but for what is listed, and that a script's lines do what it expects.
    var checks: [Check] {
        let expected = lines.compactMap(\.holds.value)
        let ofScript = [
            Check.Figure.equal("differing_lines", 0, lines.count { !$0.differences.isEmpty }),
            .tried("lines", lines.count),
        ]
        let ofSequences = random.value.map { random in
            [
                Check.Figure.equal("differing_sequences", 0, random.difference.value == nil ? 0 : 1),
                .tried("sequences", random.sequencesRun - random.sequencesSkipped),
            ]
        }
        return [
            Check(
                "both_do_the_same", "the emulated pools and the others do the same", ofSequences ?? ofScript,
                method: "outcomes and counters after each line")
        ]
            + (expected.isEmpty
                ? []
                : [
                    Check(
                        "expectations", "everything is as the script expects",
                        [
                            .equal("unmet_expectations", 0, expected.count { !$0 }),
                            .some("expectations", expected.count),
                        ], method: "expect lines, on the emulated machine")
                ])
    }
}

/// What became of sequences that were drawn.
struct RandomOutcome: Hashable, Sendable, Codable {
    /// What they follow from.
    let seed: UInt64
    /// Sequences asked for.
    let sequencesAsked: Int
    /// Those that were run: with a difference the run ends.
    let sequencesRun: Int
    /// Those of them that the host had no memory in one piece for.
    let sequencesSkipped: Int
    /// Lines that were run in them.
    let linesRun: Int
    /// What they took.
    let durationNanoseconds: Int
    /// Whether 1 GiB pages were among them.
    let hasGiganticPages: Bool
    /// What differed and may.
    let listed: [String]
    /// The difference that ended the run; null: there was none.
    let difference: Measured<Difference>

    /// A sequence that differs.
    struct Difference: Hashable, Sendable, Codable {
        /// The fewest lines that differ, as a script.
        let script: [String]
        /// Lines up to the difference, before it was shrunk.
        let linesDrawn: Int
        /// Whether it differed when it was run again; otherwise it is as it was drawn.
        let isRepeated: Bool
        /// What differs after the last line.
        let differences: [String]
    }

    /// Sequences a second.
    var sequencesPerSecond: Double {
        durationNanoseconds > 0 ? Double(sequencesRun) * 1e9 / Double(durationNanoseconds) : 0
    }
}

extension PoolComparison {
    /// The tables of a comparison; without rows where there was none.
    static func tables(_ comparison: PoolComparison?) -> [ExportTable] {
        let random = comparison?.random.value.map { [$0] } ?? []
        let beside = table(comparison)
        let drawn = ExportTable(
            "random", "Scripts that were drawn.", random,
            [
                .label("seed", "What they follow from.") { "\($0.seed)" },
                .count("sequences_asked", "Scripts asked for.") { $0.sequencesAsked },
                .count("sequences_run", "Those that were run: a difference ends the run.") { $0.sequencesRun },
                .count("sequences_skipped", "Those of them that the host had no memory in one piece for.") {
                    $0.sequencesSkipped
                },
                .count("lines_run", "Lines that were run in them.") { $0.linesRun },
                .nanoseconds("duration", "What they took.") { $0.durationNanoseconds },
                .text("script", "The fewest lines that differ; nothing if none do.") {
                    $0.difference.value?.script.joined(separator: "; ") ?? ""
                },
            ])
        return random.isEmpty ? [beside, drawn] : [drawn, beside]
    }

    /// Both sides after each line.
    private static func table(_ comparison: PoolComparison?) -> ExportTable {
        let rows = (comparison?.lines ?? []).flatMap { line in
            [("emulator", line.emulator), (comparison?.peer ?? "", line.peer)].flatMap { name, side in
                side.counts.pools.map { (line: line, name: name, side: side, pool: $0) }
            }
        }
        return ExportTable(
            "beside", "Each pool of the emulated machine and of the host after each line.", rows,
            [
                .label("line", "The line's number.") { "\($0.line.number)" },
                .label("side", "emulator or kernel.") { $0.name },
                .sizeLabel("huge_page_bytes", "Hugepagesize.") { $0.pool.hugePageBytes },
                .text("statement", "What the line says.") { $0.line.statement },
                .text("answer", "ok or an errno's name; nothing where it was not done there.") {
                    $0.side.outcome.value ?? ""
                },
                .count("total_pages", "HugePages_Total.") { $0.pool.totalPages },
                .count("free_pages", "HugePages_Free.") { $0.pool.freePages },
                .count("reserved_pages", "HugePages_Rsvd.") { $0.pool.reservedPages },
                .count("surplus_pages", "HugePages_Surp.") { $0.pool.surplusPages },
                .count("memmap_change_pages", "nr_memmap_pages + nr_memmap_boot_pages, less those at the start.") {
                    $0.side.counts.memmapChangePages.value
                },
                .truth("is_right", "Whether the line did the same on both sides.") { $0.line.isRight },
            ])
    }
}
