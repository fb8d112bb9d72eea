import HostMemory
import VmemmapEmulator

/// Forecasts for people who ask what `hugetlb_free_vmemmap=on` would give them.
enum ForecastReport {
    /// The report, line by line.
    static func lines(_ result: PlanResult, _ style: Style = .plain) -> [String] {
        let what = result.isOfDevices ? "device DAX's shared vmemmap" : "HugeTLB vmemmap optimization"
        let title = "vmemmap plan: what \(what) gives back (nothing is mapped)"
        if !result.architectures.isEmpty {
            return style.wrapped([title, ""] + structPages(result))
                + ArchitectureRow.table(result.architectures).lines(style)
                + style.wrapped([""] + PlanAnswer.lines(result))
        }
        return style.wrapped([title, ""] + PlanAnswer.lines(result) + [""] + structPages(result))
            + table(result.forecast, result, style) + coverLetter(result, style)
            + [""]
            + style.notes([
                (result.forecast.deductsPageTables
                    ? "Net: less the page tables that map vmemmap by base pages then."
                    : "Net: nothing is deducted, as base pages map the vmemmap there in any case.")
                    + (style.isVerbose ? "" : " With --verbose: what an emulation would cost, too.")
            ]) + (style.isVerbose ? emulation(result, style) : [])
    }

    private static func coverLetter(_ result: PlanResult, _ style: Style) -> [String] {
        guard let letter = result.coverLetter.value else { return [] }
        let title = "1 TiB of it, as in the cover letter of v5; struct pages: "
        return style.wrapped(["", title + Format.bytes(letter.structPageBytes), ""]) + table(letter, result, style)
            + style.notes(["the letter: ~16 GB of 16 with 1 GB pages, ~11 with 2 MB pages (10 to 12)"])
    }

    private static func emulation(_ result: PlanResult, _ style: Style) -> [String] {
        style.notes([
            "Emulated: \(result.configuration.backing.rawValue) backing, \(result.host.mappingCostBytes.rawValue) "
                + "bytes a "
                + "mapping (\(result.host.mappingCostSource.rawValue)).",
            "Too many: more than vm.max_map_count, \(PlanReport.mappingLimit(result.host)).",
        ])
    }

    /// What a struct page that is not the usual one makes of it.
    private static func structPages(_ result: PlanResult) -> [String] {
        let size = result.configuration.structPageSizeBytes
        if size == StructPage.size { return [] }
        if Geometry.plannedStructPageSizes.contains(size) {
            return [
                "A struct page has \(size.rawValue) bytes, as when it has shrunk to a descriptor (memdesc): no kernel "
                    + "has that yet.", "",
            ]
        }
        // The message is HugeTLB's.
        let isPlain = size.isPowerOfTwo || result.isOfDevices
        return [isPlain ? "A struct page has \(size.rawValue) bytes." : KernelMessage.crossing(size), ""]
    }

    private static func table(_ forecast: Forecast, _ result: PlanResult, _ style: Style) -> [String] {
        forecast.table("forecast", "", showsEmulation: style.isVerbose).lines(style)
            + style.wrapped(leftOver(forecast, result))
    }

    /// What of the memory fills no huge page, of each size.
    private static func leftOver(_ forecast: Forecast, _ result: PlanResult) -> [String] {
        let sizes = result.configuration.hugePageBytes.compactMap { HugePageSize(bytes: $0) }
        return PlannedPool.all(result.configuration.pools, orAllOf: forecast.memoryBytes, in: sizes).compactMap {
            let (size, rest) = (Format.bytes($0.hugePageBytes), $0.restBytes)
            if rest == .zero { return nil }
            return $0.pages == .zero
                ? "\(Format.bytes($0.memoryBytes)) hold no huge page of \(size)."
                : "Huge pages of \(size) leave \(Format.bytes(rest)) of \(Format.bytes($0.memoryBytes)) over."
        }
    }
}
