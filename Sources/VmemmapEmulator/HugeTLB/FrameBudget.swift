import HostMemory

/// The frames that are left for those who must have some: page tables of splits, and vmemmap pages that are restored. A
/// pure value.
struct FrameBudget: Hashable, Sendable {
    /// How many there are.
    private(set) var left: PageCount
    /// Whether they are the memory that huge pages come from and go to, too. If not, others have what a huge page
    /// leaves, as soon as the operation is over that has freed it.
    let isShared: Bool

    /// So many frames, none if that is below 0.
    init(_ frames: PageCount, isShared: Bool) {
        left = max(.zero, frames)
        self.isShared = isShared
    }

    /// Takes frames if there are as many.
    mutating func take(_ frames: PageCount) -> Bool {
        if left < frames { return false }
        left -= frames
        return true
    }

    /// Takes frames, and what is missing from those that the same operation has freed.
    mutating func take(_ frames: PageCount, orOf freed: inout PageCount) -> Bool {
        let missing = max(.zero, frames - left)
        if missing > freed { return false }
        freed -= missing
        return take(frames - missing)
    }

    /// Gives frames back.
    mutating func give(_ frames: PageCount) {
        let (sum, overflow) = left.rawValue.addingReportingOverflow(frames.rawValue)
        left = PageCount(overflow ? .max : sum)
    }
}
