public import Experiments
internal import HostMemory
internal import VmemmapEmulator

/// Forecasts for people who ask what `hugetlb_free_vmemmap=on` would give them.
public enum ForecastReport {
    /// The report, line by line.
    public static func lines(_ result: PlanResult, _ style: Style = .plain) -> [String] {
        let whose = result.isHostMemory ? "this host's memory" : "memory"
        return style.wrapped([
            "vmemmap plan: what HugeTLB vmemmap optimization gives back (nothing is mapped, no privileges)", "",
            "\(ByteText.short(result.forecast.memoryBytes)) of \(whose), all of it in huge pages; struct pages for it: "
                + ByteText.short(result.forecast.structPageBytes), "",
        ]) + style.wrapped(structPages(result)) + table(result.forecast, result, style)
            + style.wrapped([
                "",
                "1 TiB of it, as in the cover letter of v5; struct pages: "
                    + ByteText.short(result.coverLetter.structPageBytes), "",
            ]) + table(result.coverLetter, result, style)
            + style.notes([
                "the letter: 16 GB of struct pages; saves ~16 GB with 1 GB pages, ~11 GB with 2 MB pages (worst 10, best 12)",
                "",
                "In the kernel: a page frees the bytes that its boot message names, less one page table for each 2 MiB of vmemmap.",
                "Emulated here: \(result.configuration.backing.rawValue) backing, \(result.host.mappingCostBytes) bytes a mapping "
                    + "(\(result.host.mappingCostSource.rawValue)); vm.max_map_count is \(result.host.maxMapCount); * needs more.",
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
        var table = TextTable(headings: [
            "scheme", "huge\npage", "huge\npages", "freed\na page", "freed", "page\ntables", "net in\nthe kernel",
            "emulated:\ntail run", "mappings", "their\ncost", "net",
        ])
        for row in forecast.rows {
            let isOverLimit = row.mappings > result.host.maxMapCount
            table.add([
                row.scheme.rawValue, ByteText.short(row.hugePageBytes), CountText.grouped(row.pages.rawValue),
                "\(row.freedBytesPerPage.rawValue / 1024) KiB", ByteText.short(row.freedBytes),
                ByteText.short(row.pageTableBytes), ByteText.short(row.kernelNetBytes), "\(row.tailRun)",
                CountText.grouped(row.mappings.rawValue) + (isOverLimit ? "*" : " "),
                ByteText.short(row.mappingBytes), ByteText.short(row.emulationNetBytes),
            ])
        }
        return table.lines(style)
    }
}
