package import HostMemory
import Synchronization
import SystemPackage

/// Threads that walk random pfns: the readers who must never notice anything.
///
/// Each takes a random frame, finds its struct page by arithmetic, loads `compound_head` with acquire order, follows
/// it as the scheme says, and compares the head with what the geometry alone says. That is all of `compound_head()`'s
/// readers in the kernel: page_idle, kpageflags, compaction, memory failure (Hocko's question in the thread).
/// ``VmemmapRegion/walk(_:seed:while:)`` starts and stops them.
public final class Walkers: Sendable {
    /// What walkers have seen.
    public struct Tally: Hashable, Sendable {
        /// Checked reads.
        public var reads = 0
        /// Reads that gave any other head than the right one.
        public var wrong = 0
        /// Reads that faulted, because the memory had been taken away since the walker had found it.
        package var removed = 0
        /// Times that a walker was held up between its check and its add.
        package var heldUp = 0
        /// References taken and given back.
        package var references = 0
        /// Those of them that went to what had become another folio's meanwhile.
        package var lateReferences = 0
        /// Stores that met a page which is mapped read-only.
        package var refused = 0
        /// One of the wrong reads.
        package var firstWrong: WrongRead?

        /// Nothing seen.
        public init() {}

        /// Takes in a read of a frame's compound_head, which led to `head`.
        @inline(__always)
        mutating func note(_ head: Address, _ word: UInt64, of frame: PageFrameNumber, expected: Address) {
            reads &+= 1
            if head != expected { noteWrong(word, of: frame, expected: expected) }
        }

        /// Takes in that a read gave another head than the right one.
        @inline(__always)
        mutating func noteWrong(_ word: UInt64, of frame: PageFrameNumber, expected: Address) {
            wrong &+= 1
            firstWrong = firstWrong ?? WrongRead(frame: frame, word: word, expectedHead: expected)
        }

        /// Takes in what another walker has seen.
        package static func += (sum: inout Tally, seen: Tally) {
            sum.reads += seen.reads
            sum.wrong += seen.wrong
            sum.removed += seen.removed
            sum.heldUp += seen.heldUp
            sum.references += seen.references
            sum.lateReferences += seen.lateReferences
            sum.refused += seen.refused
            sum.firstWrong = sum.firstWrong ?? seen.firstWrong
        }
    }

    /// A read that gave the wrong head.
    package struct WrongRead: Hashable, Sendable {
        /// The frame whose struct page was read.
        package let frame: PageFrameNumber
        /// The word in its compound_head.
        package let word: UInt64
        /// The head it should lead to.
        package let expectedHead: Address
    }

    private let walk: Walk
    private let threads: [HostThread]

    /// Starts `count` walkers over a region, and returns once each of them is reading.
    ///
    /// - Parameters:
    ///   - count: how many threads.
    ///   - region: what they walk. They keep it alive.
    ///   - seed: the frames they visit follow from it.
    /// - Throws: `HostError` when the host refuses a thread, and for a count below 0 (EINVAL); those already started
    ///   are stopped.
    package convenience init(_ count: Int, over region: VmemmapRegion, seed: UInt64) throws(HostError) {
        try self.init(count, walking: region, seed: seed)
    }

    /// Starts `count` walkers over something that can be walked.
    init(_ count: Int, walking walked: some Walkable, seed: UInt64) throws(HostError) {
        guard count >= 0 else { throw HostError(.invalidArgument, .startThread, .process) }
        let walk = Walk()
        var threads: [HostThread] = []
        // Each walker's seed is drawn: seeds a fixed distance apart would give one sequence, shifted.
        var seeds = SplitMix64(seed: seed)
        for _ in 0..<count {
            let walkerSeed = seeds.next()
            do throws(HostError) {
                threads.append(try HostThread { walk.run(SplitMix64(seed: walkerSeed), over: walked) })
            } catch {
                walk.shouldStop.store(true, ordering: .releasing)
                for thread in threads { thread.join() }
                throw error
            }
        }
        self.walk = walk
        self.threads = threads
        // On a busy host a thread may wait for its first turn longer than an experiment lasts.
        var waited = 0
        while walk.reading.load(ordering: .acquiring) < count { HugePageStates.backOff(&waited) }
    }

    // They hold the region, and each has a stack.
    deinit { _ = stop() }

    /// Lets them read while `body` runs, and stops them. Returns what they have seen.
    func read(while body: () throws -> Void) throws -> Tally {
        defer { _ = stop() }
        try body()
        return stop()
    }

    /// Stops the walkers, waits for them, whoever else does, and returns what they have seen in all. Walkers that
    /// nobody holds any more are stopped too.
    package func stop() -> Tally {
        walk.shouldStop.store(true, ordering: .releasing)
        for thread in threads { thread.join() }
        return walk.tally.withLock { $0 }
    }
}

/// What walkers can walk: frames, each of which has a struct page at any time.
protocol Walkable: Sendable {
    /// How many frames, from 0 on.
    var walkedFrames: Int { get }

    /// Visits between two looks at whether to stop: long enough not to weigh, short enough to stop at once.
    var visitsInARow: Int { get }

    /// Follows a frame's compound_head and checks where it leads.
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally)
}

extension Walkable {
    var visitsInARow: Int { 1024 }
}

/// What the threads of a group of walkers share. They hold it, not the group.
private final class Walk: Sendable {
    let shouldStop = Atomic(false)
    /// Walkers that have read their first stretch.
    let reading = Atomic(0)
    let tally = Guarded(Walkers.Tally())

    func run(_ generator: SplitMix64, over walked: some Walkable) {
        var generator = generator
        var seen = Walkers.Tally()
        let stretch = walked.visitsInARow
        let frames = UInt64(walked.walkedFrames)
        var isFirst = true
        while isFirst || !shouldStop.load(ordering: .acquiring) {
            for _ in 0..<stretch {
                // The high half of a full product is uniform to within 2^-44 and costs no division.
                let random = generator.next().multipliedFullWidth(by: frames).high
                walked.visit(PageFrameNumber(Int(truncatingIfNeeded: random)), &seen)
            }
            if isFirst { reading.add(1, ordering: .releasing) }
            isFirst = false
        }
        tally.withLock { $0 += seen }
    }
}

extension VmemmapRegion: Walkable {
    var walkedFrames: Int { layout.frames.count }

    /// Visits the struct page of every frame once, in order, and checks its compound_head. Faults every mapping in.
    public func visitEveryStructPage() -> Walkers.Tally {
        visitStructPages(of: layout.allHugePages)
    }

    /// Visits the struct page of every frame of some huge pages once, in order, and checks its compound_head. Huge
    /// pages that are not of this region have none.
    public func visitStructPages(of pages: Range<HugePageIndex>) -> Walkers.Tally {
        var seen = Walkers.Tally()
        let (pages, geometry) = (pages.clamped(to: layout.allHugePages), layout.geometry)
        for frame in geometry.headFrame(of: pages.lowerBound)..<geometry.headFrame(of: pages.upperBound) {
            visit(frame, &seen)
        }
        return seen
    }

    /// One visit of a walker: `compound_head(pfn_to_page(frame))` as the scheme has it, checked against the geometry.
    @inline(__always)
    func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
        let address = layout.structPage(of: frame)
        let (head, word) = read(address)
        seen.note(head, word, of: frame, expected: layout.head(of: frame))
    }
}

/// A small generator with a seed, for sequences that can be run again (Steele, Lea, Flood 2014).
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The sequence that belongs to `seed`.
    package init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
