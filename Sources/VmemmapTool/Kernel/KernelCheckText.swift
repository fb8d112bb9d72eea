import HostMemory
import VmemmapEmulator

/// What is checked between the kernel and the emulator, each with its statement.
enum KernelCheck: String, CaseIterable {
    case noBadPages = "one huge page put into the pool and taken out leaves no struct page in a bad state"
    case memoryComesBack = "its memory comes back to the host"
    case restoredPagesAreTheirOwn = "its restored vmemmap pages hold nothing of the head's"
    case kernelFreesAsPlanned = "with HVO on, the kernel frees the pages that the geometry says, in every cycle"
    case kernelFreesNothingWhenOff = "with HVO off, it frees none"
    case kernelIsBack = "they are all back when the huge pages are freed"
    case emulatorFreesTheSame = "the emulator frees as many frames for as many huge pages"
    case hostFlagsOff = "a huge page of the host's keeps the kernel test's rule of flags"
    /// Linux 6.17 to 7.0 shows fake heads as heads, against its own test.
    case hostFlagsOn = "an optimized one keeps it, but for fake heads"
    case emulatedFlags = "emulated huge pages, optimized, keep it without exception"
    case offHasEveryFrame = "by the page tables, huge pages added with HVO off have every frame, and none read-only"
    case onIsOptimized = "by the page tables, those added with HVO on are all optimized"
    case everyPageIsFound = "every huge page of the pools, or that was added to them, was found and looked at"
    case framesFreedAsCounted = "by the page tables, as many frames are freed as the kernel's own count of them falls"
    case framesAreApart = "no frame that one huge page may write is shown by another"
    case marksAgree = "the kernel's own mark of optimized huge pages agrees with the page tables"
    case contentsAgree = "each vmemmap page shows the bytes of the frame that the page tables lead to"
    case sameShape = "the emulated huge page has the same shape: which vmemmap pages share a frame, which are read-only"

    /// Its name in exports: `kernel_is_back`.
    var id: String { Format.words("\(self)").replacing(" ", with: "_") }

    /// What is counted.
    fileprivate var figure: String {
        switch self {
        case .noBadPages: "bad_page_reports"
        case .memoryComesBack: "huge_pages_lost"
        case .restoredPagesAreTheirOwn: "stray_vmemmap_pages"
        case .kernelFreesAsPlanned, .kernelFreesNothingWhenOff: "memmap_fall_pages"
        case .kernelIsBack: "memmap_missing_pages"
        case .emulatorFreesTheSame: "frames_freed"
        case .hostFlagsOff, .hostFlagsOn, .emulatedFlags: "violations"
        case .offHasEveryFrame: "huge_pages_that_lack_frames"
        case .onIsOptimized: "optimized_pages"
        case .everyPageIsFound: "huge_pages_missed"
        case .framesFreedAsCounted: "frames_freed"
        case .framesAreApart: "frames_of_two_huge_pages"
        case .marksAgree: "contradicted_pages"
        case .contentsAgree, .sameShape: "differing_vmemmap_pages"
        }
    }

    fileprivate var method: String {
        switch self {
        case .noBadPages: "bit 5 of /proc/sys/kernel/tainted, and /dev/kmsg"
        case .memoryComesBack: "what neither /proc/meminfo nor /proc/zoneinfo accounts for"
        case .restoredPagesAreTheirOwn: "the kernel's page tables and struct pages"
        case .kernelFreesAsPlanned, .kernelFreesNothingWhenOff, .kernelIsBack:
            "nr_memmap_pages + nr_memmap_boot_pages, which Linux 6.11 brought"
        case .emulatorFreesTheSame: "pagemap, beside the kernel's count; what serves all huge pages is left out"
        case .hostFlagsOff, .hostFlagsOn, .emulatedFlags: "/proc/kpageflags and frame numbers, which root sees"
        case .everyPageIsFound: "the kernel's page tables and struct pages, beside nr_hugepages"
        case .framesFreedAsCounted:
            "the kernel's page tables, beside nr_memmap_pages + nr_memmap_boot_pages, which Linux 6.11 brought"
        case .marksAgree: "HPG_vmemmap_optimized in struct page, beside the kernel's page tables"
        case .offHasEveryFrame, .onIsOptimized, .framesAreApart, .contentsAgree, .sameShape:
            "the kernel's page tables"
        }
    }

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
            check.id, check.rawValue, [.equal(check.figure, expected, measured)] + others,
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
