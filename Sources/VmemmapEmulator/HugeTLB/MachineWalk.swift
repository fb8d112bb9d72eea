public import HostMemory

/// A walk over a machine's memory while huge pages come and go: the struct page of a frame that is in a huge page leads
/// to its head, that of any other to itself (``BlockUses``).
struct MachineWalk: Walkable {
    private let machine: EmulatedMachine
    private let view: VmemmapRegion
    let walkedFrames: Int

    init(_ machine: EmulatedMachine) {
        self.machine = machine
        view = machine.smallView
        walkedFrames = view.layout.frames.count
    }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        switch machine.observeHead(of: frame, { view.read($0) }) {
        case .right: seen.reads &+= 1
        case .notObserved: break
        case .wrong(let word, let expected):
            seen.reads &+= 1
            seen.wrong &+= 1
            seen.firstWrong =
                seen.firstWrong ?? Walkers.WrongRead(frame: frame, word: word ?? 0, expectedHead: expected)
        }
    }
}

extension EmulatedMachine {
    /// Visits the struct page of every frame once, in order, as a walker does, and checks where it leads.
    package func visitEveryStructPage() -> Walkers.Tally {
        let walk = MachineWalk(self)
        var seen = Walkers.Tally()
        for frame in 0..<walk.walkedFrames { walk.visit(PageFrameNumber(frame), &seen) }
        return seen
    }
}

extension Walkers {
    /// Starts `count` walkers over a machine's memory, and returns once each of them is reading.
    ///
    /// - Parameters:
    ///   - count: how many threads.
    ///   - machine: what they walk. They keep it alive.
    ///   - seed: the frames they visit follow from it.
    public convenience init(_ count: Int, over machine: EmulatedMachine, seed: UInt64) throws(HostError) {
        try self.init(count, walking: MachineWalk(machine), seed: seed)
    }
}
