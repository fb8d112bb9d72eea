import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory.
struct SavingsResult: Hashable, Sendable, Codable {
    /// What is not saved: frames and page tables of the region without the scheme.
    struct Reference {
        let frames: PageCount
        let pageTables: ByteCount

        /// As measured when it was populated; a region built optimized never was, and is held against the plan, its
        /// page tables against none.
        init(_ plan: MappingPlan, _ populated: MemoryFigures?, _ baseline: MemoryFigures) {
            frames = populated.map { $0.distinctFrames.value ?? .zero } ?? plan.hostFrames(plan.framesPopulated)
            pageTables = (populated ?? baseline).pageTableBytes
        }
    }

    /// A step and what is saved after it, against the populated region.
    struct Row: Hashable, Sendable, Codable {
        /// The step.
        let step: Step
        /// How long it took, measuring not included.
        var durationNanoseconds: Int
        /// Frames behind the region that the plan makes one expect.
        private(set) var expectedFrames: PageCount
        /// What the memory file must occupy. What it has beyond that is not given back, mapped or not.
        private(set) var expectedMemfdBytes: ByteCount
        /// Frames given back, templates not counted as in use, and less what the memory file has too many.
        private(set) var grossSavingBytes: ByteCount
        /// What the mappings cost that the region has more than one.
        private(set) var mappingOverheadBytes: ByteCount
        /// What the page tables have grown by since populated; built optimized, since before there was a region.
        private(set) var pageTableOverheadBytes: ByteCount
        /// Template frames that all huge pages of a zone share.
        private(set) var templateOverheadBytes: ByteCount
        /// Every figure of the step.
        private(set) var figures: MemoryFigures

        /// Different frames behind the region.
        var distinctFrames: PageCount { figures.distinctFrames.value ?? .zero }
        /// What is left of the saving.
        var netSavingBytes: ByteCount {
            grossSavingBytes - mappingOverheadBytes - pageTableOverheadBytes - templateOverheadBytes
        }

        init(
            _ step: Step, _ nanoseconds: Int, _ figures: MemoryFigures, _ reference: Reference, _ plan: MappingPlan,
            _ cost: MappingCost
        ) {
            let isOptimized = step == .optimized || step == .touched
            let pageSize = plan.geometry.basePageSize
            let templates = plan.hostFrames(isOptimized ? plan.templates : .zero)
            let given = reference.frames - ((figures.distinctFrames.value ?? .zero) - templates)
            let file = plan.fileFrames(optimized: isOptimized ? plan.hugePages : .zero).bytes(pageSize: pageSize)
            let held = max(.zero, (figures.memfdBytes.value ?? file) - file)
            self.step = step
            self.figures = figures
            durationNanoseconds = nanoseconds
            expectedFrames = plan.hostFrames(isOptimized ? plan.framesOptimized : plan.framesPopulated)
            expectedMemfdBytes = file
            grossSavingBytes = given.bytes(pageSize: HostLimits.pageSize) - held
            mappingOverheadBytes = cost.total((figures.regionMappings.value ?? MappingCount(1)) - MappingCount(1))
            pageTableOverheadBytes = figures.pageTableBytes - reference.pageTables
            templateOverheadBytes = templates.bytes(pageSize: HostLimits.pageSize)
        }
    }

    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
        /// Into how many emulated nodes they are divided: a number, or `auto`; null: into none.
        var nodes = Measured<String>.notMeasured
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// What was expected.
    let plan: PlanBlock
    /// How frames were told apart; null where nothing was run.
    let countingMethod: Measured<FrameCount.Method>
    /// Before there was a region; null where nothing was run.
    let baseline: Measured<MemoryFigures>
    /// The steps; none where nothing was run.
    let rows: [Row]
    /// The most memory that building took: the growth of VmHWM and the memory file together, an upper bound. Null
    /// unless the region was built optimized.
    let peakBytes: Measured<ByteCount>
    /// Wrong reads of the walker that visited every struct page; null where nothing was run.
    let wrongReads: Measured<Int>
    /// What was checked; nothing where nothing was run.
    let checks: [Check]
    /// Memory over time. Null unless it was asked for: JSON alone does not; and of several processes.
    let timeline: Measured<MemoryTimeline>
    /// The emulated nodes that the other figures are the sum of; none where one process, this one, did it all.
    let nodes: [Node]

    init(
        host: HostBlock, memory: EmulatedMemory, plan: PlanBlock, countingMethod: FrameCount.Method? = nil,
        baseline: MemoryFigures? = nil, rows: [Row] = [], peak: ByteCount? = nil, reads: Walkers.Tally? = nil,
        store: TailStore? = nil, timeline: Measured<MemoryTimeline> = .notMeasured
    ) {
        self.host = host
        self.plan = plan
        configuration = Configuration(memory: MemoryBlock(memory))
        self.baseline = Measured(baseline)
        self.peakBytes = Measured(peak)
        self.countingMethod = Measured(countingMethod)
        self.rows = rows
        wrongReads = Measured(reads?.wrong)
        checks = rows.isEmpty ? [] : Self.checks(plan, rows, reads) + (store.map { [$0.check] } ?? [])
        self.timeline = timeline
        nodes = []
    }

    /// How the region was built.
    var construction: Construction { configuration.memory.construction }

    private static func checks(_ plan: PlanBlock, _ rows: [Row], _ reads: Walkers.Tally?) -> [Check] {
        var checks = [
            Check(
                "frames", "the region has the frames of the plan after every step",
                rows.map {
                    .equal(
                        "distinct_frames_\($0.step.rawValue)", $0.expectedFrames.rawValue, $0.distinctFrames.rawValue)
                }, method: "/proc/self/pagemap and maps"),
            Check(
                "memory_file", "the memory file holds what the plan says after every step",
                rows.map {
                    .equal(
                        "memfd_\($0.step.rawValue)_bytes", $0.expectedMemfdBytes.rawValue,
                        $0.figures.memfdBytes.value?.rawValue)
                }, method: "fstat st_blocks: what it holds beyond that is not given back, mapped or not"),
            Check(
                "reads", "a walker over every struct page reads the right compound_head",
                [.equal("wrong_reads", 0, reads?.wrong), .some("reads", reads?.reads)],
                method: "compound_head of every struct page beside the geometry"),
        ]
        // A part of a huge page that is replaced frees nothing until that is split. In a memory file its size tells.
        if plan.mapping == .pmd, plan.backing == .anonymous, let row = rows.first(where: { $0.step == .optimized }) {
            checks.append(
                Check(
                    "huge_pages_split", "huge pages that the region was built of are split while it is optimized",
                    [.equal("pages_in_huge_folios", 0, row.figures.pagesInHugeFolios.value?.rawValue)],
                    method: "KPF_THP of /proc/kpageflags, which is shown to root"))
        }
        return checks
    }
}

extension SavingsResult.Row: Addable {
    /// The same step of two nodes, which take it at the same time.
    static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.durationNanoseconds = max(left.durationNanoseconds, right.durationNanoseconds)
        sum.expectedFrames += right.expectedFrames
        sum.expectedMemfdBytes += right.expectedMemfdBytes
        sum.grossSavingBytes += right.grossSavingBytes
        sum.mappingOverheadBytes += right.mappingOverheadBytes
        sum.pageTableOverheadBytes += right.pageTableOverheadBytes
        sum.templateOverheadBytes += right.templateOverheadBytes
        sum.figures = left.figures + right.figures
        return sum
    }
}

extension SavingsResult.Row {
    private enum Computed: CodingKey {
        case distinctFrames, netSavingBytes
    }

    /// Writes what it stores, and beside that what it computes.
    func encode(to encoder: any Encoder) throws {
        var stored = encoder.container(keyedBy: CodingKeys.self)
        try stored.encode(step, forKey: .step)
        try stored.encode(durationNanoseconds, forKey: .durationNanoseconds)
        try stored.encode(expectedFrames, forKey: .expectedFrames)
        try stored.encode(expectedMemfdBytes, forKey: .expectedMemfdBytes)
        try stored.encode(grossSavingBytes, forKey: .grossSavingBytes)
        try stored.encode(mappingOverheadBytes, forKey: .mappingOverheadBytes)
        try stored.encode(pageTableOverheadBytes, forKey: .pageTableOverheadBytes)
        try stored.encode(templateOverheadBytes, forKey: .templateOverheadBytes)
        try stored.encode(figures, forKey: .figures)
        var computed = encoder.container(keyedBy: Computed.self)
        try computed.encode(distinctFrames, forKey: .distinctFrames)
        try computed.encode(netSavingBytes, forKey: .netSavingBytes)
    }
}

extension SavingsResult: ExportableResult {
    static var command: String { "savings" }
    var notes: [String] { plan.scheme.isRemapped || rows.isEmpty ? [] : TailStore.notes }
    var tables: [ExportTable] {
        [stepTable, PlanBlock.table([plan])] + (nodes.isEmpty || rows.isEmpty ? [] : [nodeTable()])
    }

    var stepTable: ExportTable {
        ExportTable(
            "step", "What is saved after each step, against the populated region.", rows,
            [.label("step", "The step.") { $0.step.rawValue }.shown("")]
                + ExportColumn.savings(\.self, showsPSS: !nodes.isEmpty))
    }
}

extension ExportColumn {
    /// What is saved after a step.
    ///
    /// - Parameter showsPSS: whether a terminal shows PSS, too: of several processes that is what they take together.
    static func savings(_ row: @escaping (Item) -> SavingsResult.Row, showsPSS: Bool) -> [Self] {
        let shown: Set<String> = showsPSS ? ["pss", "distinct_frames"] : ["distinct_frames"]
        return [
            .nanoseconds("duration", "What the step took, measuring not included.") { row($0).durationNanoseconds }
                .shown("time"),
            .count("expected_frames", "Frames behind the region by the plan.") { row($0).expectedFrames.rawValue }
                .shown("planned", drop: 1),
            .bytes("expected_memfd", "What the memory file must occupy.") { row($0).expectedMemfdBytes },
            .bytes("gross_saving", "Frames given back, mapped no more and not held by the memory file.") {
                row($0).grossSavingBytes
            }.shown("gross"),
            .bytes("mapping_overhead", "What the region's mappings cost the kernel, but for one.") {
                row($0).mappingOverheadBytes
            }.shown("mappings"),
            .bytes("page_table_overhead", "What the page tables have grown by.") { row($0).pageTableOverheadBytes }
                .shown("page\ntables").varying(),
            .bytes("template_overhead", "Template frames.") { row($0).templateOverheadBytes }.shown("tem-\nplates"),
            .bytes("net_saving", "The saving less all overhead.") { row($0).netSavingBytes }.shown("net")
                .varying(),
        ] + ExportColumn.figures(shown: shown) { row($0).figures }
    }
}
