import Testing

/// What every export is called and counted in, held without any other parser than these tests' own.
@Suite("Names and units of the exports")
struct ExportUnitsTests {
    /// A command, and the tables that its exports must have: labels in front of the semicolon, figures after it.
    struct Run: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        var command = ""
        let tables: String

        var testDescription: String { arguments.joined(separator: " ") }
        var name: String { command.isEmpty ? arguments[0] : command }
    }

    private static let memory =
        "rss_bytes pss_bytes distinct_frames swapped_pages present_pages memfd_bytes page_tables_bytes mappings "
        + "region_mappings mapping_cost_bytes pmd_mapped_bytes split_blocks"
    private static let stress =
        "duration_nanoseconds cycles remaps remap_mean_nanoseconds operations head_reads page_reads wrong_reads "
        + "failed_calls faulted_operations refused_operations host_refusals mended_pages short_of_address_space "
        + "short_of_mappings short_of_descriptors short_of_file_system short_of_frames signals forks checks epochs"
    private static let forecast =
        "scheme huge_page_bytes; pages freed_per_page_bytes freed_bytes kernel_page_tables_bytes kernel_net_bytes "
        + "tail_frames mappings mapping_overhead_bytes emulation_net_bytes"

    static let runs = [
        Run(
            arguments: ["demo", "--pages", "4"],
            tables: """
                step: step; duration_nanoseconds \(memory)
                proof: claim figure; expected measured holds
                race: ; cycles cycles_not_back reads wrong_reads duration_nanoseconds
                """),
        Run(
            arguments: ["savings", "--memory", "64M", "--scheme", "shared-tail"],
            tables: """
                step: step; duration_nanoseconds expected_frames expected_memfd_bytes gross_saving_bytes \
                mapping_overhead_bytes page_table_overhead_bytes template_overhead_bytes net_saving_bytes \(memory)
                plan: scheme backing huge_page_bytes; pages tail_frames frames_populated frames_optimized \
                mappings_optimized gross_saving_bytes overhead_bytes net_saving_bytes
                """),
        Run(
            arguments: ["bench", "--pages", "8", "--runs", "2", "--walkers", "1", "--histograms"],
            tables: """
                pool: scheme backing operation; off_nanoseconds on_nanoseconds on_min_nanoseconds on_max_nanoseconds \
                on_user_nanoseconds on_system_nanoseconds median_ratio min_ratio max_ratio
                peer: scheme backing peer operation; engine_nanoseconds peer_nanoseconds median_ratio min_ratio \
                max_ratio
                goal: figure scheme backing; limit_ratio measured_ratio baseline_ratio met
                latency_bucket: scheme backing release optimizing operation from_ns; huge_pages
                latency: scheme backing release optimizing operation; min_nanoseconds p50_nanoseconds p90_nanoseconds \
                p99_nanoseconds p999_nanoseconds max_nanoseconds
                run: scheme backing release run optimizing; allocate_nanoseconds free_nanoseconds \
                free_until_restored_nanoseconds
                """),
        Run(
            arguments: ["stress", "--duration", "1s", "--pages", "16", "--faults", "injected", "--seed", "1"],
            tables: """
                combination: scheme backing; \(stress)
                run: ; \(stress)
                claim: claim; times held
                footprint: building; rss_bytes mappings open_files
                """),
        Run(
            arguments: ["plan", "--memory", "128G", "--scheme", "head"],
            tables: """
                forecast: \(forecast)
                cover_letter: \(forecast)
                """),
        Run(
            arguments: ["inspect", "--pages", "8"],
            tables: """
                check: figure; expected measured upper_bound holds
                region: ; region_bytes huge_pages_optimized huge_pages_unoptimized distinct_frames swapped_pages \
                present_pages smaps_rss_bytes smaps_pss_bytes pss_bytes process_rss_bytes process_pss_bytes \
                region_mappings memfd_bytes
                """),
        Run(
            arguments: ["pool", "\(Command.repository)/scripts/examples/surplus.pool"],
            tables: """
                line: line statement refusal; holds duration_nanoseconds memmap_pages memmap_boot_pages \
                split_page_tables distinct_frames expected_frames region_mappings page_tables_bytes
                pool: line huge_page_bytes; total_pages free_pages reserved_pages surplus_pages optimized_pages
                """),
        Run(
            arguments: ["kernel"],
            tables: """
                pool: huge_page_bytes; pages free_pages reserved_pages surplus_pages struct_page_bytes freed_bytes \
                net_bytes all_memory_freed_bytes all_memory_net_bytes
                """),
        Run(
            arguments: ["demo", "--race", "--race-seconds", "1", "--pages", "16"], command: "race",
            tables: "side: way; turns turns_with_wrong_reads cycles reads wrong_reads duration_nanoseconds"),
    ]

    /// What a column's figures are called in JSON, where it is not the column's own name.
    private static let jsonKeys = [
        "page_tables_bytes": "page_table_bytes", "region_bytes": "region_length_bytes", "held": "holds",
        "upper_bound": "is_upper_bound", "met": "is_met", "mapping_overhead_bytes": "mapping_bytes",
        "page_table_overhead_bytes": "page_table_bytes", "template_overhead_bytes": "template_bytes",
        "kernel_page_tables_bytes": "page_table_bytes", "freed_per_page_bytes": "freed_bytes_per_page",
        "off_nanoseconds": "median", "on_nanoseconds": "median", "on_min_nanoseconds": "min",
        "on_max_nanoseconds": "max", "on_user_nanoseconds": "median", "on_system_nanoseconds": "median",
        "engine_nanoseconds": "median", "peer_nanoseconds": "median", "median_ratio": "median", "min_ratio": "min",
        "max_ratio": "max", "limit_ratio": "limit", "measured_ratio": "measured", "baseline_ratio": "bound_by_baseline",
        "huge_pages": "count", "allocate_nanoseconds": "wall_nanoseconds", "free_nanoseconds": "wall_nanoseconds",
        "free_until_restored_nanoseconds": "wall_nanoseconds", "short_of_address_space": "address_space",
        "short_of_mappings": "mappings", "short_of_descriptors": "open_files", "short_of_file_system": "file_system",
        "short_of_frames": "frames", "huge_pages_optimized": "optimized", "huge_pages_unoptimized": "unoptimized",
        "all_memory_freed_bytes": "freed_bytes", "all_memory_net_bytes": "net_bytes",
    ]
    /// Those that have one name in one command, and another in others.
    private static let jsonKeysOfCommand = [
        "stress duration_nanoseconds": "elapsed_nanoseconds", "pool region_mappings": "mappings",
        "demo present_pages": "region_present_pages", "savings present_pages": "region_present_pages",
    ]

    @Test("Every table's names and units are these, in every form, with the same figures", arguments: runs)
    func forms(_ run: Run) async throws {
        let texts = try await Self.exports(run)
        try checkTables(run, texts)
        try checkJSON(run, texts)
    }

    /// CSV and Prometheus text beside the tables of Markdown.
    private func checkTables(_ run: Run, _ texts: [String: String]) throws {
        let tables = Table.all(inMarkdown: try #require(texts["markdown"]))
        #expect(tables.map(\.summary).joined(separator: "\n") == run.tables)

        let csv = try #require(texts["csv"])
        #expect(csv.split(separator: "\n").first.map(String.init) == tables[0].names.joined(separator: ","))

        let samples = Self.samples(try #require(texts["prometheus"]))
        var expected: [String: Double] = [:]
        for table in tables { expected.merge(table.samples("vmemmap_\(run.name)")) { first, _ in first } }
        let figures = samples.filter { !$0.key.hasSuffix("_holds") || $0.key.contains("{") }.filter {
            !$0.key.hasPrefix("vmemmap_\(run.name)_info{")
        }
        #expect(Set(figures.keys) == Set(expected.keys))
        for (key, value) in expected {
            let found = try #require(figures[key], "\(key)")
            #expect(abs(found - value) <= 1e-12 * abs(value), "\(key): \(found), not \(value)")
        }
    }

    /// JSON beside the schema that ships with the docs, and beside the tables.
    private func checkJSON(_ run: Run, _ texts: [String: String]) throws {
        let value = try JSON(text: try #require(texts["json"]))
        let schema = JSONSchema(
            try JSON(
                text: Repository.text(
                    of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
        #expect(schema.mistake(in: value, by: "command_\(run.name)") == nil)
        #expect(schema.mistake(in: value, by: "command_hold") != nil)

        var figures: [String: Set<Double>] = [:]
        value.figures(into: &figures)
        for table in Table.all(inMarkdown: try #require(texts["markdown"])) {
            for column in table.figureColumns {
                let name = table.names[column]
                let key = Self.jsonKeysOfCommand["\(run.name) \(name)"] ?? Self.jsonKeys[name] ?? name
                let known = try #require(figures[key], "no \(key) in JSON, for \(table.name) \(name)")
                for cell in table.rows.compactMap({ Double($0[column]) }) {
                    #expect(known.contains(cell), "\(table.name) \(name) \(cell) is no figure of the JSON's")
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
        return "\(name): \(labels); " + figureColumns.map { names[$0] }.joined(separator: " ")
    }

    /// What must stand in Prometheus text: base units, and nothing of what was not measured.
    func samples(_ prefix: String) -> [String: Double] {
        var samples: [String: Double] = [:]
        for row in rows {
            let labels = names.indices.filter { isLabel[$0] }.map { "\(names[$0])=\"\(row[$0])\"" }
            let suffix = labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
            for column in figureColumns {
                guard let value = Double(row[column]) else { continue }
                let isTime = names[column].hasSuffix("_nanoseconds")
                let base = isTime ? names[column].dropLast("_nanoseconds".count) + "_seconds" : names[column][...]
                samples["\(prefix)_\(name)_\(base)\(suffix)"] = isTime ? value / 1e9 : value
            }
        }
        return samples
    }

    static func all(inMarkdown text: String) -> [Table] {
        var tables: [Table] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { tables.append(Table(name: String(line.dropFirst(3)))) }
            guard line.hasPrefix("| "), var table = tables.popLast() else { continue }
            let cells = cells(line)
            if table.names.isEmpty {
                table.names = cells
            } else if table.isLabel.isEmpty {
                table.isLabel = cells.map { $0.hasPrefix(":") }
            } else {
                table.rows.append(cells)
            }
            tables.append(table)
        }
        return tables
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
