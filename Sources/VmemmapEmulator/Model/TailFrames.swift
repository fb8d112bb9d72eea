public import HostMemory

/// How many frames in a row serve a huge page's tails.
///
/// One, the kernel's way, costs a mapping for every tail: neighbours that show the same file offset cannot merge. With
/// R of them each mapping shows R frames, which divides the mappings by R. The head scheme has but one: its tails show
/// the head page.
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

    /// The number, for huge pages of which `figures` tells what each number makes of them.
    ///
    /// - Parameters:
    ///   - most: the most that make sense: all tails.
    ///   - cost: what a mapping costs.
    ///   - limit: mappings that the region may have. Where no number keeps to it, the least net memory decides alone:
    ///     the limit has to be raised, or the plan is refused, whatever the number.
    ///   - figures: what all huge pages take with a number of tail frames: bytes of frames, and mappings.
    func resolved(
        most: Int, cost: MappingCost, limit: MappingCount,
        figures: (Int) -> (frameBytes: ByteCount, mappings: MappingCount)
    ) -> Int {
        switch self {
        case .frames(let count): return max(1, min(count.rawValue, most))
        case .auto:
            var best: (frames: Int, isAllowed: Bool, bytes: ByteCount)?
            for frames in 1...most {
                let (frameBytes, mappings) = figures(frames)
                let bytes = frameBytes + cost.total(mappings)
                let isAllowed = mappings <= limit
                let isBetter = best.map { isAllowed == $0.isAllowed ? bytes < $0.bytes : isAllowed } ?? true
                if isBetter { best = (frames, isAllowed, bytes) }
            }
            return best?.frames ?? 1
        }
    }
}
