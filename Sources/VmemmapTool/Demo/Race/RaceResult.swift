/// What readers saw of two ways to restore.
struct RaceResult: Hashable, Sendable, Codable {
    /// A way to restore.
    enum Way: String, Hashable, Sendable, Codable, CaseIterable {
        /// Map fresh memory in place, then copy into it.
        case naive
        /// The engine's: fill pages off to the side, then put them in place in one step.
        case atomic
    }

    /// What it was asked to do.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
        /// Threads that read.
        let walkers: Int
        /// How long each way is run, in all and at least.
        let nanosecondsEach: Int
        /// What the walkers' frames follow from.
        let seed: UInt64
    }

    /// One way, over all of its pairs.
    struct Side: Hashable, Sendable, Codable {
        /// The way.
        let way: Way
        /// Pairs: stretches of each way, one right after the other.
        var pairs = 0
        /// Pairs with a wrong read of this way.
        var pairsWithWrongReads = 0
        /// Cycles of optimizing and restoring every huge page.
        var cycles = 0
        /// Reads of the walkers, each checked.
        var reads = 0
        /// Reads that gave any other head than the right one.
        var wrongReads = 0
        /// How long it was run.
        var durationNanoseconds = 0
        /// One of the wrong reads; null where there was none.
        var wrongRead: Measured<WrongRead> = .notMeasured
    }

    /// A read that gave the wrong head.
    struct WrongRead: Hashable, Sendable, Codable {
        /// The frame whose struct page was read.
        let frame: Int
        /// The word in its compound_head.
        let word: UInt64
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// What was optimized and restored.
    let plan: PlanBlock
    /// Both ways, the naive one first.
    let sides: [Side]

    /// One way's figures.
    func side(_ way: Way) -> Side { sides.first { $0.way == way } ?? Side(way: way) }

    /// Whether the engine was read, and never wrong. The naive way may be.
    var holds: Bool { side(.atomic).reads > 0 && side(.atomic).cycles > 0 && side(.atomic).wrongReads == 0 }

    /// Wrong reads of the atomic way if it were wrong as often as the naive one; null where that was never wrong.
    var wrongReadsAtTheNaiveRate: Double? {
        let naive = side(.naive)
        guard naive.wrongReads > 0 else { return nil }
        return Double(naive.wrongReads) / Double(naive.reads) * Double(side(.atomic).reads)
    }
}

extension RaceResult: ExportableResult {
    /// The experiment: `vmemmap demo --race`.
    static var command: String { "race" }
    var verdict: Bool? { holds }

    var tables: [ExportTable] {
        [
            ExportTable(
                "side", "What walkers saw of each way to restore.", sides,
                [
                    .label("way", "The way: naive or atomic.") { $0.way.rawValue }.shown("restore"),
                    .count("pairs", "Stretches of each way, one right after the other.") { $0.pairs }.shown("pairs"),
                    .count("pairs_with_wrong_reads", "Those with a wrong read of this way.") { $0.pairsWithWrongReads }
                        .shown("with\nwrong reads"),
                    .count("cycles", "Cycles of optimizing and restoring everything.") { $0.cycles }.shown("cycles"),
                    .count("reads", "Reads of compound_head, each checked.") { $0.reads }.shown("reads"),
                    .count("wrong_reads", "Reads that gave another head than the right one.") { $0.wrongReads }
                        .shown("wrong reads"),
                    .nanoseconds("duration", "How long it was run.") { $0.durationNanoseconds }.shown("time"),
                ])
        ]
    }
}
