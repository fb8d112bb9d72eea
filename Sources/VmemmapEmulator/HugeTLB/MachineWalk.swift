public import HostMemory

/// A walk over a machine's memory while huge pages come and go: the struct page of each frame leads to the frame itself, or to the head
/// that it has in a huge page of one of the sizes. Which of them, changes under the walkers; anything else is wrong.
struct MachineWalk: Walkable {
    private let machine: EmulatedMachine
    private let view: VmemmapRegion
    /// Base pages of a huge page, of each size.
    private let spans: [Int]
    let walkedFrames: Int

    init(_ machine: EmulatedMachine, _ view: VmemmapRegion) {
        self.machine = machine
        self.view = view
        spans = EmulatedMachine.sizes.map { $0.bytes.rawValue / view.layout.geometry.basePageSize.rawValue }
        walkedFrames = view.layout.frames.count
    }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        let address = view.layout.structPage(of: frame)
        let (head, word) = view.read(address)
        seen.reads &+= 1
        if head == address { return }
        for span in spans where head == view.layout.structPage(of: PageFrameNumber(frame.rawValue / span * span)) {
            return
        }
        seen.wrong &+= 1
        seen.firstWrong =
            seen.firstWrong
            ?? Walkers.WrongRead(frame: frame, word: word, expectedHead: view.layout.head(of: frame))
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
        try self.init(count, walking: MachineWalk(machine, machine.smallView), seed: seed)
    }
}
