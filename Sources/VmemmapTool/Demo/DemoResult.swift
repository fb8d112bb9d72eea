import HostMemory
import VmemmapEmulator

/// What a demo found.
struct DemoResult: Hashable, Sendable, Codable {
    /// What it was asked to do.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
        /// Threads that read.
        let walkers: Int
        /// How long huge pages are optimized and restored under them, at least.
        let raceNanoseconds: Int
        /// What the walkers' frames follow from.
        let seed: UInt64
    }

    /// Everything optimized and restored, again and again, under walkers.
    struct UnderWalkers: Hashable, Sendable, Codable {
        /// Cycles of optimizing and restoring everything.
        let cycles: Int
        /// Those of them after which mappings were more than planned, or shared frames were left.
        let cyclesNotBack: Int
        /// Reads of the walkers, each checked.
        let reads: Int
        /// Reads that gave any other head than the right one.
        let wrongReads: Int
        /// How long it took.
        let durationNanoseconds: Int
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// What was expected.
    let plan: PlanBlock
    /// How frames were told apart.
    let countingMethod: FrameCount.Method
    /// A huge page, populated.
    let before: FramePicture
    /// The same huge page, optimized and read.
    let after: FramePicture
    /// The figures of each step.
    let steps: [StepResult]
    /// Memory over time, up to the end of the last step. Null unless it was asked for: JSON alone does not.
    let timeline: Measured<MemoryTimeline>
    /// Optimizing and restoring under walkers.
    let race: UnderWalkers
    /// What was checked.
    let checks: [Check]

    /// The flags written for page-types. Null where none were asked for.
    let pageFlags: Measured<PageFlagsTally>

    /// The figures of a step.
    func figures(_ step: Step) -> MemoryFigures? { steps.first { $0.step == step }?.figures }
}

extension DemoResult: ExportableResult {
    static var command: String { "demo" }
    var tables: [ExportTable] { [stepTable, raceTable] }

    var stepTable: ExportTable {
        ExportTable(
            "step", "The memory figures after each step.", steps,
            [
                .label("step", "The step.") { $0.step.rawValue }.shown(""),
                .nanoseconds("duration", "What the step took, measuring not included.") { $0.durationNanoseconds.value }
                    .shown("time"),
            ] + ExportColumn.figures(\.figures))
    }

    private var raceTable: ExportTable {
        ExportTable(
            "race", "Optimizing and restoring under walkers.", [race],
            [
                .count("cycles", "Cycles of optimizing and restoring everything.") { $0.cycles }.varying(),
                .count("cycles_not_back", "Cycles after which mappings or shared frames were left.") {
                    $0.cyclesNotBack
                },
                .count("reads", "Reads of compound_head, each checked.") { $0.reads }.varying(),
                .count("wrong_reads", "Reads that gave another head than the right one.") { $0.wrongReads },
                .nanoseconds("duration", "How long it took.") { $0.durationNanoseconds },
            ])
    }
}
