public import HostMemory

/// How many frames in a row serve a huge page's tails.
///
/// One, the kernel's way, costs a mapping for every tail: neighbours that show the same file offset cannot merge. A run
/// of R shows R frames with each mapping, and so divides the mappings by R. The head scheme has no
/// run: its tails show the one head page.
public enum TailFrames: Hashable, Sendable, CustomStringConvertible {
    /// So many frames, 1 at least; more than there are tails to serve are as many as there are.
    case frames(PageCount)
    /// The number with the least net memory, frames and mappings together, that the mapping limit allows.
    case auto

    /// The number, or `auto`.
    public var description: String {
        switch self {
        case .frames(let count): "\(count.rawValue)"
        case .auto: "auto"
        }
    }

    /// The run in frames, for huge pages of which `figures` tells what a run makes of them.
    ///
    /// - Parameters:
    ///   - longest: the longest run that makes sense: all tails.
    ///   - cost: what a mapping costs.
    ///   - limit: mappings that the region may have. Where no run keeps to it, the least net memory decides alone: the
    ///     limit has to be raised, or the plan is refused, whatever the run.
    ///   - figures: the frames and mappings of all huge pages with a run, in bytes of frames and a number.
    func resolved(
        longest: Int, cost: MappingCost, limit: MappingCount,
        figures: (Int) -> (frameBytes: ByteCount, mappings: MappingCount)
    ) -> Int {
        switch self {
        case .frames(let count): return max(1, min(count.rawValue, longest))
        case .auto:
            var best: (run: Int, isAllowed: Bool, bytes: ByteCount)?
            for run in 1...longest {
                let (frameBytes, mappings) = figures(run)
                let bytes = frameBytes + cost.total(mappings)
                let isAllowed = mappings <= limit
                let isBetter = best.map { isAllowed == $0.isAllowed ? bytes < $0.bytes : isAllowed } ?? true
                if isBetter { best = (run, isAllowed, bytes) }
            }
            return best?.run ?? 1
        }
    }
}
