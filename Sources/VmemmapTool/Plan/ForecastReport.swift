import HostMemory
import VmemmapEmulator

/// Forecasts for people who ask what `hugetlb_free_vmemmap=on` would give them.
enum ForecastReport {
    /// The report, line by line.
    static func lines(_ result: PlanResult, _ style: Style = .plain) -> [String] {
        let whose = result.isHostMemory ? "this host's memory" : "memory"
        return style.wrapped([
            "vmemmap plan: what HugeTLB vmemmap optimization gives back (nothing is mapped)", "",
            "\(Format.bytes(result.forecast.memoryBytes)) of \(whose), all in huge pages; struct pages: "
                + Format.bytes(result.forecast.structPageBytes), "",
        ]) + style.wrapped(structPages(result)) + table(result.forecast, result, style)
            + style.wrapped([
                "",
                "1 TiB of it, as in the cover letter of v5; struct pages: "
                    + Format.bytes(result.coverLetter.structPageBytes), "",
            ]) + table(result.coverLetter, result, style)
            + style.notes([
                "the letter: ~16 GB of 16 with 1 GB pages, ~11 with 2 MB pages (10 to 12)", "",
                "Kernel: as its boot message has it, less a page table for 2 MiB of vmemmap each.",
                "Emulated: \(result.configuration.backing.rawValue) backing, \(result.host.mappingCostBytes) bytes a "
                    + "mapping "
                    + "(\(result.host.mappingCostSource.rawValue)).",
                "Too many: more than vm.max_map_count, "
                    + (result.host.maxMapCount.value.map { "\($0)." } ?? "which is hidden here."),
            ])
    }

    /// What a struct page that is not the usual one makes of it.
    private static func structPages(_ result: PlanResult) -> [String] {
        let size = result.configuration.structPageSizeBytes
        if size == StructPage.size { return [] }
        let isPowerOfTwo = size.rawValue & (size.rawValue - 1) == 0
        return [isPowerOfTwo ? "A struct page has \(size) bytes." : KernelMessage.crossing(size), ""]
    }

    private static func table(_ forecast: Forecast, _ result: PlanResult, _ style: Style) -> [String] {
        forecast.table("forecast", "").lines(style) + style.wrapped(leftOver(forecast, result))
    }

    /// What of the memory fills no huge page, of each size.
    private static func leftOver(_ forecast: Forecast, _ result: PlanResult) -> [String] {
        result.configuration.hugePageBytes.compactMap { size in
            let pages = forecast.memoryBytes.rawValue / size.rawValue
            let rest = forecast.memoryBytes - size * pages
            if rest == .zero { return nil }
            return pages == 0
                ? "It holds no huge page of \(Format.bytes(size))."
                : "Huge pages of \(Format.bytes(size)) leave \(Format.bytes(rest)) of it over."
        }
    }
}
