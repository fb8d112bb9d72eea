public import HostMemory
internal import VmemmapEmulator

/// What a demo found.
public struct DemoResult: Hashable, Sendable, Codable {
    /// What it was asked to do.
    public struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        public let memory: MemoryBlock
        /// Threads that read.
        public let walkers: Int
        /// How long huge pages are optimized and restored under them, at least.
        public let raceNanoseconds: Int
        /// What the walkers' frames follow from.
        public let seed: UInt64
    }

    /// Optimizing and restoring under walkers.
    public struct Race: Hashable, Sendable, Codable {
        /// Rounds of optimizing and restoring everything.
        public let cycles: Int
        /// Those of them after which mappings were more than planned, or shared frames were left.
        public let cyclesNotBack: Int
        /// Reads of the walkers, each checked.
        public let reads: Int
        /// Reads that gave any other head than the right one.
        public let wrongReads: Int
        /// How long it took.
        public let durationNanoseconds: Int
    }

    /// Where it was run.
    public let host: HostBlock
    /// What was asked for.
    public let configuration: Configuration
    /// What was expected.
    public let plan: PlanBlock
    /// How frames were told apart.
    public let countingMethod: FrameCount.Method
    /// A huge page, populated.
    public let before: FramePicture
    /// The same huge page, optimized and read.
    public let after: FramePicture
    /// The figures of each step.
    public let steps: [StepResult]
    /// Memory over time, up to the end of the last step. Null unless it was asked for: JSON alone does not.
    public let timeline: Measured<MemoryTimeline>
    /// Optimizing and restoring under walkers.
    public let race: Race
    /// Each claim and whether it holds.
    public let proofs: [Proof]

    /// The flags written for page-types. Null where none were asked for.
    public let pageFlags: Measured<PageFlagsTally>

    /// Whether no claim is false. One that could not be measured is neither.
    public var holds: Bool {
        proofs.map(\.claim) == Proof.Claim.all(plan.base) && !proofs.contains { $0.holds.value == false }
    }

    /// The figures of a step.
    public func figures(_ step: Step) -> MemoryFigures? { steps.first { $0.step == step }?.figures }
}
