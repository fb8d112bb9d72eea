import HostMemory
import VmemmapEmulator

/// The host's own kernel, and where it was measured, the emulator beside it.
struct KernelResult: Hashable, Sendable, Codable {
    /// The emulator's head scheme on as many huge pages.
    struct Emulator: Hashable, Sendable, Codable {
        /// One optimize and one restore of all huge pages.
        struct Round: Hashable, Sendable, Codable {
            /// Replacing the tails.
            let optimizeNanoseconds: Int
            /// Giving each vmemmap page its own frame again.
            let restoreNanoseconds: Int
        }

        /// What was optimized and restored.
        let plan: PlanBlock
        /// Frames behind the region, populated less optimized: counted on the host's page tables.
        let framesFreed: PageCount
        /// How frames were told apart.
        let countingMethod: FrameCount.Method
        /// The counted rounds. One more, first, warms up and is looked at.
        let rounds: [Round]
        /// Optimizing one huge page: the median, in nanoseconds.
        let optimizeNanosecondsPerPageMedian: Double
        /// Restoring one huge page: the median, in nanoseconds.
        let restoreNanosecondsPerPageMedian: Double
        /// Emulator over what the optimization adds to the kernel's allocation. Null where it adds nothing that stands out of the
        /// noise: the median of the differences is not above 0.
        let optimizeOverAdded: Measured<Double>
        /// The same of freeing.
        let restoreOverAdded: Measured<Double>
        /// The flags of the emulated huge pages, optimized.
        let flags: FlagsCheck
    }

    /// A claim, the figure it makes one expect, and the one measured.
    struct Check: Hashable, Sendable, Codable {
        /// Which claim.
        enum Claim: String, Hashable, Sendable, Codable {
            /// With the optimization on, the kernel's struct pages shrink by what the geometry says, in every cycle.
            case kernelFreesAsPlanned
            /// With it off, they do not.
            case kernelFreesNothingWhenOff
            /// They are all back afterwards.
            case kernelIsBack
            /// The emulator frees as many frames for as many huge pages.
            case emulatorFreesTheSame
            /// The rule of the kernel's own test holds for one of the host's huge pages that is not optimized.
            case hostFlagsOff
            /// It holds for an optimized one, but for fake heads: Linux 6.17 to 7.0 shows those as heads, against its own test.
            case hostFlagsOn
            /// It holds for the emulated ones, without exception.
            case emulatedFlags
        }

        /// Which claim.
        let claim: Claim
        /// What it makes one expect; pages, or violations.
        let expected: Int
        /// What was found. Null where this host or this user cannot measure it.
        let measured: Measured<Int>
        /// Whether the two agree; null without a measurement.
        let holds: Measured<Bool>

        init(_ claim: Claim, expected: Int, measured: Int?) {
            self.claim = claim
            self.expected = expected
            self.measured = Measured(measured)
            holds = Measured(measured.map { $0 == expected })
        }
    }

    /// Where it was run.
    let host: HostBlock
    /// What the kernel offers and uses.
    let kernel: KernelOverview
    /// What its pool took. Null where that was not asked for.
    let measurement: Measured<KernelMeasurementResult>
    /// The emulator beside it. Null where that was not asked for.
    let emulator: Measured<Emulator>
    /// What must hold between them. Empty where nothing was measured.
    let checks: [Check]

    /// Whether no claim is refuted.
    var holds: Bool { !checks.contains { $0.holds.value == false } }

    init(
        host: HostBlock, kernel: KernelOverview, measurement: KernelMeasurementResult? = nil, emulator: Emulator? = nil
    ) {
        self.host = host
        self.kernel = kernel
        self.measurement = Measured(measurement)
        self.emulator = Measured(emulator)
        guard let measurement, let emulator else {
            checks = []
            return
        }
        checks = Check.all(measurement, emulator)
    }
}

extension KernelResult.Check {
    /// Pure, so that a test can feed it any figures.
    static func all(_ measurement: KernelMeasurementResult, _ emulator: KernelResult.Emulator) -> [Self] {
        let freed = measurement.freedPagesPerHugePage.rawValue
        let on = [measurement.warmUp] + measurement.rounds.map(\.on)
        let off = measurement.rounds.map(\.off)
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
        return [
            Self(
                .kernelFreesAsPlanned, expected: freed * (worst?.0.pages ?? measurement.fewestPages).rawValue,
                measured: worst?.1),
            Self(.kernelFreesNothingWhenOff, expected: 0, measured: falls(off)?.max { abs($0) < abs($1) }),
            Self(.kernelIsBack, expected: 0, measured: missing?.max { abs($0) < abs($1) }),
            Self(
                .emulatorFreesTheSame, expected: kernelFreed ?? emulator.framesFreed.rawValue,
                measured: kernelFreed == nil ? nil : emulator.framesFreed.rawValue),
            Self(.hostFlagsOff, expected: 0, measured: measurement.flagsOff.value?.violations),
            Self(
                .hostFlagsOn, expected: 0, measured: measurement.flagsOn.value.map { $0.violations - $0.fakeHeadsShown }
            ),
            Self(.emulatedFlags, expected: 0, measured: emulator.flags.violations),
        ]
    }

    /// All of the figures, or nil if one was not measured.
    private static func all(_ figures: [Measured<PageCount>]) -> [Int]? {
        let values = figures.compactMap(\.value?.rawValue)
        return values.count == figures.count ? values : nil
    }
}
