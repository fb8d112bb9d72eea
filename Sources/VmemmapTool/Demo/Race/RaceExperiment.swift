import HostMemory
import VmemmapEmulator

/// Hocko's question, put to the host: does a pfn walker notice that the vmemmap is remapped under it?
///
/// A wrong way and the right one are run in pairs on the same huge pages under walkers, which count what goes wrong of
/// each (``RaceKind``).
struct RaceExperiment: Sendable {
    /// The huge pages.
    var memory: EmulatedMemory
    /// What is raced.
    var kind: RaceKind
    /// Threads that read.
    var walkers: Int
    /// How long each way is run, in all and at least.
    var nanosecondsEach: Int
    /// What the walkers' frames follow from.
    var seed: UInt64

    /// Short enough that a change of the host's load weighs on both ways.
    private static let stretchNanoseconds = 250_000_000

    /// A race over `memory`.
    init(
        _ memory: EmulatedMemory, _ kind: RaceKind = .restore, walkers: Int, nanosecondsEach: Int, seed: UInt64 = 1
    ) {
        self.memory = memory
        self.kind = kind
        self.walkers = walkers
        self.nanosecondsEach = nanosecondsEach
        self.seed = seed
    }

    /// Runs it. Takes about twice ``nanosecondsEach``.
    ///
    /// - Parameter progress: is told how far it is, between two stretches.
    /// - Throws: ``ExperimentError`` when the host lacks something or refuses. Wrong reads are a result, not an error.
    func run(progress: ProgressSink = { _ in }) throws(ExperimentError) -> RaceResult {
        let host = try HostBlock.current()
        let plan = try memory.planOnThisHost()
        return try ExperimentError.wrapping {
            let region = try VmemmapRegion(plan)
            let ways = try RaceWays(kind, region)
            var sides = kind.ways.map { RaceResult.Side(way: $0) }
            var seeds = SplitMix64(seed: seed)
            while sides.contains(where: { $0.durationNanoseconds < nanosecondsEach || $0.pairs == 0 }) {
                for index in sides.indices {
                    try run(&sides[index], ways, seed: seeds.next())
                    let elapsed = sides.reduce(0) { $0 + min($1.durationNanoseconds, nanosecondsEach) }
                    progress(.time("race", nanoseconds: elapsed, of: sides.count * nanosecondsEach))
                }
            }
            return RaceResult(
                host: host,
                configuration: RaceResult.Configuration(
                    memory: MemoryBlock(memory), kind: kind, walkers: walkers, nanosecondsEach: nanosecondsEach,
                    seed: seed),
                plan: PlanBlock(plan, cost: host.mappingCost), sides: sides)
        }
    }

    /// Optimizes and restores some of the huge pages after others, one way, under walkers of its own.
    private func run(_ side: inout RaceResult.Side, _ ways: RaceWays, seed: UInt64) throws {
        let length = min(Self.stretchNanoseconds, max(1, nanosecondsEach))
        let walking = try ways.walkers(walkers, side.way, seed: seed)
        defer { _ = walking.stop() }
        let start = HostKernel.monotonicNanoseconds()
        repeat { side.cycles += try ways.cycleNext(side.way) } while HostKernel.monotonicNanoseconds() - start < length
        let seen = walking.stop()
        side.durationNanoseconds += HostKernel.monotonicNanoseconds() - start
        side.pairs += 1
        side.pairsWithWrongReads += seen.wrong > 0 ? 1 : 0
        side.reads += seen.reads
        side.wrongReads += seen.wrong
        side.faults += seen.removed + seen.refused
        side.references += seen.references
        side.holdUps += seen.heldUp
        if side.wrongRead.value == nil {
            side.wrongRead = Measured(
                seen.firstWrong.map { RaceResult.WrongRead(frame: $0.frame.rawValue, word: $0.word) })
        }
    }
}
