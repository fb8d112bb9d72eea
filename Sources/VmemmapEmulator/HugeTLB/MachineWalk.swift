package import HostMemory

/// A walk over a machine's memory while huge pages come and go: the struct page of a frame that is in a huge page leads
/// to its head, that of any other to itself (``BlockUses``).
struct MachineWalk: Walkable {
    private let machine: EmulatedMachine
    private let view: VmemmapRegion
    private let pauseNanoseconds: Int
    /// Whether memory can be taken away under the walkers.
    private let canVanish: Bool
    let walkedFrames: Int

    /// - Parameters:
    ///   - machine: what is walked.
    ///   - pauseNanoseconds: how long a walker sleeps between finding a struct page (`pfn_to_online_page()`) and
    ///     reading it.
    init(_ machine: EmulatedMachine, pauseNanoseconds: Int = 0) {
        self.machine = machine
        self.pauseNanoseconds = pauseNanoseconds
        view = machine.smallView
        canVanish = machine.configuration.pluggable > .zero
        walkedFrames = view.layout.frames.count
    }

    var visitsInARow: Int { pauseNanoseconds > 0 ? 1 : 1024 }

    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        guard canVanish || pauseNanoseconds > 0 else {
            return note(machine.observeHead(of: frame) { view.read($0) }, frame, &seen)
        }
        let section = machine.readers.enter()
        let head = machine.observeHead(of: frame) { address in
            if pauseNanoseconds > 0 { HostKernel.sleep(nanoseconds: pauseNanoseconds) }
            return view.readSurvivingGaps(address)
        }
        machine.readers.leave(section)
        note(head, frame, &seen)
    }

    @inline(__always)
    private func note(_ head: EmulatedMachine.HeadSeen, _ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        switch head {
        case .right: seen.reads &+= 1
        case .notObserved, .absent: break
        case .removed:
            seen.reads &+= 1
            seen.removed &+= 1
        case .wrong(let word, let expected):
            seen.reads &+= 1
            seen.noteWrong(word ?? 0, of: frame, expected: expected)
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

    /// Runs `body` while PFN walkers read struct pages of random frames and check each compound_head.
    ///
    /// - Parameters:
    ///   - walkers: how many threads read.
    ///   - seed: the frames they visit follow from it.
    ///   - body: what happens meanwhile.
    /// - Returns: what the walkers have seen.
    /// - Throws: what `body` throws, after the walkers have ended, and `HostError` when the host refuses a thread.
    public func walk(
        _ walkers: Int = 2, seed: UInt64 = 1, while body: () throws -> Void
    ) throws -> Walkers.Tally {
        try Walkers(walkers, over: self, seed: seed).read(while: body)
    }
}

extension Walkers {
    /// Starts `count` walkers over a machine's memory, and returns once each of them is reading.
    ///
    /// - Parameters:
    ///   - count: how many threads.
    ///   - machine: what they walk. They keep it alive.
    ///   - seed: the frames they visit follow from it.
    ///   - pauseNanoseconds: how long they sleep each time between finding a struct page and reading it.
    package convenience init(
        _ count: Int, over machine: EmulatedMachine, seed: UInt64, pauseNanoseconds: Int = 0
    ) throws(HostError) {
        try self.init(count, walking: MachineWalk(machine, pauseNanoseconds: pauseNanoseconds), seed: seed)
    }
}
