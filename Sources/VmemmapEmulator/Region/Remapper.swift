import HostMemory

/// What became of a batch of neighbouring huge pages.
struct BatchResult {
    /// How many of them, from the first on, have reached the new state. The others are as they were, or marked as torn.
    var completed: Int
    /// Why the rest has not.
    var failure: HostError?
}

/// The operations on neighbouring huge pages, as a backing carries them out. Their states belong to ``HugePageStates``:
/// a remapper tells it what is torn and what is stale; what a batch has completed, the caller enters.
///
/// The caller holds the huge pages.
protocol Remapper: Sendable {
    /// Makes the plan's replacements, in blocks that are split. A huge page at which the host refuses is put back, or
    /// noted as torn; those before it are complete, those after it untouched.
    func optimize(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult

    /// Gives every replaced page its own frame again, in one step for every reader. A huge page at which the host
    /// refuses stays optimized, or is noted as torn; those before it are restored, those after it untouched.
    func restore(_ batch: Range<HugePageIndex>, _ writers: Writers) -> BatchResult

    /// Makes a torn huge page whole, or notes what is torn of it now.
    func mend(_ torn: TornHugePage) throws(HostError)
}
