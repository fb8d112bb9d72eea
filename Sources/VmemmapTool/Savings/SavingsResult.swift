import HostMemory
import VmemmapEmulator

/// The saving for an amount of emulated HugeTLB memory.
struct SavingsResult: Hashable, Sendable, Codable {
    /// What is not saved: frames and page tables of the region without the scheme.
    struct Reference {
        let frames: PageCount
        let pageTables: ByteCount

        /// As measured when it was populated; a region built optimized never was, and is held against the plan, its page tables
        /// against none.
        init(_ plan: MappingPlan, _ populated: MemoryFigures?, _ baseline: MemoryFigures) {
            frames = populated.map { $0.distinctFrames.value ?? .zero } ?? plan.framesPopulated
            pageTables = (populated ?? baseline).pageTableBytes
        }
    }

    /// A step and what is saved after it, against the populated region.
    struct Row: Hashable, Sendable, Codable {
        /// The step.
        let step: Step
        /// How long it took, measuring not included.
        let durationNanoseconds: Int
        /// Different frames behind the region.
        let distinctFrames: PageCount
        /// Those that the plan makes one expect.
        let expectedFrames: PageCount
        /// What the memory file must occupy. What it has beyond that is not given back, mapped or not.
        let expectedMemfdBytes: ByteCount
        /// Frames given back, templates not counted as in use, and less what the memory file has too many.
        let grossSavingBytes: ByteCount
        /// What the mappings cost that the region has more than one.
        let mappingBytes: ByteCount
        /// What the page tables have grown by since populated; built optimized, since before there was a region.
        let pageTableBytes: ByteCount
        /// Template frames that all huge pages of a zone share.
        let templateBytes: ByteCount
        /// What is left of the saving.
        let netSavingBytes: ByteCount
        /// Every figure of the step.
        let figures: MemoryFigures

        init(
            _ step: Step, _ nanoseconds: Int, _ figures: MemoryFigures, _ reference: Reference, _ plan: MappingPlan,
            _ cost: MappingCost
        ) {
            let isOptimized = step == .optimized || step == .touched
            let pageSize = plan.geometry.basePageSize
            let distinct = figures.distinctFrames.value ?? .zero
            let templates = isOptimized ? plan.templates : .zero
            let given = reference.frames - (distinct - templates)
            let file = plan.fileFrames(optimized: isOptimized ? plan.hugePages : .zero).bytes(pageSize: pageSize)
            let held = max(.zero, (figures.memfdBytes.value ?? file) - file)
            self.step = step
            self.figures = figures
            durationNanoseconds = nanoseconds
            distinctFrames = distinct
            expectedFrames = isOptimized ? plan.framesOptimized : plan.framesPopulated
            expectedMemfdBytes = file
            grossSavingBytes = given.bytes(pageSize: pageSize) - held
            mappingBytes = cost.total((figures.regionMappings.value ?? MappingCount(1)) - MappingCount(1))
            pageTableBytes = figures.pageTableBytes - reference.pageTables
            templateBytes = templates.bytes(pageSize: pageSize)
            netSavingBytes = grossSavingBytes - mappingBytes - pageTableBytes - templateBytes
        }

        /// Whether as many frames are mapped as planned, and the memory file holds no more and no less than planned; nil where the file
        /// could not be asked.
        var hasPlannedFrames: Bool? {
            if distinctFrames != expectedFrames { return false }
            return figures.memfdBytes.value.map { $0 == expectedMemfdBytes }
        }
    }

    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
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
    /// The most memory that building took: the growth of VmHWM and the memory file together, an upper bound. Null unless the
    /// region was built optimized.
    let peakBytes: Measured<ByteCount>
    /// Wrong reads of the walker that visited every struct page; null where nothing was run.
    let wrongReads: Measured<Int>
    /// Memory over time. Null unless it was asked for: JSON alone does not.
    let timeline: Measured<MemoryTimeline>

    init(
        host: HostBlock, memory: EmulatedMemory, plan: PlanBlock, countingMethod: FrameCount.Method? = nil,
        baseline: MemoryFigures? = nil, rows: [Row] = [], peak: ByteCount? = nil, wrongReads: Int? = nil,
        timeline: Measured<MemoryTimeline> = .notMeasured
    ) {
        self.host = host
        self.plan = plan
        configuration = Configuration(memory: MemoryBlock(memory))
        self.baseline = Measured(baseline)
        self.peakBytes = Measured(peak)
        self.countingMethod = Measured(countingMethod)
        self.rows = rows
        self.wrongReads = Measured(wrongReads)
        self.timeline = timeline
    }

    /// How the region was built.
    var construction: Construction { configuration.memory.construction }

    /// Whether no step has other frames than were planned, mapped or held by the memory file, what optimizing replaced in huge pages
    /// was given back, and no read was wrong.
    var holds: Bool {
        rows.allSatisfy { $0.hasPlannedFrames != false } && splitsHugePages != false && wrongReads.value ?? 0 == 0
    }

    /// Whether all of that could be measured.
    var isComplete: Bool {
        rows.allSatisfy { $0.hasPlannedFrames != nil } && splitsHugePages != nil && wrongReads.value != nil
    }

    /// Whether the huge pages that the region was built of are split while it is optimized: a part of one that is replaced frees nothing
    /// until then. Nil where that is not shown (``MemoryFigures/pagesInHugeFolios``). In a memory file its size tells.
    var splitsHugePages: Bool? {
        guard plan.mapping == .pmd, plan.backing == .anonymous else { return true }
        guard let row = rows.first(where: { $0.step == .optimized }) else { return true }
        return row.figures.pagesInHugeFolios.value.map { $0 == .zero }
    }
}
