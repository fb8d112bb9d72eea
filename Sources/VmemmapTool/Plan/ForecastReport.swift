import HostMemory
import VmemmapEmulator

/// Forecasts for people who ask what `hugetlb_free_vmemmap=on` would give them.
enum ForecastReport {
    /// The report, line by line.
    static func lines(_ result: PlanResult, _ style: Style = .plain) -> [String] {
        let whose = result.isHostMemory ? "this host's memory" : "memory"
        return style.wrapped([
            "vmemmap plan: what HugeTLB vmemmap optimization gives back (nothing is mapped)", "",
            "\(ByteText.short(result.forecast.memoryBytes)) of \(whose), all in huge pages; struct pages: "
                + ByteText.short(result.forecast.structPageBytes), "",
        ]) + style.wrapped(structPages(result)) + table(result.forecast, result, style)
            + style.wrapped([
                "",
                "1 TiB of it, as in the cover letter of v5; struct pages: "
                    + ByteText.short(result.coverLetter.structPageBytes), "",
            ]) + table(result.coverLetter, result, style)
            + style.notes([
                "the letter: ~16 GB of 16 with 1 GB pages, ~11 with 2 MB pages (10 to 12)", "",
                "Kernel: as its boot message has it, less a page table for 2 MiB of vmemmap each.",
                "Emulated: \(result.configuration.backing.rawValue) backing, \(result.host.mappingCostBytes) bytes a mapping "
                    + "(\(result.host.mappingCostSource.rawValue)).",
                "* more than vm.max_map_count, \(result.host.maxMapCount).",
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
        // What is dispensable is told by the notes below, or follows from the rest.
        var table = TextTable(
            headings: [
                "scheme", "huge\npage", "huge\npages", "freed\na page", "freed", "page\ntables", "kernel:\nnet",
                "tail\nrun", "emulated:\nmappings", "their\ncost", "net",
            ], dispensable: ["their\ncost", "page\ntables", "huge\npages", "freed\na page"])
        for row in forecast.rows {
            let isOverLimit = row.mappings > result.host.maxMapCount
            table.add([
                row.scheme.rawValue, row.hugePageBytes == HugePageSize.oneGibibyte.bytes ? "1 GiB" : "2 MiB",
                CountText.grouped(row.pages.rawValue),
                "\(row.freedBytesPerPage.rawValue / 1024) KiB", ByteText.brief(row.freedBytes),
                ByteText.brief(row.pageTableBytes), ByteText.brief(row.kernelNetBytes), "\(row.tailFrames)",
                CountText.grouped(row.mappings.rawValue) + (isOverLimit ? "*" : " "),
                ByteText.brief(row.mappingBytes), ByteText.brief(row.emulationNetBytes),
            ])
        }
        return table.lines(style) + style.wrapped(leftOver(forecast, result))
    }

    /// What of the memory fills no huge page, of each size.
    private static func leftOver(_ forecast: Forecast, _ result: PlanResult) -> [String] {
        result.configuration.hugePageBytes.compactMap { size in
            let pages = forecast.memoryBytes.rawValue / size.rawValue
            let rest = forecast.memoryBytes - size * pages
            if rest == .zero { return nil }
            return pages == 0
                ? "It holds no huge page of \(ByteText.short(size))."
                : "Huge pages of \(ByteText.short(size)) leave \(ByteText.short(rest)) of it over."
        }
    }
}
