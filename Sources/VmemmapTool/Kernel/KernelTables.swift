import HostLab
import HostMemory
import VmemmapEmulator

extension KernelResult: ExportableResult {
    static var command: String { "kernel" }
    var notes: [String] { measurement.value?.notes() ?? [] }

    /// Its tables; without a measurement the first has no rows.
    var tables: [ExportTable] {
        [
            operationTable, Self.poolTable(kernel), hvoTable, memmapTable, cycleTable,
            PageTablesBlock.hugetlbTable(pageTables.value),
        ]
    }

    /// What a fleet's dashboard shows of a host.
    private var hvoTable: ExportTable {
        ExportTable(
            "hvo", "The kernel's own vmemmap optimization, and the memory it is of.", [kernel],
            [
                .truth("is_configured", "Whether the kernel was built with it.") { $0.isConfigured.value },
                .truth("is_optimizing", "Whether huge pages made now are optimized.") { $0.isOptimizing.value },
                .bytes("hugetlb", "What the huge pages of all pools occupy.") { $0.hugetlbBytes.value }
                    .varying(),
                .bytes("memory", "MemTotal.") { $0.memoryBytes }.varying(),
            ])
    }

    /// No rows before Linux 6.11, which brought the counts.
    private var memmapTable: ExportTable {
        ExportTable(
            "memmap", "What the kernel's struct pages take, by where their memory comes from.",
            kernel.memmap.value ?? [],
            [
                .label("kind", "page-allocator: nr_memmap_pages of /proc/vmstat; boot: nr_memmap_boot_pages.") {
                    $0.kind.rawValue
                },
                .bytes("struct_page", "Struct pages whose memory comes from there.") { $0.structPageBytes }
                    .varying(),
            ])
    }

    var operationTable: ExportTable {
        typealias Row = (name: String, kernel: KernelMeasurementResult.Operation, emulator: Spread, over: Double?)
        var rows: [Row] = []
        if let measurement = measurement.value, let emulator = emulator.value {
            rows = [
                (
                    "allocate", measurement.allocate, emulator.optimizeNanoseconds,
                    emulator.optimizeOverAdded.value
                ),
                (
                    "free", measurement.free, emulator.restoreNanoseconds,
                    emulator.restoreOverAdded.value
                ),
            ]
        }
        let name = ExportColumn<Row>.label("operation", "Putting huge pages into the pool, or taking them out.") {
            $0.name
        }.shown("per huge page")
        let emulated: [ExportColumn<Row>] = [
            .meanNanoseconds("emulator_median", "The emulator's optimize, or restore.") { $0.emulator.median }
                .shown("emulator"),
            .meanNanoseconds("emulator_min", "The fastest.") { $0.emulator.min },
            .meanNanoseconds("emulator_max", "The slowest.") { $0.emulator.max },
            .ratio("emulator_over_added", "The emulator over what the optimization adds.") { $0.over }
                .shown("over\nHVO"),
            .ratio("emulator_over_added_min", "The fastest over the largest difference.") {
                $0.over == nil ? nil : $0.kernel.over(by: $0.emulator).least
            }.shown("from", drop: 4),
            .ratio("emulator_over_added_max", "The slowest over the smallest difference; nothing where that is none.") {
                $0.over == nil ? nil : $0.kernel.over(by: $0.emulator).most
            }.shown("to", drop: 5),
        ]
        let kernel = KernelMeasurementResult.columns { (row: Row) in row.kernel }
        return ExportTable(
            "operation", "The kernel's pool beside the emulator under its scheme, per huge page.", rows,
            [name] + kernel + emulated)
    }

    static func poolTable(_ kernel: KernelOverview) -> ExportTable {
        ExportTable(
            "pool", "The host's own pools, before anything was measured.", kernel.pools.value ?? [],
            [
                .sizeLabel("huge_page_bytes", "The size of a huge page.") { $0.hugePageBytes }.shown("huge page"),
                .count("pages", "Huge pages there are (nr_hugepages).") { $0.pages.value?.rawValue }.shown("pages")
                    .varying(),
                .count("free_pages", "Those nobody uses.") { $0.freePages.value?.rawValue }.shown("free").varying(),
                .count("reserved_pages", "Free ones reserved for a mapping.") { $0.reservedPages.value?.rawValue }
                    .shown("resv").varying(),
                .count("surplus_pages", "Those above the pool's size.") { $0.surplusPages.value?.rawValue }
                    .shown("surplus").varying(),
                .count("overcommit_pages", "Surplus pages that there may be (nr_overcommit_hugepages).") {
                    $0.overcommitPages.value?.rawValue
                }.shown("over-\ncommit"),
                .truth("is_default_size", "Whether it is the default size.") { $0.isDefaultSize.value }
                    .shown("default"),
                .bytes("struct_page", "Their struct pages, none optimized.") { $0.asItIs.value?.structPageBytes }
                    .shown("struct\npages").varying(),
                .bytes("freed", "What optimizing all of them frees.") { $0.asItIs.value?.freedBytes }
                    .shown("HVO\nfrees").varying(),
                .bytes("net", "That, less page tables.") { $0.asItIs.value?.netBytes }.shown("net of\ntables")
                    .varying(),
                .bytes("all_of_memory_freed", "What it would free with all of memory in such huge pages.") {
                    $0.allOfMemory.freedBytes
                }.shown("all memory:\nfrees").varying(),
                .bytes("all_of_memory_net", "That, less page tables.") { $0.allOfMemory.netBytes }
                    .shown("net of\ntables").varying(),
            ])
    }

    private var cycleTable: ExportTable {
        let cycles = (measurement.value?.pairs ?? []).enumerated().flatMap { round in
            [(round.offset + 1, round.element.off), (round.offset + 1, round.element.on)]
        }
        return ExportTable(
            "cycle", "Each time huge pages were put into the kernel's pool and taken out again.", cycles,
            [
                .label("pair", "The pair's number.") { "\($0.0)" },
                .label("optimizing", "vm.hugetlb_optimize_vmemmap.") { $0.1.isOptimizing ? "1" : "0" },
                .count("pages", "Huge pages that the host gave.") { $0.1.pages.rawValue },
                .nanoseconds("allocate", "Putting them in.") { $0.1.allocateNanoseconds },
                .nanoseconds("free", "Taking them out.") { $0.1.freeNanoseconds },
                .count("memmap_fall_pages", "Fall of nr_memmap_pages + nr_memmap_boot_pages with them in.") {
                    $0.1.memmapFallPages.value?.rawValue
                },
                .count("memmap_missing_pages", "What was missing of the two with them out again.") {
                    $0.1.memmapMissingPages.value?.rawValue
                },
            ])
    }
}

extension KernelMeasurementResult.Operation {
    /// How far what was timed over what the optimization adds may lie, given their spreads. Without an end where the
    /// smallest difference is not above 0.
    func over(by time: Spread) -> (least: Double, most: Double?) {
        (
            addedNanoseconds.max > 0 ? time.min / addedNanoseconds.max : 0,
            addedNanoseconds.min > 0 ? time.max / addedNanoseconds.min : nil
        )
    }
}

extension KernelMeasurementResult {
    /// An operation's columns: the same wherever the host's pool is shown.
    static func columns<Row>(_ operation: @escaping (Row) -> Operation) -> [ExportColumn<Row>] {
        [
            .meanNanoseconds("off_median", "The kernel, optimization off.") { operation($0).offNanoseconds.median }
                .shown("off"),
            .meanNanoseconds("off_min", "The fastest.") { operation($0).offNanoseconds.min },
            .meanNanoseconds("off_max", "The slowest.") { operation($0).offNanoseconds.max },
            .meanNanoseconds("on_median", "The kernel, optimization on.") { operation($0).onNanoseconds.median }
                .shown("on"),
            .meanNanoseconds("on_min", "The fastest.") { operation($0).onNanoseconds.min },
            .meanNanoseconds("on_max", "The slowest.") { operation($0).onNanoseconds.max },
            .meanNanoseconds("added_median", "What the optimization adds, the median of the pairs' differences.") {
                operation($0).addedNanoseconds.median
            }.shown("HVO adds"),
            .meanNanoseconds("added_min", "The smallest difference.") { operation($0).addedNanoseconds.min }
                .shown("at least", drop: 2),
            .meanNanoseconds("added_max", "The largest difference.") { operation($0).addedNanoseconds.max }
                .shown("at most", drop: 3),
        ]
    }
}
