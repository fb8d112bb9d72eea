import HostMemory
import VmemmapEmulator

extension SavingsResult: ExportableResult {
    /// The subcommand.
    static var command: String { "savings" }
    /// Whether everything is as planned; nil of a dry run.
    var verdict: Bool? { rows.isEmpty ? nil : holds }

    /// Its tables.
    var tables: [ExportTable] {
        [
            ExportTable(
                "step", "What is saved after each step, against the populated region.", rows,
                [
                    .label("step", "The step.") { $0.step.rawValue },
                    .nanoseconds("duration", "What the step took, measuring not included.") { $0.durationNanoseconds },
                    .count("expected_frames", "Frames behind the region as planned.") { $0.expectedFrames.rawValue },
                    .bytes("expected_memfd", "What the memory file must occupy.") { $0.expectedMemfdBytes },
                    .bytes("gross_saving", "Frames given back, mapped no more and not held by the memory file.") {
                        $0.grossSavingBytes
                    },
                    .bytes("mapping_overhead", "What the region's mappings cost the kernel, but for one.") {
                        $0.mappingBytes
                    },
                    .bytes("page_table_overhead", "What the page tables have grown by.") { $0.pageTableBytes },
                    .bytes("template_overhead", "Template frames.") { $0.templateBytes },
                    .bytes("net_saving", "The saving less all overhead.") { $0.netSavingBytes },
                ] + ExportColumn.figures(\.figures)),
            PlanBlock.table([plan]),
        ]
    }
}

extension PlanBlock {
    /// Plans, a row each.
    static func table(_ plans: [PlanBlock]) -> ExportTable {
        ExportTable(
            "plan", "What was planned.", plans,
            [
                .label("scheme", "How the vmemmap is shared.") { $0.scheme.rawValue },
                .label("backing", "What the region consists of.") { $0.backing.rawValue },
                .label("huge_page_bytes", "The huge page.") { "\($0.hugePageBytes)" },
                .count("pages", "Huge pages.") { $0.pages.rawValue },
                .count("tail_frames", "Frames in a row that serve the tails.") { $0.tailFrames.rawValue },
                .count("frames_populated", "Frames behind the region, populated.") { $0.framesPopulated.rawValue },
                .count("frames_optimized", "Frames behind the region, optimized.") { $0.framesOptimized.rawValue },
                .count("mappings_optimized", "Mappings of the region, optimized.") { $0.mappingsOptimized.rawValue },
                .bytes("gross_saving", "What the frames given back amount to.") { $0.grossSavingBytes },
                .bytes("overhead", "What the mappings for it cost the kernel.") { $0.overheadBytes },
                .bytes("net_saving", "What is left.") { $0.netSavingBytes },
            ])
    }
}
