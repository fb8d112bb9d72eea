import HostMemory
import VmemmapEmulator

/// What is checked between the kernel and the emulator.
struct KernelCheck: Sendable {
    /// Its name in exports.
    let id: String
    /// What is so if it passes.
    let statement: String
    /// What is counted.
    let figure: String
    /// Where the figure comes from.
    let method: String

    private init(_ id: String, _ statement: String, figure: String, method: String) {
        (self.id, self.statement, self.figure, self.method) = (id, statement, figure, method)
    }

    static let noBadPages = KernelCheck(
        "no_bad_pages", "one huge page put into the pool and taken out leaves no struct page in a bad state",
        figure: "bad_page_reports", method: "bit 5 of /proc/sys/kernel/tainted, and /dev/kmsg")
    static let memoryComesBack = KernelCheck(
        "memory_comes_back", "its memory comes back to the host",
        figure: "huge_pages_lost", method: "what neither /proc/meminfo nor /proc/zoneinfo accounts for")
    static let restoredPagesAreTheirOwn = KernelCheck(
        "restored_pages_are_their_own", "its restored vmemmap pages hold nothing of the head's",
        figure: "stray_vmemmap_pages", method: "the kernel's page tables and struct pages")
    static let kernelFreesAsPlanned = KernelCheck(
        "kernel_frees_as_planned", "with HVO on, the kernel frees the pages that the geometry says, in every cycle",
        figure: "memmap_fall_pages", method: memmap)
    static let kernelFreesNothingWhenOff = KernelCheck(
        "kernel_frees_nothing_when_off", "with HVO off, it frees none",
        figure: "memmap_fall_pages", method: memmap)
    static let kernelIsBack = KernelCheck(
        "kernel_is_back", "they are all back when the huge pages are freed",
        figure: "memmap_missing_pages", method: memmap)
    static let emulatorFreesTheSame = KernelCheck(
        "emulator_frees_the_same", "the emulator frees as many frames for as many huge pages",
        figure: "frames_freed", method: "pagemap, beside the kernel's count; what serves all huge pages is left out")
    static let hostFlagsOff = KernelCheck(
        "host_flags_off", "a huge page of the host's keeps the kernel test's rule of flags",
        figure: "violations", method: pageFlags)
    /// Linux 6.17 to 7.0 shows fake heads as heads, against its own test.
    static let hostFlagsOn = KernelCheck(
        "host_flags_on", "an optimized one keeps it, but for fake heads",
        figure: "violations", method: pageFlags)
    static let emulatedFlags = KernelCheck(
        "emulated_flags", "emulated huge pages, optimized, keep it without exception",
        figure: "violations", method: pageFlags)
    static let offHasEveryFrame = KernelCheck(
        "off_has_every_frame", "by the page tables, huge pages added with HVO off have every frame, and none read-only",
        figure: "huge_pages_that_lack_frames", method: pageTables)
    static let onIsOptimized = KernelCheck(
        "on_is_optimized", "by the page tables, those added with HVO on are all optimized",
        figure: "optimized_pages", method: pageTables)
    static let everyPageIsFound = KernelCheck(
        "every_page_is_found", "every huge page of the pools, or that was added to them, was found and looked at",
        figure: "huge_pages_missed", method: "the kernel's page tables and struct pages, beside nr_hugepages")
    static let framesFreedAsCounted = KernelCheck(
        "frames_freed_as_counted",
        "by the page tables, as many frames are freed as the kernel's own count of them falls",
        figure: "frames_freed",
        method: "the kernel's page tables, beside nr_memmap_pages + nr_memmap_boot_pages, which Linux 6.11 brought")
    static let framesAreApart = KernelCheck(
        "frames_are_apart", "no frame that one huge page may write is shown by another",
        figure: "frames_of_two_huge_pages", method: pageTables)
    static let marksAgree = KernelCheck(
        "marks_agree", "the kernel's own mark of optimized huge pages agrees with the page tables",
        figure: "contradicted_pages", method: "HPG_vmemmap_optimized in struct page, beside the kernel's page tables")
    static let contentsAgree = KernelCheck(
        "contents_agree", "each vmemmap page shows the bytes of the frame that the page tables lead to",
        figure: "differing_vmemmap_pages", method: pageTables)
    static let sameShape = KernelCheck(
        "same_shape",
        "the emulated huge page has the same shape: which vmemmap pages share a frame, which are read-only",
        figure: "differing_vmemmap_pages", method: pageTables)

    private static let memmap = "nr_memmap_pages + nr_memmap_boot_pages, which Linux 6.11 brought"
    private static let pageFlags = "/proc/kpageflags and frame numbers, which root sees"
    private static let pageTables = "the kernel's page tables"

    /// What the flags show beyond the verdict, if anything.
    static func details(_ measurement: KernelMeasurementResult, _ emulator: KernelResult.Emulator) -> [String] {
        let checks = [measurement.flagsOff.value, measurement.flagsOn.value, emulator.flags].compactMap { $0 }
        let others = checks.compactMap(\.firstOtherViolation.value).map { "      \($0)" }
        guard let flags = measurement.flagsOn.value, flags.fakeHeadsShown > 0 else { return others }
        return others + [
            "note  /proc/kpageflags shows \(Format.count(flags.fakeHeadsShown, "fake head")) of "
                + "\(Format.count(flags.basePages)) "
                + "pages as heads: since Linux 6.17 the kernel",
            "      (snapshot_page()) does not see through them there, against the rule of its own test of the "
                + "optimization.",
        ]
    }
}

extension Check {
    /// - Parameters:
    ///   - measured: nil where this host or this user cannot measure it.
    ///   - others: further figures that must agree.
    init(_ check: KernelCheck, expected: Int, measured: Int?, _ others: Figure...) {
        self.init(
            check.id, check.statement, [.equal(check.figure, expected, measured)] + others,
            method: check.method)
    }
}

extension KernelCheck {
    /// Pure, so that a test can feed it any figures.
    static func all(_ measurement: KernelMeasurementResult, _ emulator: KernelResult.Emulator) -> [Check] {
        let freed = measurement.freedPagesPerHugePage.rawValue
        let on = ([measurement.warmUp] + measurement.pairs).map(\.on)
        let off = ([measurement.warmUp] + measurement.pairs).map(\.off)
        func falls(_ cycles: [KernelMeasurementResult.Cycle]) -> [Int]? { all(cycles.map(\.memmapFallPages)) }
        // The cycle that strays furthest speaks for all: a surplus here must not make up for a lack there.
        let worst = zip(on, falls(on) ?? []).max { stray($0) < stray($1) }
        func stray(_ cycle: (KernelMeasurementResult.Cycle, Int)) -> Int {
            abs(cycle.1 - freed * cycle.0.pages.rawValue)
        }
        let missing = all((on + off).map(\.memmapMissingPages))
        // The kernel's figure for as many huge pages as were emulated.
        let kernelPages = on.reduce(0) { $0 + $1.pages.rawValue }
        let kernelFreed = falls(on).map { $0.reduce(0, +) * emulator.plan.pages.rawValue / kernelPages }
        // The frames that serve all huge pages stay with the kernel, too, and are there before it adds any.
        let freedOfEach = (emulator.framesFreed + emulator.templateFrames).rawValue
        return [
            Check(
                .kernelFreesAsPlanned, expected: freed * (worst?.0.pages ?? measurement.fewestPages).rawValue,
                measured: worst?.1),
            Check(.kernelFreesNothingWhenOff, expected: 0, measured: falls(off)?.max { abs($0) < abs($1) }),
            Check(.kernelIsBack, expected: 0, measured: missing?.max { abs($0) < abs($1) }),
            Check(
                .emulatorFreesTheSame, expected: kernelFreed ?? freedOfEach,
                measured: kernelFreed == nil ? nil : freedOfEach),
            Check(.hostFlagsOff, expected: 0, measured: measurement.flagsOff.value?.violations),
            Check(
                .hostFlagsOn, expected: 0, measured: measurement.flagsOn.value.map { $0.violations - $0.fakeHeadsShown }
            ),
            Check(.emulatedFlags, expected: 0, measured: emulator.flags.violations),
        ]
    }

    /// All of the figures, or nil if one was not measured.
    private static func all(_ figures: [Measured<PageCount>]) -> [Int]? {
        let values = figures.compactMap(\.value?.rawValue)
        return values.count == figures.count ? values : nil
    }
}
