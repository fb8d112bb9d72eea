import HostMemory
import VmemmapEmulator

/// The emulated HugeTLB layer beside the kernel's, for people.
enum BesideReport {
    /// What stands before the first line: what is compared, and which lines are not done as they say.
    static func heading(
        _ script: BesideScript, _ listed: [KernelDifference], _ release: String, _ style: Style
    ) -> [String] {
        let notes = script.lines.compactMap { line in
            line.note.map { "line \(line.number), \(line.statement): \($0)" }
        }
        let differences = listed.map { "Linux \(release): \($0.line)" }
        return style.wrapped(
            ["vmemmap pool: the emulated HugeTLB pools beside those of Linux \(release), line by line", ""] + notes
                + differences) + (notes.isEmpty && differences.isEmpty ? [] : [""])
            + (isNarrow(style)
                ? [label("", 6) + titles]
                : columns("", "emulator", "kernel", style) + columns("", titles, titles, style))
    }

    private static let titles = PoolCounts.Pool(hugePageBytes: .zero).named.map { right($0.name, 6) }.joined()

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func label(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Whether there is no room for both sides beside each other.
    private static func isNarrow(_ style: Style) -> Bool { style.width ?? .max < 80 }

    /// A label and two columns of 33 characters: 78 in all. Where it is narrow, a line each.
    private static func columns(_ name: String, _ first: String, _ second: String, _ style: Style) -> [String] {
        let lines =
            isNarrow(style)
            ? [name, label("emul.", 6) + first, label("kernel", 6) + second]
            : ["  " + label(name, 8) + label(first, 33) + "  " + second]
        return lines.map { String($0.reversed().drop { $0 == " " }.reversed()) }
    }

    /// A line on both sides.
    static func lines(_ outcome: BesideOutcome, said: [String], _ style: Style) -> [String] {
        let heading = ["> \(outcome.statement)"]
        let findings =
            outcome.differences.map { "  " + style.mark(false) + $0 } + outcome.listed.map { "  listed: \($0)" }
        if outcome.emulator.outcome.value != nil, outcome.peer.outcome.value == nil, !said.isEmpty {
            return style.wrapped(heading + said + findings)
        }
        return style.wrapped(heading) + rows(outcome, style) + style.wrapped(findings)
    }

    private static func rows(_ outcome: BesideOutcome, _ style: Style) -> [String] {
        let pairs = zip(outcome.emulator.counts.pools, outcome.peer.counts.pools)
        // The first size in any case: it has the outcome.
        let shown = pairs.enumerated().filter { index, pair in
            index == 0 || pair.0.named.contains { $0.value != 0 } || pair.1.named.contains { $0.value != 0 }
        }
        func cells(_ pool: PoolCounts.Pool, _ outcome: String?) -> String {
            pool.named.map { right("\($0.value)", 6) }.joined()
                + (outcome.map { (isNarrow(style) ? " " : "  ") + $0 } ?? "")
        }
        /// One node has what all have.
        func nodes(_ pool: PoolCounts.Pool, _ theirs: PoolCounts.Pool) -> [String] {
            guard pool.nodes.count > 1, pool.nodes.count == theirs.nodes.count else { return [] }
            return zip(pool.nodes, theirs.nodes).enumerated().flatMap { number, pair in
                let texts = [pair.0, pair.1].map { node in
                    [node.totalPages, node.freePages].map { right("\($0)", 6) }.joined() + right("", 6)
                        + right("\(node.surplusPages)", 6)
                }
                return columns(" node\(number)", texts[0], texts[1], style)
            }
        }
        var rows = shown.flatMap { index, pair in
            columns(
                pair.0.hugePageBytes.argument,
                cells(pair.0, index == 0 ? outcome.emulator.outcome.value ?? "-" : nil),
                cells(pair.1, index == 0 ? outcome.peer.outcome.value ?? "-" : nil), style) + nodes(pair.0, pair.1)
        }
        let memmap = [outcome.emulator, outcome.peer].map { side in
            side.counts.memmapChangePages.value.map { "\($0)" } ?? "-"
        }
        if memmap != ["0", "0"] { rows += columns("memmap", right(memmap[0], 6), right(memmap[1], 6), style) }
        return rows
    }

    // MARK: Sequences

    /// What became of sequences that were drawn.
    static func lines(_ random: RandomOutcome, beside peer: String, _ style: Style) -> [String] {
        let title =
            "vmemmap pool: sequences drawn from seed \(random.seed), \(random.hasGiganticPages ? "2M and 1G" : "2M"), "
            + "on the emulated machine and on \(peer)"
        let rate = Format.decimal(random.sequencesPerSecond, 1)
        var notes = random.listed.map { "listed: \($0)" }
        notes.append(
            "\(Format.count(random.sequencesRun)) of \(Format.count(random.sequencesAsked)) sequences, "
                + "\(Format.count(random.linesRun, "line")), \(rate) sequences a second")
        if random.sequencesSkipped > 0 {
            notes.append(
                "\(Format.count(random.sequencesSkipped, "sequence")) not compared: the host found no memory in one "
                    + "piece for a huge page")
        }
        guard let difference = random.difference.value else { return style.wrapped([title, ""] + notes) }
        let lines =
            difference.isRepeated
            ? "\(Format.count(difference.script.count - 1, "line")) after boot are left of \(difference.linesDrawn)"
            : "but not when it was run again; all of its lines follow"
        return style.wrapped(
            [title, ""] + notes + ["sequence \(random.sequencesRun) differs; \(lines)", ""])
            + difference.script + difference.differences.map { "# here \($0)" }
    }
}
