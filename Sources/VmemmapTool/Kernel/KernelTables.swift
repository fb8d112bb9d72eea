import HostLab
import HostMemory
import VmemmapEmulator

extension KernelResult: ExportableResult {
    /// The subcommand.
    static var command: String { "kernel" }
    /// Whether the emulator and the kernel agree; nil where nothing was measured.
    var verdict: Bool? { checks.isEmpty ? nil : holds }

    /// Its tables; without a measurement the first has no rows.
    var tables: [ExportTable] { [operationTable, Self.poolTable(kernel), cycleTable, checkTable] }

    private var operationTable: ExportTable {
        var rows: [(name: String, kernel: KernelMeasurementResult.Operation, emulator: Double, over: Double?)] = []
        if let measurement = measurement.value, let emulator = emulator.value {
            rows = [
                (
                    "allocate", measurement.allocation, emulator.optimizeNanosecondsPerPageMedian,
                    emulator.optimizeOverAdded.value
                ),
                (
                    "free", measurement.freeing, emulator.restoreNanosecondsPerPageMedian,
                    emulator.restoreOverAdded.value
                ),
            ]
        }
        return ExportTable(
            "operation", "The kernel's pool beside the emulator's head scheme, per huge page.", rows,
            [
                .label("operation", "Putting huge pages into the pool, or taking them out.") { $0.name },
                .meanNanoseconds("off_median", "The kernel, optimization off.") {
                    $0.kernel.offNanosecondsPerPageMedian
                },
                .meanNanoseconds("on_median", "The kernel, optimization on.") { $0.kernel.onNanosecondsPerPageMedian },
                .meanNanoseconds("added_median", "What the optimization adds, the median of the rounds' differences.") {
                    $0.kernel.addedNanosecondsPerPageMedian
                },
                .meanNanoseconds("added_min", "The smallest difference.") { $0.kernel.addedNanosecondsPerPageMin },
                .meanNanoseconds("added_max", "The largest difference.") { $0.kernel.addedNanosecondsPerPageMax },
                .meanNanoseconds("emulator_median", "The emulator's optimize, or restore.") { $0.emulator },
                .ratio("emulator_over_added", "The emulator over what the optimization adds.") { $0.over },
            ])
    }

    private static func poolTable(_ kernel: KernelOverview) -> ExportTable {
        ExportTable(
            "pool", "The host's own pools, before anything was measured.", kernel.pools.value ?? [],
            [
                .label("huge_page_bytes", "The size of a huge page.") { "\($0.hugePageBytes)" },
                .count("pages", "Huge pages there are (nr_hugepages).") { $0.pages.rawValue },
                .count("free_pages", "Those nobody uses.") { $0.freePages.rawValue },
                .count("reserved_pages", "Free ones promised to a mapping.") { $0.reservedPages.rawValue },
                .count("surplus_pages", "Those above the pool's size.") { $0.surplusPages.rawValue },
                .bytes("struct_page", "Their struct pages, none optimized.") { $0.asItIs.structPageBytes },
                .bytes("freed", "What optimizing all of them frees.") { $0.asItIs.freedBytes },
                .bytes("net", "That, less page tables.") { $0.asItIs.netBytes },
                .bytes("all_memory_freed", "What it would free with all of memory in such huge pages.") {
                    $0.allOfMemory.freedBytes
                },
                .bytes("all_memory_net", "That, less page tables.") { $0.allOfMemory.netBytes },
            ])
    }

    private var cycleTable: ExportTable {
        let cycles = (measurement.value?.rounds ?? []).enumerated().flatMap { round in
            [(round.offset + 1, round.element.off), (round.offset + 1, round.element.on)]
        }
        return ExportTable(
            "cycle", "Each time huge pages were put into the kernel's pool and taken out again.", cycles,
            [
                .label("round", "The round's number.") { "\($0.0)" },
                .label("optimizing", "vm.hugetlb_optimize_vmemmap.") { $0.1.isOptimizing ? "1" : "0" },
                .count("pages", "Huge pages that the host gave.") { $0.1.pages.rawValue },
                .nanoseconds("allocation", "Putting them in.") { $0.1.allocationNanoseconds },
                .nanoseconds("freeing", "Taking them out.") { $0.1.freeingNanoseconds },
                .count("memmap_fall_pages", "Fall of nr_memmap_pages + nr_memmap_boot_pages with them in.") {
                    $0.1.memmapFallPages.value?.rawValue
                },
                .count("memmap_missing_pages", "What was missing of the two with them out again.") {
                    $0.1.memmapMissingPages.value?.rawValue
                },
            ])
    }

    private var checkTable: ExportTable {
        ExportTable(
            "check", "What must hold between the kernel and the emulator.", checks,
            [
                .label("claim", "Which claim.") { $0.claim.rawValue },
                .count("expected", "What it makes one expect: pages, or violations.") { $0.expected },
                .count("measured", "What was found.") { $0.measured.value },
                .truth("holds", "Whether the two agree.") { $0.holds.value },
            ])
    }
}
