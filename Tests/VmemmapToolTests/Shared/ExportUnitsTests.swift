import Testing

@testable import VmemmapTool

/// What every export is called and counted in, held without any other parser than these tests' own.
@Suite("Names and units of the exports")
struct ExportUnitsTests {
    /// A command, and the tables that its exports must have: labels in front of the semicolon, figures after it.
    struct Run: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        var command = ""
        /// What it is called in the schema, where that is not the command.
        var definition: String?
        let tables: String

        var testDescription: String { arguments.joined(separator: " ") }
        var name: String { command.isEmpty ? arguments[0] : command }
    }

    private static let memory =
        "rss_bytes pss_bytes distinct_frames swapped_pages region_present_pages memfd_bytes page_table_bytes mappings "
        + "region_mappings mapping_cost_bytes pmd_mapped_bytes pages_in_huge_folios split_blocks "
        + "thp_fault_alloc thp_split_pmd thp_split_page thp_split_page_failed thp_deferred_split_page "
        + "thp_collapse_alloc thp_collapse_alloc_failed"
    private static let stress =
        "elapsed_nanoseconds cycles cycles_per_second remaps remap_mean_nanoseconds operations head_reads page_reads "
        + "wrong_reads failed_calls faulted_operations refused_operations host_refusals mended_pages "
        + "shortages_address_space shortages_mappings shortages_open_files shortages_file_system shortages_frames "
        + "signals forks checks set_ups"
    private static let saving =
        "duration_nanoseconds expected_frames expected_memfd_bytes gross_saving_bytes mapping_overhead_bytes "
        + "page_table_overhead_bytes template_overhead_bytes net_saving_bytes \(memory)"
    private static let plan = """
        plan: scheme backing huge_page_bytes; base_page_bytes pages tail_frames frames_populated \
        frames_optimized mappings_optimized \
        gross_saving_bytes overhead_bytes net_saving_bytes
        """
    private static let region =
        "region_start; region_length_bytes pages_optimized pages_unoptimized pages_neither distinct_frames "
        + "swapped_pages present_pages smaps_rss_bytes smaps_pss_bytes region_pss_bytes process_rss_bytes "
        + "process_pss_bytes region_mappings memfd_bytes"
    private static let forecast =
        "scheme huge_page_bytes; pages freed_per_page_bytes freed_bytes kernel_page_table_bytes kernel_net_bytes "
        + "is_kernel_scheme tail_frames mappings exceeds_map_limit mapping_overhead_bytes emulation_net_bytes"
    private static let checks = """
        check: id statement outcome;
        check_figure: id name bound; expected measured
        """

    static let runs = [
        Run(
            arguments: ["demo", "--pages", "4"],
            tables: """
                step: step; duration_nanoseconds \(memory)
                race: ; cycles cycles_not_back reads wrong_reads duration_nanoseconds
                \(checks)
                """),
        Run(
            arguments: ["savings", "--memory", "64M", "--scheme", "shared-tail"],
            tables: """
                step: step; \(saving)
                \(plan)
                \(checks)
                """),
        Run(
            arguments: ["savings", "--pages", "5", "--nodes", "2"],
            tables: """
                step: step; \(saving)
                \(plan)
                node: node step; \(saving)
                \(checks)
                """),
        Run(
            arguments: ["bench", "--pages", "8", "--pairs", "2", "--walkers", "1", "--histograms"],
            tables: """
                pool: scheme backing operation; off_median_nanoseconds off_min_nanoseconds off_max_nanoseconds \
                on_median_nanoseconds on_min_nanoseconds on_max_nanoseconds on_user_median_nanoseconds \
                on_user_min_nanoseconds on_user_max_nanoseconds on_system_median_nanoseconds \
                on_system_min_nanoseconds on_system_max_nanoseconds median_ratio min_ratio max_ratio
                peer: scheme backing peer operation; engine_median_nanoseconds engine_min_nanoseconds \
                engine_max_nanoseconds peer_median_nanoseconds peer_min_nanoseconds peer_max_nanoseconds median_ratio \
                min_ratio max_ratio
                goal: figure combination; limit_ratio measured_ratio is_reached min_ratio max_ratio baseline_ratio
                latency_bucket: scheme backing release optimizing operation from_ns; count
                latency: scheme backing release optimizing operation; min_nanoseconds p50_nanoseconds p90_nanoseconds \
                p99_nanoseconds p999_nanoseconds max_nanoseconds
                pair: scheme backing release pair optimizing; allocate_wall_nanoseconds free_wall_nanoseconds \
                until_restored_wall_nanoseconds
                \(checks)
                """),
        Run(
            arguments: ["stress", "--duration", "1s", "--pages", "16", "--faults", "injected", "--seed", "1"],
            tables: """
                combination: scheme backing; \(stress)
                total: ; \(stress)
                footprint: set_up; rss_bytes mappings open_files
                \(checks)
                """),
        Run(
            arguments: ["stress", "--duration", "1s", "--pages", "16", "--seed", "1", "--nodes", "2"],
            tables: """
                combination: scheme backing; \(stress)
                total: ; \(stress)
                node: node; pages \(stress)
                \(checks)
                """),
        Run(
            arguments: ["plan", "--memory", "128G", "--scheme", "head", "--cover-letter"],
            tables: """
                forecast: \(forecast)
                cover_letter: \(forecast)
                """),
        Run(
            arguments: ["inspect", "--pages", "8"],
            tables: """
                region: \(region)
                \(checks)
                """),
        Run(
            arguments: ["inspect", "--pages", "8", "--nodes", "2"], definition: "inspect_nodes",
            tables: """
                node: node \(region)
                \(checks)
                """),
        Run(
            arguments: ["pool", "\(Command.repository)/scripts/examples/surplus.pool"],
            tables: """
                line: line statement refusal remark expects expected measured; holds duration_nanoseconds \
                base_page_bytes memmap_pages memmap_boot_pages split_page_tables distinct_frames expected_frames \
                mappings page_table_bytes
                pool: line huge_page_bytes; total_pages free_pages reserved_pages surplus_pages optimized_pages
                \(checks)
                """),
        Run(
            arguments: ["pool", "--random", "2", "--seed", "1"],
            tables: """
                random: seed script; sequences_asked sequences_run sequences_skipped lines_run duration_nanoseconds
                \(checks)
                """),
        Run(
            arguments: ["kernel"],
            tables: """
                pool: huge_page_bytes; pages free_pages reserved_pages surplus_pages overcommit_pages is_default_size \
                struct_page_bytes freed_bytes net_bytes all_of_memory_freed_bytes all_of_memory_net_bytes
                hvo: ; is_configured is_optimizing hugetlb_bytes memory_bytes\(memmap)\(hugetlb)
                """),
        Run(
            arguments: ["bench", "--readers", "--pages", "4", "--pairs", "2"], command: "readers",
            tables: """
                reader: encoding order state; head_median_nanoseconds head_min_nanoseconds \
                head_max_nanoseconds is_right
                \(checks)
                """),
        Run(
            arguments: ["demo", "--race", "--race-duration", "1", "--pages", "16"], command: "race",
            tables: """
                side: way; pairs pairs_with_wrong_reads cycles reads wrong_reads faults references \
                hold_ups duration_nanoseconds
                \(checks)
                """),
    ]

    /// Has rows only where the kernel counts struct pages: from Linux 6.11 on.
    private static let memmap =
        (try? KernelOverview.current())?.memmapPages.value == nil
        ? ""
        : """

        memmap: kind; struct_page_bytes
        """

    /// Has rows only where the kernel's page tables may be read.
    private static let hugetlb =
        (try? PageTablesExperiment().checkSupport()) == nil
        ? ""
        : """

        hugetlb: look huge_page_bytes; pages optimized_pages split_pages whole_pages other_pages changing_pages \
        vmemmap_pages freed_frames further_frames contradicted_pages memmap_fall_pages missed_pages
        """

    @Test("Every table's names and units are these, in every form, with the same figures", arguments: runs)
    func forms(_ run: Run) async throws {
        let texts = try await Self.exports(run)
        try checkTables(run, texts)
        try checkJSON(run, texts)
    }

    /// CSV and Prometheus text beside the tables of Markdown.
    private func checkTables(_ run: Run, _ texts: [String: String]) throws {
        let tables = Table.all(inMarkdown: try #require(texts["markdown"]), run.tables)
        #expect(tables.map(\.summary).joined(separator: "\n") == run.tables)

        let csv = try #require(texts["csv"])
        #expect(csv.split(separator: "\n").first.map(String.init) == tables[0].names.joined(separator: ","))

        let samples = Self.samples(try #require(texts["prometheus"]))
        var expected: [String: Shown] = [:]
        for table in tables { expected.merge(table.samples("vmemmap_\(run.name)")) { first, _ in first } }
        let figures = samples.filter { !$0.key.hasSuffix("_holds") || $0.key.contains("{") }.filter {
            !$0.key.hasPrefix("vmemmap_\(run.name)_info{") && $0.key != "vmemmap_\(run.name)_start_timestamp_seconds"
        }
        #expect(Set(figures.keys) == Set(expected.keys))
        for (key, value) in expected {
            let found = try #require(figures[key], "\(key)")
            #expect(value.isShown(of: found), "\(key): \(found), not \(value)")
        }
    }

    /// JSON beside the schema that ships with the docs, and beside the tables.
    private func checkJSON(_ run: Run, _ texts: [String: String]) throws {
        let value = try JSON(text: try #require(texts["json"]))
        let schema = JSONSchema(
            try JSON(
                text: Repository.text(
                    of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
        #expect(schema.mistake(in: value, by: "command_\(run.definition ?? run.name)") == nil)
        #expect(schema.mistake(in: value, by: "command_hold") != nil)
        #expect(value["configuration"] != nil)

        var figures: [String: Set<Double>] = [:]
        value.figures(into: &figures)
        for table in Table.all(inMarkdown: try #require(texts["markdown"]), run.tables) {
            for column in table.figureColumns {
                let name = table.names[column]
                let known = try #require(figures[name], "no \(name) in JSON, for \(table.name)")
                for cell in table.rows.compactMap({ Shown($0[column]) }) {
                    #expect(
                        known.contains { cell.isShown(of: $0) },
                        "\(table.name) \(name) \(cell) is no figure of the JSON's")
                }
            }
        }
    }

    /// The text of each form.
    private static func exports(_ run: Run) async throws -> [String: String] {
        let folder = try TemporaryFolder()
        let forms = ["json", "csv", "markdown", "prometheus"]
        let outcome = try await Command.run(
            run.arguments + forms.flatMap { ["--export-\($0)", folder.path($0)] })
        try #require(outcome.code == 0, "\(outcome)")
        return try Dictionary(uniqueKeysWithValues: forms.map { ($0, try Repository.text(of: folder.path($0))) })
    }

    /// The samples of Prometheus text, by name and labels. What has no `# TYPE ... gauge` in front of it is none.
    private static func samples(_ text: String) -> [String: Double] {
        var samples: [String: Double] = [:]
        var family = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE "), line.hasSuffix(" gauge") {
                family = String(line.dropFirst(7).dropLast(6))
            } else if line.hasPrefix(family), let space = line.lastIndex(of: " "), !line.hasPrefix("#") {
                samples[String(line[..<space])] = Double(line[line.index(after: space)...])
            }
        }
        return samples
    }
}

/// A figure as people read it, with its unit.
private struct Shown {
    /// In bytes, nanoseconds, or things.
    var value: Double
    /// What its last digit stands for.
    var step: Double

    private static let units: [(name: String, factor: Double)] = [
        ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40), ("B", 1), ("ns", 1), ("us", 1e3),
        ("ms", 1e6), ("s", 1e9),
    ]

    /// Nil of what was not measured.
    init?(_ cell: String) {
        if cell == "yes" || cell == "no" {
            (value, step) = (cell == "yes" ? 1 : 0, 0)
            return
        }
        let unit = Self.units.first { cell.hasSuffix(" \($0.name)") }
        let digits = (unit.map { cell.dropLast($0.name.count) } ?? cell[...]).filter { $0 != " " }
        guard let number = Double(digits) else { return nil }
        let decimals = digits.firstIndex(of: ".").map { digits.distance(from: $0, to: digits.endIndex) - 1 } ?? 0
        let factor = unit?.factor ?? 1
        value = number * factor
        step = (0..<decimals).reduce(factor) { step, _ in step / 10 }
    }

    /// Whether an exact figure, rounded, is shown so.
    func isShown(of exact: Double) -> Bool { abs(exact - value) <= 0.5001 * step }

    /// As a whole number.
    var whole: String { "\(Int(value))" }

    /// In another unit.
    func divided(by divisor: Double) -> Self {
        var other = self
        (other.value, other.step) = (value / divisor, step / divisor)
        return other
    }
}

/// A table of a Markdown export.
private struct Table {
    let name: String
    var names: [String] = []
    var isLabel: [Bool] = []
    var rows: [[String]] = []

    var figureColumns: [Int] { names.indices.filter { !isLabel[$0] } }

    /// `name: labels; figures`.
    var summary: String {
        let labels = names.indices.filter { isLabel[$0] }.map { names[$0] }.joined(separator: " ")
        return "\(name): \(labels);" + figureColumns.map { " " + names[$0] }.joined()
    }

    /// Columns of words that are no labels.
    private static let texts: Set<String> = [
        "statement", "refusal", "remark", "expects", "expected", "measured", "bound", "region_start", "outcome",
        "answer",
        "script", "combination",
    ]

    /// Labels that are sizes.
    private static let sizes: Set<String> = ["huge_page_bytes"]

    /// What must stand in Prometheus text: base units, one unit a metric, no free text, and nothing of what was not
    /// measured.
    func samples(_ prefix: String) -> [String: Shown] {
        var samples: [String: Shown] = [:]
        for row in rows {
            // The figures of checks: what is counted, with its unit at the end, is a part of the metric's name.
            let metric = name == "check_figure" ? names.firstIndex(of: "name") : nil
            let labels = names.indices.filter { isLabel[$0] && $0 != metric && !Self.texts.contains(names[$0]) }
                .map { "\(names[$0])=\"\(Self.sizes.contains(names[$0]) ? Shown(row[$0])?.whole ?? "" : row[$0])\"" }
            let suffix = labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
            if let outcome = names.firstIndex(of: "outcome"), row[outcome] != "not_measured" {
                samples["\(prefix)_\(name)_passed\(suffix)"] = Shown(row[outcome] == "passed" ? "1" : "0")
            }
            for column in figureColumns {
                guard let value = Shown(row[column]) else { continue }
                let counted = metric.map { row[$0] } ?? ""
                if !counted.isEmpty {
                    let stem = counted.hasSuffix("_bytes") ? counted.dropLast(6) : counted[...]
                    let unit = counted.hasSuffix("_bytes") ? "_bytes" : ""
                    samples["\(prefix)_\(name)_\(stem)_\(names[column])\(unit)\(suffix)"] = value
                    continue
                }
                let isTime = names[column].hasSuffix("_nanoseconds")
                let base = isTime ? names[column].dropLast("_nanoseconds".count) + "_seconds" : names[column][...]
                samples["\(prefix)_\(name)_\(base)\(suffix)"] = isTime ? value.divided(by: 1e9) : value
            }
        }
        return samples
    }

    /// - Parameter expected: the tables that there must be. Headings have no units: they are taken from there.
    static func all(inMarkdown text: String, _ expected: String) -> [Table] {
        var tables: [Table] = []
        let names = expected.split(separator: "\n").reduce(into: [Substring: [String: String]]()) { names, table in
            let words = table.split { " ;:".contains($0) }
            names[words.first ?? "", default: [:]] = Dictionary(
                words.dropFirst().map { (withoutUnit($0), String($0)) }, uniquingKeysWith: { $1 })
        }
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { tables.append(Table(name: String(line.dropFirst(3)))) }
            guard line.hasPrefix("| "), var table = tables.popLast() else { continue }
            let cells = cells(line)
            if table.names.isEmpty {
                table.names = cells.map { names[table.name[...]]?[$0] ?? $0 }
            } else if table.isLabel.isEmpty {
                table.isLabel = cells.map { $0.hasPrefix(":") }
            } else {
                table.rows.append(cells)
            }
            tables.append(table)
        }
        return tables
    }

    private static func withoutUnit(_ name: Substring) -> String {
        let unit = ["_bytes", "_nanoseconds"].first { name.hasSuffix($0) && name != "huge_page_bytes" }
        return String(name.dropLast(unit?.count ?? 0))
    }

    /// The cells between the bars, without what keeps Markdown from taking a character for more than it is.
    private static func cells(_ line: Substring) -> [String] {
        var cells: [String] = []
        var cell = ""
        var isEscaped = false
        for character in line.dropFirst(2) {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else if character == "|", !isEscaped {
                cells.append(String(cell.dropLast()))
                cell = ""
            } else {
                // The space behind a bar.
                if !(cell.isEmpty && character == " " && !cells.isEmpty) { cell.append(character) }
                isEscaped = false
            }
        }
        return cells
    }
}
