public import HostMemory

/// What the engine's operations take beside KSM, which looks for equal pages itself, on a copy of the same contents.
public struct KsmResult: Hashable, Sendable, Codable {
    /// Frames that the engine saves.
    public let engineSavedFrames: PageCount
    /// Frames that KSM had saved when the clock was stopped, in the warm-up.
    public let ksmSavedFrames: PageCount
    /// Frames that it was given time to save: as many as the engine, or as equal pages there are. In the head scheme there are fewer,
    /// since a tail page that shows the head's is not equal to it.
    public let targetFrames: PageCount
    /// Optimizing every huge page; KSM: from MADV_MERGEABLE until `targetFrames` are saved, ksmd never sleeping.
    public let optimize: PairedRuns
    /// Restoring every huge page; KSM: MADV_UNMERGEABLE.
    public let restore: PairedRuns
}
