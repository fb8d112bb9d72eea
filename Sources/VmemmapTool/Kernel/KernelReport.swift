import HostLab
import HostMemory
import VmemmapEmulator

/// The host's own kernel, for people, and the emulator beside it.
enum KernelReport {
    /// The report, line by line.
    static func lines(_ result: KernelResult, _ style: Style = .plain) -> [String] {
        if let trial = result.stoppedBy.value {
            let title = "vmemmap kernel: one huge page of the host's own, and then no more"
            return style.wrapped([title, ""] + PlanReport.lines(result.host)) + look(result.kernel, style) + [""]
                + Check.lines(result.checks, style) + style.wrapped(["", trial.text])
        }
        guard let measurement = result.measurement.value, let emulator = result.emulator.value else {
            return style.wrapped(
                ["vmemmap kernel: what this host's kernel offers of vmemmap optimization", ""]
                    + PlanReport.lines(result.host)) + look(result.kernel, style)
                + (result.pageTables.value.map { PageTablesReport.summary($0, style) } ?? [])
        }
        let title =
            "vmemmap kernel: \(Format.count(measurement.pagesAsked.rawValue)) x "
            + "\(Format.bytes(measurement.hugePageBytes)) huge pages of the host's own, optimization off and on, "
            + Format.count(measurement.pairs.count, "pair")
        return style.wrapped([title, ""] + PlanReport.lines(result.host)) + look(result.kernel, style)
            + style.wrapped([""] + given(measurement)) + result.operationTable.lines(style)
            + style.wrapped(measurement.notes().map { "Note: \($0)." })
            + style.wrapped(["The emulator under the scheme that the kernel has: \(scheme(measurement)).", ""])
            + style.notes([
                "Kernel: the writes to nr_hugepages. HVO adds: on less off, pair by pair; a dash: not above the "
                    + "host's noise, or not judged."
            ]) + [""] + style.wrapped(KernelCheck.details(measurement, emulator))
            + Check.lines(result.checks, style)
    }

    // MARK: The kernel

    private static func look(_ kernel: KernelOverview, _ style: Style) -> [String] {
        style.wrapped(["kernel  \(configured(kernel))", "        \(memmap(kernel))", ""]) + pools(kernel, style)
    }

    static func configured(_ kernel: KernelOverview) -> String {
        switch (kernel.isConfigured.value, kernel.isOptimizing.value) {
        case (true, let isOn?):
            "built with HVO: vm.hugetlb_optimize_vmemmap is there; it is \(isOn ? "1 (on)" : "0 (off)")"
        case (true, nil):
            "built with HVO, says its configuration in \(folder(kernel)); no sysctl is to be read (there is none "
                + "before Linux 5.19)"
        case (false, _): "built without HVO, says its configuration in \(folder(kernel))"
        case (nil, _):
            "no vm.hugetlb_optimize_vmemmap, no configuration in /boot or /usr/lib/modules: nothing says whether it "
                + "was built with HVO"
                + (kernel.hasCompressedConfig ? " (zgrep OPTIMIZE_VMEMMAP /proc/config.gz does)" : "")
        }
    }

    private static func folder(_ kernel: KernelOverview) -> String {
        kernel.configuredSource == .modulesConfig ? "/usr/lib/modules" : "/boot"
    }

    static func memmap(_ kernel: KernelOverview) -> String {
        guard let pages = kernel.memmapPages.value, let boot = kernel.memmapBootPages.value else {
            return "nr_memmap_pages and nr_memmap_boot_pages: not to be read in /proc/vmstat (Linux 6.11 and later "
                + "count them)"
        }
        return "nr_memmap_pages \(Format.count(pages.rawValue)), nr_memmap_boot_pages "
            + "\(Format.count(boot.rawValue)) (/proc/vmstat)"
    }

    /// Why there is no pool to show; nil if there is one.
    static func noPools(_ kernel: KernelOverview) -> String? {
        guard let pools = kernel.pools.value else { return "pools: not readable, /sys/kernel/mm/hugepages is hidden" }
        return pools.isEmpty ? "no pool: a kernel without HugeTLB" : nil
    }

    private static func pools(_ kernel: KernelOverview, _ style: Style) -> [String] {
        if let absence = noPools(kernel) { return style.wrapped([absence]) }
        return KernelResult.poolTable(kernel).lines(style)
            + style.notes([
                "HVO frees: worked out for the pool as it is, none optimized against all, and for all of",
                "\(Format.bytes(kernel.memoryBytes)). Which are optimized already the page tables show, see below.",
            ])
    }

    // MARK: The measurement

    static func scheme(_ measurement: KernelMeasurementResult) -> String {
        let source = measurement.schemeSource == .pageTables ? "its page tables show it" : "by its release"
        return "\(measurement.scheme.rawValue) (\(source))"
    }

    static func given(_ measurement: KernelMeasurementResult) -> [String] {
        let before =
            "\(Format.count(measurement.pagesAsked.rawValue)) huge pages were added to the "
            + "\(Format.count(measurement.pagesBefore.rawValue)) that were there, and taken out again, after a warm-up."
        let fewest = measurement.fewestPages
        guard fewest < measurement.pagesAsked else { return [before, ""] }
        return [
            before,
            "The host gave only \(Format.count(fewest.rawValue)) in at least one cycle; all figures are of what it "
                + "gave.",
            "",
        ]
    }
}
