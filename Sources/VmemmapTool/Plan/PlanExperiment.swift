import HostMemory
import VmemmapEmulator

/// `vmemmap plan`: forecasts for this host's memory, for a given one, or for several pools.
struct PlanExperiment: Sendable {
    /// The memory in huge pages; nil: as much as this host has.
    var memory: ByteCount?
    /// How much of which size, in place of that.
    var pools: [PlannedPool] = []
    /// The memory that these are a part of.
    var of: ByteCount?
    /// The architecture; nil: this host.
    var architecture: ArchitectureChoice?
    /// The sizes of huge page.
    var sizes: [HugePageSize]
    /// The schemes.
    var schemes: [Scheme]
    /// What an emulation's region would consist of.
    var backing: Backing
    /// The frames that would serve its tails.
    var tailFrames: TailFrames
    /// sizeof(struct page): one of `Geometry.structPageSizes` or `Geometry.plannedStructPageSizes`.
    var structPageSize: ByteCount = StructPage.size
    /// Whether the cover letter's 1 TiB is asked for, too.
    var hasCoverLetter = false

    /// Works it out. Maps nothing and needs no privileges.
    func run() throws(ExperimentError) -> PlanResult {
        let host = try HostBlock.current()
        let kernel = try KernelOverview.current()
        let kernelScheme = SchemeOfKernel.scheme(ofRelease: host.kernelRelease)
        let other = architecture?.one
        let basePage = other?.basePageSize ?? host.pageSizeBytes
        let isOfHost = architecture == nil && !Geometry.plannedStructPageSizes.contains(structPageSize)
        func forecast(_ memory: ByteCount, _ pools: [PlannedPool]) throws(ExperimentError) -> Forecast {
            let forecast = Forecast(
                memory: memory, pools: pools, architecture: other ?? .ofHost, basePage: basePage,
                structPage: structPageSize, sizes: sizes, schemes: schemes, backing: backing, tailFrames: tailFrames,
                cost: host.mappingCost, limit: host.mappingLimit, kernelScheme: isOfHost ? kernelScheme : nil)
            guard let forecast else {
                throw .notSupported(
                    "\(memory.rawValue) bytes hold no huge page, or are more than 1 EiB: give --memory from one huge "
                        + "page up"
                )
            }
            return forecast
        }
        let together = pools.isEmpty ? nil : pools.reduce(ByteCount.zero) { $0 + $1.memoryBytes }
        return PlanResult(
            host: host, kernel: kernel, kernelScheme: kernelScheme,
            configuration: PlanResult.Configuration(
                architecture: Measured(architecture?.name), basePageBytes: basePage,
                memoryBytes: Measured(together ?? memory), pools: pools, ofBytes: Measured(of),
                hugePageBytes: sizes.map(\.bytes), schemes: schemes, backing: backing,
                structPageSizeBytes: structPageSize, tailFrames: "\(tailFrames)"),
            hostMemoryBytes: kernel.memoryBytes,
            forecast: try forecast(together ?? memory ?? kernel.memoryBytes, pools),
            coverLetter: Measured(hasCoverLetter ? try forecast(ByteCount(1 << 40), []) : nil),
            architectures: architecture?.name == "all"
                ? ArchitectureRow.all(schemes: schemes, structPage: structPageSize) : [])
    }
}

/// What `vmemmap plan` worked out.
struct PlanResult: Hashable, Sendable, Codable {
    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The architecture, or all; null: the host's own.
        let architecture: Measured<String>
        /// The base page.
        let basePageBytes: ByteCount
        /// The memory in huge pages; null: as much as the host has.
        let memoryBytes: Measured<ByteCount>
        /// How much of which size; empty: all of it in each size.
        let pools: [PlannedPool]
        /// The memory that these are a part of; null: nobody said.
        let ofBytes: Measured<ByteCount>
        /// The sizes of huge page.
        let hugePageBytes: [ByteCount]
        /// The schemes.
        let schemes: [Scheme]
        /// What an emulation's region would consist of.
        let backing: Backing
        /// sizeof(struct page).
        let structPageSizeBytes: ByteCount
        /// How many frames in a row would serve its tails: a number, or `auto`.
        let tailFrames: String
    }

    /// The host it is for.
    let host: HostBlock
    /// What its kernel offers and uses.
    let kernel: KernelOverview
    /// The scheme that a kernel of its release optimizes by.
    let kernelScheme: Scheme
    /// What was asked for.
    let configuration: Configuration
    /// MemTotal.
    let hostMemoryBytes: ByteCount
    /// The memory asked for.
    let forecast: Forecast
    /// The cover letter's 1 TiB; null unless asked for.
    let coverLetter: Measured<Forecast>
    /// With `--arch all`: each size of huge page of each architecture under each scheme.
    let architectures: [ArchitectureRow]

    /// Whether the memory asked for is this host's.
    var isHostMemory: Bool { configuration.memoryBytes.value == nil }
    /// Whether it is for device DAX, which has nothing to do with HugeTLB's switch and pools.
    var isOfDevices: Bool { configuration.schemes == [.deviceDax] }
    /// Whether it is for another architecture than this host's, as far as its name tells.
    var isElsewhere: Bool { configuration.architecture.value != nil }
    /// The one architecture asked for; nil: the host's own, or all.
    var architecture: Architecture? { configuration.architecture.value.flatMap(Architecture.init(rawValue:)) }
    /// Whether its struct pages are such as no kernel has yet.
    var isOfFutureKernels: Bool { Geometry.plannedStructPageSizes.contains(configuration.structPageSizeBytes) }
}

extension PlanResult: ExportableResult {
    static var command: String { "plan" }

    var tables: [ExportTable] {
        if !architectures.isEmpty { return [ArchitectureRow.table(architectures)] }
        var tables = [forecast.table("forecast", "What optimizing gives back of the memory asked for.")]
        if let letter = coverLetter.value {
            tables.append(letter.table("cover_letter", "What it gives back of the cover letter's 1 TiB."))
        }
        return tables
    }
}
