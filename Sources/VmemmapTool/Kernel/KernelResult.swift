import HostMemory
import VmemmapEmulator

/// The host's own kernel, and where it was measured, the emulator beside it.
struct KernelResult: Hashable, Sendable, Codable {
    /// The emulator under the kernel's scheme on as many huge pages.
    struct Emulator: Hashable, Sendable, Codable {
        /// One optimize and one restore of all huge pages.
        struct Cycle: Hashable, Sendable, Codable {
            /// Replacing the tails.
            let optimizeNanoseconds: Int
            /// Giving each vmemmap page its own frame again.
            let restoreNanoseconds: Int
        }

        /// What was optimized and restored.
        let plan: PlanBlock
        /// Frames behind the region, populated less optimized: counted on the host's page tables.
        let framesFreed: PageCount
        /// Frames that serve all its huge pages together, taken off `framesFreed`: those of the shared-tail scheme.
        let templateFrames: PageCount
        /// How frames were told apart.
        let countingMethod: FrameCount.Method
        /// The counted cycles, as many as the kernel's pairs. One more, first, warms up and is looked at.
        let cycles: [Cycle]
        /// Optimizing one huge page.
        let optimizeNanoseconds: Spread
        /// Restoring one huge page.
        let restoreNanoseconds: Spread
        /// Emulator over what the optimization adds to the kernel's allocation. Null where it adds nothing that stands
        /// out of the noise (the median of the differences is not above 0), and where too little was timed to judge.
        let optimizeOverAdded: Measured<Double>
        /// The same of freeing.
        let restoreOverAdded: Measured<Double>
        /// The flags of the emulated huge pages, optimized.
        let flags: FlagsCheck
    }

    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// What was to be looked at.
        enum Subject: String, Hashable, Sendable, Codable, CaseIterable {
            /// What the kernel offers.
            case overview
            /// Its pool, timed.
            case measure
            /// The page tables of huge pages that were added.
            case pageTables = "page-tables"
            /// Those of the huge pages that are there.
            case existing
            /// Those of one of them.
            case page
            /// Those of a recording.
            case recording
        }

        /// What was to be looked at.
        let subject: Subject
        /// Huge pages to add; null: none.
        let pagesAsked: Measured<HugePageCount>
        /// The size of each.
        let hugePageBytes: Measured<ByteCount>
        /// Pairs to count; null where nothing is timed.
        let pairs: Measured<Int>

        /// - Parameter measurement: the huge pages that are added, if there are any.
        init(_ subject: Subject = .overview, _ measurement: KernelMeasurement? = nil) {
            self.subject = subject
            pagesAsked = Measured(measurement?.pages)
            hugePageBytes = Measured(measurement?.pageSize.bytes)
            pairs = Measured(subject == .measure ? measurement?.pairs : nil)
        }
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// What the kernel offers and uses.
    let kernel: KernelOverview
    /// What its pool took. Null where that was not asked for.
    let measurement: Measured<KernelMeasurementResult>
    /// What showed the kernel's own optimization to be broken, with which the measurement ended. Null where it was not
    /// stopped.
    let stoppedBy: Measured<KernelTrial>
    /// The emulator beside it. Null where that was not asked for.
    let emulator: Measured<Emulator>
    /// What the kernel's page tables show. Null where they were not asked for.
    let pageTables: Measured<PageTablesBlock>
    /// What must hold between them. Empty where nothing was measured.
    let checks: [Check]

    init(
        host: HostBlock, configuration: Configuration = Configuration(), kernel: KernelOverview,
        measurement: KernelMeasurementResult? = nil, emulator: Emulator? = nil, pageTables: PageTablesBlock? = nil,
        checksPageTables: Bool = true, stoppedBy: KernelTrial? = nil
    ) {
        self.host = host
        self.configuration = configuration
        self.kernel = kernel
        self.measurement = Measured(measurement)
        self.emulator = Measured(emulator)
        self.pageTables = Measured(pageTables)
        self.stoppedBy = Measured(stoppedBy)
        guard let measurement, let emulator else {
            checks = stoppedBy?.checks ?? (checksPageTables ? pageTables?.checks ?? [] : [])
            return
        }
        checks = measurement.trial.checks + KernelCheck.all(measurement, emulator)
    }
}
