import HostMemory
import VmemmapEmulator

/// What optimizing gives back of an amount of memory in huge pages, read off mapping plans: nothing is mapped.
struct Forecast: Hashable, Sendable, Codable {
    /// One scheme with one size of huge page.
    struct Row: Hashable, Sendable, Codable {
        /// How the vmemmap is shared.
        let scheme: Scheme
        /// The huge page.
        let hugePageBytes: ByteCount
        /// How many fit the memory.
        let pages: HugePageCount
        /// What is freed for each, in the kernel (one tail frame, page tables not counted).
        let freedPerPageBytes: ByteCount
        /// What is freed for all of them.
        let freedBytes: ByteCount
        /// What the kernel spends on page tables for it: a table for each 2 MiB of vmemmap, which a PMD mapped before.
        let kernelPageTableBytes: ByteCount
        /// What is left for the kernel's user.
        let kernelNetBytes: ByteCount
        /// What an emulation here would use: the tail frames.
        let tailFrames: PageCount
        /// Mappings of that emulation.
        let mappings: MappingCount
        /// What those cost this host's kernel.
        let mappingOverheadBytes: ByteCount
        /// Whether they are more than vm.max_map_count allows; null where that is hidden.
        let exceedsMapLimit: Measured<Bool>
        /// What the emulation would save, net of the mappings and the longer run.
        let emulationNetBytes: ByteCount
    }

    /// The memory in huge pages.
    let memoryBytes: ByteCount
    /// Its struct pages.
    let structPageBytes: ByteCount
    /// Every scheme with every size of huge page.
    let rows: [Row]

    /// The forecast for `memory` bytes of huge pages; nil for a size that has none, or is more than 2^60 bytes.
    ///
    /// - Parameters:
    ///   - memory: what is in huge pages.
    ///   - basePage: the base page.
    ///   - structPage: sizeof(struct page).
    ///   - sizes: the sizes of huge page.
    ///   - schemes: the schemes.
    ///   - backing: what an emulation's region would consist of.
    ///   - tailFrames: the frames that would serve its tails.
    ///   - cost: what a mapping costs.
    ///   - limit: mappings that an emulation may have; nil: it is not known.
    init?(
        memory: ByteCount, basePage: ByteCount, structPage: ByteCount = StructPage.size, sizes: [HugePageSize],
        schemes: [Scheme], backing: Backing, tailFrames: TailFrames, cost: MappingCost, limit: MappingCount?
    ) {
        guard memory > .zero, memory <= ByteCount(1 << 60) else { return nil }
        memoryBytes = memory
        structPageBytes = structPage * (memory.rawValue / basePage.rawValue)
        rows = schemes.flatMap { scheme in
            sizes.compactMap { size in
                let geometry = Geometry(basePageSize: basePage, hugePageSize: size, structPageSize: structPage)
                guard let geometry else { return nil }
                let pages = HugePageCount(memory.rawValue / size.bytes.rawValue)
                if pages == .zero { return nil }
                let plan = try? MappingPlan(
                    geometry: geometry, scheme: scheme, backing: backing, hugePages: pages, tailFrames: tailFrames,
                    cost: cost, mappingLimit: limit ?? MappingCount(.max))
                return plan.map { Row($0, cost: cost, limit: limit) }
            }
        }
        if rows.isEmpty { return nil }
    }
}

extension Forecast.Row {
    init(_ plan: MappingPlan, cost: MappingCost, limit: MappingCount?) {
        let geometry = plan.geometry
        scheme = plan.scheme
        hugePageBytes = geometry.hugePageSize.bytes
        pages = plan.hugePages
        // As the kernel does it, whatever run an emulation would take.
        let freed = plan.scheme.freedPages(geometry)
        freedPerPageBytes = freed.bytes(pageSize: geometry.basePageSize)
        freedBytes = freedPerPageBytes * plan.hugePages.rawValue
        let vmemmap = geometry.vmemmapBytesPerHugePage.rawValue * plan.hugePages.rawValue
        let table = geometry.basePageSize.rawValue / 8 * geometry.basePageSize.rawValue
        kernelPageTableBytes = freed > .zero ? geometry.basePageSize * ((vmemmap + table - 1) / table) : .zero
        kernelNetBytes = freedBytes - kernelPageTableBytes
        tailFrames = plan.tailFrames
        let mappings = plan.regionMappings(.optimized)
        self.mappings = mappings
        mappingOverheadBytes = plan.overhead(cost)
        exceedsMapLimit = Measured(limit.map { mappings > $0 })
        emulationNetBytes = plan.netSaving(cost)
    }
}

/// `vmemmap plan`: forecasts for this host's memory, or for a given one, and for the cover letter's 1 TiB.
struct PlanExperiment: Sendable {
    /// The memory in huge pages; nil: as much as this host has.
    var memory: ByteCount?
    /// The sizes of huge page.
    var sizes: [HugePageSize]
    /// The schemes.
    var schemes: [Scheme]
    /// What an emulation's region would consist of.
    var backing: Backing
    /// The frames that would serve its tails.
    var tailFrames: TailFrames
    /// sizeof(struct page): one of `Geometry.structPageSizes`.
    var structPageSize: ByteCount = StructPage.size

    /// Works it out. Maps nothing and needs no privileges.
    func run() throws(ExperimentError) -> PlanResult {
        let host = try HostBlock.current()
        let total: ByteCount
        do throws(HostError) { total = try HostLimits.totalMemory() } catch { throw .host(error) }
        func forecast(_ memory: ByteCount) throws(ExperimentError) -> Forecast {
            let forecast = Forecast(
                memory: memory, basePage: host.pageSizeBytes, structPage: structPageSize, sizes: sizes,
                schemes: schemes, backing: backing, tailFrames: tailFrames, cost: host.mappingCost,
                limit: host.maxMapCount.value)
            guard let forecast else {
                throw .notSupported(
                    "\(memory) bytes hold no huge page, or are more than 1 EiB: give --memory from one huge page up"
                )
            }
            return forecast
        }
        return PlanResult(
            host: host,
            configuration: PlanResult.Configuration(
                memoryBytes: Measured(memory), hugePageBytes: sizes.map(\.bytes), schemes: schemes, backing: backing,
                structPageSizeBytes: structPageSize, tailFrames: "\(tailFrames)"),
            hostMemoryBytes: total, forecast: try forecast(memory ?? total),
            coverLetter: try forecast(ByteCount(1 << 40)))
    }
}

/// What `vmemmap plan` worked out.
struct PlanResult: Hashable, Sendable, Codable {
    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The memory in huge pages; null: as much as the host has.
        let memoryBytes: Measured<ByteCount>
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
    /// What was asked for.
    let configuration: Configuration
    /// MemTotal.
    let hostMemoryBytes: ByteCount
    /// The memory asked for.
    let forecast: Forecast
    /// The cover letter's 1 TiB.
    let coverLetter: Forecast

    /// Whether the memory asked for is this host's.
    var isHostMemory: Bool { configuration.memoryBytes.value == nil }
}

extension PlanResult: ExportableResult {
    static var command: String { "plan" }

    var tables: [ExportTable] {
        [
            forecast.table("forecast", "What optimizing gives back of the memory asked for."),
            coverLetter.table("cover_letter", "What it gives back of the cover letter's 1 TiB."),
        ]
    }
}

extension Forecast {
    func table(_ name: String, _ help: String) -> ExportTable {
        ExportTable(
            name, help, rows,
            [
                .label("scheme", "How the vmemmap is shared.") { $0.scheme.rawValue }.shown("scheme"),
                .sizeLabel("huge_page_bytes", "The huge page.") { $0.hugePageBytes }.shown("huge page"),
                .count("pages", "Huge pages that fit the memory.") { $0.pages.rawValue }.shown("huge\npages", drop: 3),
                .bytes("freed_per_page", "What the kernel frees for each.") { $0.freedPerPageBytes }
                    .shown("freed\na page", drop: 4),
                .bytes("freed", "What it frees for all of them.") { $0.freedBytes }.shown("freed"),
                .bytes("kernel_page_table", "What it spends on page tables.") { $0.kernelPageTableBytes }
                    .shown("page\ntables", drop: 2),
                .bytes("kernel_net", "What is left for the kernel's user.") { $0.kernelNetBytes }.shown("kernel:\nnet"),
                .count("tail_frames", "Frames in a row that would serve the tails of an emulation.") {
                    $0.tailFrames.rawValue
                }.shown("tail\nframes"),
                .count("mappings", "Mappings of that emulation.") { $0.mappings.rawValue }.shown("emulated:\nmappings"),
                .truth("exceeds_map_limit", "Whether they are more than vm.max_map_count allows.") {
                    $0.exceedsMapLimit.value
                }.shown("too\nmany"),
                .bytes("mapping_overhead", "What those cost this host's kernel.") { $0.mappingOverheadBytes }
                    .shown("their\ncost", drop: 1),
                .bytes("emulation_net", "What the emulation would save, net.") { $0.emulationNetBytes }.shown("net"),
            ])
    }
}
