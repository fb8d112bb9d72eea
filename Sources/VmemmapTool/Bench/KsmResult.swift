import HostMemory

/// What the engine's operations take beside KSM, which looks for equal pages itself, on a copy of the same contents.
struct KsmResult: Hashable, Sendable, Codable {
    /// Frames that the engine saves.
    let engineSavedFrames: PageCount
    /// Frames that KSM had saved when the clock was stopped, in the warm-up.
    let ksmSavedFrames: PageCount
    /// Frames that it was given time to save: as many as the engine, or as equal pages there are. In the head scheme
    /// there are fewer, since a tail page that shows the head's is not equal to it.
    let targetFrames: PageCount
    /// Optimizing every huge page; KSM: from MADV_MERGEABLE until `targetFrames` are saved, ksmd never sleeping.
    let optimize: PairedRuns
    /// Restoring every huge page; KSM: MADV_UNMERGEABLE.
    let restore: PairedRuns
}
