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
        /// What the kernel spends on page tables for it: a table for each 2 MiB of vmemmap, which a PMD mapped before;
        /// nothing where base pages did.
        let kernelPageTableBytes: ByteCount
        /// What is left for the kernel's user.
        let kernelNetBytes: ByteCount
        /// What an emulation here would use: the tail frames.
        let tailFrames: PageCount
        /// Mappings of that emulation.
        let mappings: MappingCount
        /// What those cost this host's kernel.
        let mappingOverheadBytes: ByteCount
        /// Whether they are more than vm.max_map_count allows, or where that is hidden what it is taken for.
        let exceedsMapLimit: Bool
        /// Whether the host's kernel optimizes HugeTLB's by this scheme; null where it is not asked about: of another
        /// architecture, and of device DAX.
        let isKernelScheme: Measured<Bool>
        /// What the emulation would save, net of the mappings and the longer run.
        let emulationNetBytes: ByteCount
    }

    /// The memory in huge pages: as much of each size, or that of all pools together.
    let memoryBytes: ByteCount
    /// Its struct pages.
    let structPageBytes: ByteCount
    /// Every scheme with every size of huge page.
    let rows: [Row]

    /// Whether page tables are deducted: not where base pages map the vmemmap in the first place.
    var deductsPageTables: Bool { !rows.contains { $0.freedBytes > .zero && $0.kernelPageTableBytes == .zero } }

    /// What a scheme leaves the kernel's user of all pools together.
    func kernelNetBytes(_ scheme: Scheme) -> ByteCount {
        rows.reduce(.zero) { $1.scheme == scheme ? $0 + $1.kernelNetBytes : $0 }
    }

    /// The forecast for `memory` bytes of huge pages; nil for a size that has none, or is more than 2^60 bytes.
    ///
    /// - Parameters:
    ///   - memory: what is in huge pages.
    ///   - pools: how much of it in which size; empty: all of it in each of `sizes`.
    ///   - architecture: whose kernel it is; nil: of one whose vmemmap PMDs map.
    ///   - basePage: the base page.
    ///   - structPage: sizeof(struct page).
    ///   - sizes: the sizes of huge page.
    ///   - schemes: the schemes.
    ///   - backing: what an emulation's region would consist of.
    ///   - tailFrames: the frames that would serve its tails.
    ///   - cost: what a mapping costs.
    ///   - limit: mappings that an emulation may have.
    ///   - kernelScheme: the one that the host's kernel optimizes by.
    init?(
        memory: ByteCount, pools: [PlannedPool] = [], architecture: Architecture? = .ofHost, basePage: ByteCount,
        structPage: ByteCount = StructPage.size, sizes: [HugePageSize], schemes: [Scheme], backing: Backing,
        tailFrames: TailFrames, cost: MappingCost, limit: MappingCount, kernelScheme: Scheme? = nil
    ) {
        guard memory > .zero, memory <= ByteCount(1 << 60) else { return nil }
        memoryBytes = memory
        let hasPMDs = architecture?.mapsVmemmapByPMDs ?? true
        structPageBytes = structPage * (memory.rawValue / basePage.rawValue)
        rows = schemes.flatMap { scheme in
            PlannedPool.all(pools, orAllOf: memory, in: sizes).compactMap { pool in
                let pages = pool.pages
                guard pages > .zero, let size = HugePageSize(bytes: pool.hugePageBytes),
                    let geometry = Geometry(forecastOf: size, basePageSize: basePage, structPageSize: structPage)
                else { return nil }
                let plan = try? MappingPlan(
                    geometry: geometry, scheme: scheme, backing: backing, hugePages: pages, tailFrames: tailFrames,
                    cost: cost, mappingLimit: limit)
                return plan.map {
                    Row($0, hasPMDs: hasPMDs, cost: cost, limit: limit, kernelScheme: kernelScheme)
                }
            }
        }
        if rows.isEmpty { return nil }
    }
}

extension Forecast.Row {
    init(_ plan: MappingPlan, hasPMDs: Bool, cost: MappingCost, limit: MappingCount, kernelScheme: Scheme?) {
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
        kernelPageTableBytes =
            hasPMDs && freed > .zero ? geometry.basePageSize * ((vmemmap + table - 1) / table) : .zero
        kernelNetBytes = freedBytes - kernelPageTableBytes
        tailFrames = plan.tailFrames
        let mappings = plan.regionMappings(.optimized)
        self.mappings = mappings
        mappingOverheadBytes = plan.overhead(cost)
        exceedsMapLimit = mappings > limit
        isKernelScheme = Measured(plan.scheme.isRemapped ? kernelScheme.map { $0 == plan.scheme } : nil)
        emulationNetBytes = plan.netSaving(cost)
    }
}

extension Forecast {
    /// Its table.
    ///
    /// - Parameter showsEmulation: whether a terminal shows what an emulation would cost, too.
    func table(_ name: String, _ help: String, showsEmulation: Bool = true) -> ExportTable {
        ExportTable(name, help, rows, kernelColumns + (showsEmulation ? emulationColumns : []))
    }

    private var kernelColumns: [ExportColumn<Row>] {
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
            .truth("is_kernel_scheme", "Whether this host's kernel optimizes HugeTLB's by that scheme.") {
                $0.isKernelScheme.value
            }
            .shown("this\nkernel"),
        ]
    }

    private var emulationColumns: [ExportColumn<Row>] {
        [
            .count("tail_frames", "Frames in a row that would serve the tails of an emulation.") {
                $0.tailFrames.rawValue
            }.shown("tail\nframes"),
            .count("mappings", "Mappings of that emulation.") { $0.mappings.rawValue }.shown("emulated:\nmappings"),
            .truth("exceeds_map_limit", "Whether they are more than vm.max_map_count allows.") {
                $0.exceedsMapLimit
            }.shown("too\nmany"),
            .bytes("mapping_overhead", "What those cost this host's kernel.") { $0.mappingOverheadBytes }
                .shown("their\ncost", drop: 1),
            .bytes("emulation_net", "What the emulation would save, net.") { $0.emulationNetBytes }.shown("net"),
        ]
    }
}
