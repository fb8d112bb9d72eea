import HostMemory
import VmemmapEmulator

extension PlanResult: ExportableResult {
    /// The subcommand.
    static var command: String { "plan" }
    /// A forecast promises nothing that was measured.
    var verdict: Bool? { nil }

    /// Its tables.
    var tables: [ExportTable] {
        [
            table("forecast", "What optimizing gives back of the memory asked for.", forecast),
            table("cover_letter", "What it gives back of the cover letter's 1 TiB.", coverLetter),
        ]
    }

    private func table(_ name: String, _ help: String, _ forecast: Forecast) -> ExportTable {
        ExportTable(
            name, help, forecast.rows,
            [
                .label("scheme", "How the vmemmap is shared.") { $0.scheme.rawValue },
                .label("huge_page_bytes", "The huge page.") { "\($0.hugePageBytes)" },
                .count("pages", "Huge pages that fit the memory.") { $0.pages.rawValue },
                .bytes("freed_per_page", "What the kernel frees for each.") { $0.freedBytesPerPage },
                .bytes("freed", "What it frees for all of them.") { $0.freedBytes },
                .bytes("kernel_page_tables", "What it spends on page tables.") { $0.pageTableBytes },
                .bytes("kernel_net", "What is left for the kernel's user.") { $0.kernelNetBytes },
                .count("tail_frames", "Frames in a row that would serve the tails of an emulation.") {
                    $0.tailFrames.rawValue
                },
                .count("mappings", "Mappings of that emulation.") { $0.mappings.rawValue },
                .bytes("mapping_overhead", "What those cost this host's kernel.") { $0.mappingBytes },
                .bytes("emulation_net", "What the emulation would save, net.") { $0.emulationNetBytes },
            ])
    }
}
