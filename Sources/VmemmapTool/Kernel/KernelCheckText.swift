import HostMemory

/// What must hold between the kernel and the emulator, in words.
enum KernelCheckText {
    static func line(_ check: KernelResult.Check) -> String {
        let pages = "\(CountText.grouped(check.expected)) expected, \(measured(check))"
        return switch check.claim {
        case .kernelFreesAsPlanned: "kernel, on: fall of nr_memmap_pages + nr_memmap_boot_pages: \(pages)"
        case .kernelFreesNothingWhenOff: "kernel, off: fall of the two: \(pages)"
        case .kernelIsBack: "kernel, huge pages freed: missing of the two: \(pages)"
        case .emulatorFreesTheSame: "emulator: frames freed for as many huge pages as the kernel's: \(pages)"
        case .hostFlagsOff: "a huge page of the host's keeps the kernel test's rule of flags: \(violations(check))"
        case .hostFlagsOn: "an optimized one keeps it, but for fake heads: \(violations(check))"
        case .emulatedFlags: "emulated huge pages, optimized, keep it without exception: \(violations(check))"
        }
    }

    /// What the flags show beyond the verdict, if anything.
    static func details(_ measurement: KernelMeasurementResult, _ emulator: KernelResult.Emulator) -> [String] {
        let checks = [measurement.flagsOff.value, measurement.flagsOn.value, emulator.flags].compactMap { $0 }
        let others = checks.compactMap(\.firstOtherViolation.value).map { "      \($0)" }
        guard let flags = measurement.flagsOn.value, flags.fakeHeadsShown > 0 else { return others }
        return others + [
            "note  /proc/kpageflags shows \(CountText.of(flags.fakeHeadsShown, "fake head")) of \(CountText.grouped(flags.basePages)) "
                + "pages as heads: since Linux 6.17 the kernel",
            "      (snapshot_page()) does not see through them there, against the rule of its own test of the optimization.",
        ]
    }

    private static func measured(_ check: KernelResult.Check) -> String {
        check.measured.value.map { "\(CountText.grouped($0)) measured" }
            ?? "not measured (the kernel does not count them)"
    }

    private static func violations(_ check: KernelResult.Check) -> String {
        guard let violations = check.measured.value else {
            return "not measured (/proc/kpageflags or frame numbers are hidden)"
        }
        return "\(CountText.of(violations, "page")) \(violations == 1 ? "breaks" : "break") it"
    }
}
