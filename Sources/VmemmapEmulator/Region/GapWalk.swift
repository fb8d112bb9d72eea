package import HostMemory

/// A walk that survives a gap in the region, and counts the reads that fell into one.
struct GapWalk: Walkable {
    let region: VmemmapRegion

    var walkedFrames: Int { region.layout.frames.count }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        guard let (head, word) = region.readSurvivingGaps(region.layout.structPage(of: frame)) else {
            seen.reads &+= 1
            seen.removed &+= 1
            return
        }
        seen.note(head, word, of: frame, expected: region.layout.head(of: frame))
    }
}

extension Walkers {
    /// Starts walkers that survive gaps in the region.
    package convenience init(
        _ count: Int, survivingGapsIn region: VmemmapRegion, seed: UInt64
    ) throws(HostError) {
        try self.init(count, walking: GapWalk(region: region), seed: seed)
    }
}
