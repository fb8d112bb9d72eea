import HostLab
import HostMemory
import VmemmapEmulator

/// The host's own kernel, for people, and the emulator beside it.
enum KernelReport {
    /// The report, line by line.
    static func lines(_ result: KernelResult, _ style: Style = .plain) -> [String] {
        guard let measurement = result.measurement.value, let emulator = result.emulator.value else {
            return style.wrapped(
                ["vmemmap kernel: what this host's kernel offers of vmemmap optimization", ""]
                    + PlanReport.lines(result.host)) + look(result.kernel, style)
        }
        let title =
            "vmemmap kernel: \(CountText.grouped(measurement.pagesAsked.rawValue)) x "
            + "\(ByteText.short(measurement.hugePageBytes)) huge pages of the host's own, optimization off and on, "
            + CountText.of(measurement.rounds.count, "round")
        return style.wrapped([title, ""] + PlanReport.lines(result.host)) + look(result.kernel, style)
            + style.wrapped([""] + given(measurement)) + table(measurement, emulator, style)
            + style.wrapped([""] + result.checks.map(line) + KernelCheckText.details(measurement, emulator))
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
            "built with HVO, says its configuration in /boot; no sysctl is to be read (there is none before Linux 5.19)"
        case (false, _): "built without HVO, says its configuration in /boot"
        case (nil, _):
            "no vm.hugetlb_optimize_vmemmap, no configuration in /boot: nothing says whether it was built with HVO"
                + (kernel.hasCompressedConfig ? " (zgrep OPTIMIZE_VMEMMAP /proc/config.gz does)" : "")
        }
    }

    static func memmap(_ kernel: KernelOverview) -> String {
        guard let pages = kernel.memmapPages.value, let boot = kernel.memmapBootPages.value else {
            return "nr_memmap_pages and nr_memmap_boot_pages: not in /proc/vmstat (Linux 6.11 and later count them)"
        }
        return "nr_memmap_pages \(CountText.grouped(pages.rawValue)), nr_memmap_boot_pages "
            + "\(CountText.grouped(boot.rawValue)) (/proc/vmstat)"
    }

    /// Why there is no pool to show; nil if there is one.
    static func noPools(_ kernel: KernelOverview) -> String? {
        guard let pools = kernel.pools.value else { return "pools: not readable, /sys/kernel/mm/hugepages is hidden" }
        return pools.isEmpty ? "no pool: a kernel without HugeTLB" : nil
    }

    private static func pools(_ kernel: KernelOverview, _ style: Style) -> [String] {
        if let absence = noPools(kernel) { return style.wrapped([absence]) }
        var table = TextTable(headings: [
            "huge\npage", "pages", "free", "resv", "surplus", "over-\ncommit", "their struct\npages", "HVO\nfrees",
            "net of\npage tables", "all memory in\nhuge pages", "HVO\nfrees", "net of\npage tables",
        ])
        for pool in kernel.pools.value ?? [] {
            table.add(
                [ByteText.short(pool.hugePageBytes) + (pool.isDefaultSize ? " *" : "")]
                    + [pool.pages, pool.freePages, pool.reservedPages, pool.surplusPages, pool.overcommitPages].map {
                        CountText.grouped($0.rawValue)
                    } + saving(pool.asItIs) + saving(pool.allOfMemory))
        }
        return table.lines(style)
            + style.notes([
                "* the default size. HVO frees: worked out for the pool as it is, none optimized against all, and for all of",
                "\(ByteText.short(kernel.memoryBytes)). The kernel does not tell which huge pages of a pool are optimized already.",
            ])
    }

    private static func saving(_ saving: KernelOverview.Saving) -> [String] {
        [
            ByteText.short(saving.structPageBytes), ByteText.short(saving.freedBytes), ByteText.short(saving.netBytes),
        ]
    }

    // MARK: The measurement

    static func given(_ measurement: KernelMeasurementResult) -> [String] {
        let before =
            "\(CountText.grouped(measurement.pagesAsked.rawValue)) huge pages were added to the "
            + "\(CountText.grouped(measurement.pagesBefore.rawValue)) that were there, and taken out again, after a warm-up."
        let fewest = measurement.fewestPages
        guard fewest < measurement.pagesAsked else { return [before, ""] }
        return [
            before,
            "The host gave only \(CountText.grouped(fewest.rawValue)) in at least one cycle; all figures are of what it gave.",
            "",
        ]
    }

    private static func table(
        _ measurement: KernelMeasurementResult, _ emulator: KernelResult.Emulator, _ style: Style
    ) -> [String] {
        let (allocation, freeing) = (measurement.allocation, measurement.freeing)
        var table = TextTable(headings: ["per huge page, medians", "allocate,\noptimize", "free,\nrestore"])
        func add(_ name: String, _ allocate: Double, _ free: Double) {
            table.add([name, time(allocate), time(free)])
        }
        add("kernel, off", allocation.offNanosecondsPerPageMedian, freeing.offNanosecondsPerPageMedian)
        add("kernel, on", allocation.onNanosecondsPerPageMedian, freeing.onNanosecondsPerPageMedian)
        add("HVO adds", allocation.addedNanosecondsPerPageMedian, freeing.addedNanosecondsPerPageMedian)
        add("  at least", allocation.addedNanosecondsPerPageMin, freeing.addedNanosecondsPerPageMin)
        add("  at most", allocation.addedNanosecondsPerPageMax, freeing.addedNanosecondsPerPageMax)
        add("emulator, head", emulator.optimizeNanosecondsPerPageMedian, emulator.restoreNanosecondsPerPageMedian)
        table.add(["emulator / HVO adds", ratio(emulator.optimizeOverAdded), ratio(emulator.restoreOverAdded)])
        return table.lines(style)
            + style.notes([
                "Kernel: the writes to nr_hugepages. HVO adds: on less off, round by round; a dash: not above the host's noise."
            ])
    }

    private static func time(_ nanoseconds: Double) -> String {
        let text = DurationText.short(nanoseconds: Int(nanoseconds.magnitude.rounded()))
        return (nanoseconds < 0 ? "-" : "") + text
    }

    private static func ratio(_ ratio: Measured<Double>) -> String {
        guard let value = ratio.value else { return "-" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) x"
    }

    private static func line(_ check: KernelResult.Check) -> String {
        let verdict =
            switch check.holds.value {
            case true?: "ok    "
            case false?: "FAILS "
            case nil: "?     "
            }
        return verdict + KernelCheckText.line(check)
    }
}
