/// What readers saw of a wrong way and of the right one.
struct RaceResult: Hashable, Sendable, Codable {
    /// A way to remap, or to read meanwhile.
    enum Way: String, Hashable, Sendable, Codable, CaseIterable {
        /// Map fresh memory in place, then copy into it.
        case naive
        /// The engine's: fill pages off to the side, then put them in place in one step.
        case atomic
        /// Unmap the tails of a huge page, then map what they are to show.
        case gap
        /// Take references as before bd225530a4c7 (2024), and since Linux 7.1: nobody waits for readers, who do not
        /// look for fake heads.
        case unchecked
        /// Take references in read-side sections that whoever remaps waits for.
        case checked
    }

    /// What it was asked to do.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
        /// What is raced.
        let kind: RaceKind
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
        /// Huge pages optimized and restored, each as often as it was.
        var cycles = 0
        /// Reads of the walkers, each checked.
        var reads = 0
        /// Reads that gave any other head than the right one.
        var wrongReads = 0
        /// Reads that found nothing mapped, or stores that met a read-only page (SIGSEGV).
        var faults = 0
        /// References taken.
        var references = 0
        /// Times that a walker was held up between its check and its add.
        var holdUps = 0
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
    /// Both ways, the wrong one first.
    let sides: [Side]

    /// One way's figures.
    func side(_ way: Way) -> Side { sides.first { $0.way == way } ?? Side(way: way) }

    /// The right way's figures.
    var rightSide: Side { side(configuration.kind.ways[1]) }

    /// That the right way was read, or took references, and nothing went wrong. The wrong way may have anything; if
    /// nothing went wrong of that either, nobody looked closely enough.
    var checks: [Check] {
        let (kind, right, wrong) = (configuration.kind, rightSide, side(configuration.kind.ways[0]))
        let reads = [Check.Figure.equal("wrong_reads", 0, right.wrongReads), .some("reads", right.reads)]
        let faults = Check.Figure.equal("faults", 0, right.faults)
        let figures =
            switch kind {
            case .restore: reads + [faults]
            case .gap: [faults] + reads.reversed()
            case .speculative: [faults, .some("references", right.references)] + reads
            }
        let caught = Check.Figure.tried("\(wrong.way.rawValue)_failures", wrong.wrongReads + wrong.faults)
        return [
            Check(
                kind.check, kind.statement, figures + [.some("cycles", right.cycles), caught],
                method:
                    "walkers of both ways; where nothing goes wrong of the \(wrong.way.rawValue) one, nobody looked "
                    + "in time")
        ]
    }

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
    var notes: [String] {
        checks.contains { $0.outcome == .notMeasured }
            ? ["the wrong way was not caught, so that the right one's figures say little"] : []
    }

    var tables: [ExportTable] {
        [
            ExportTable(
                "side", "What walkers saw of each way.", sides,
                [
                    .label("way", "The way: the wrong one, then the right one.") { $0.way.rawValue }
                        .shown(configuration.kind == .restore ? "restore" : "way"),
                    .count("pairs", "Stretches of each way, one right after the other.") { $0.pairs }.shown("pairs")
                        .varying(),
                    configuration.kind == .restore ? wrongPairs.shown("with\nwrong reads") : wrongPairs,
                    .count("cycles", "Huge pages optimized and restored, each as often as it was.") { $0.cycles }.shown(
                        "cycles"
                    ).varying(),
                    .count("reads", "Reads of compound_head, each checked.") { $0.reads }.shown("reads")
                        .varying(),
                    configuration.kind == .speculative ? wrong : wrong.shown("wrong reads"),
                    configuration.kind == .restore ? faults : faults.shown("faults"),
                    configuration.kind == .speculative ? references.shown("references") : references,
                    .count("hold_ups", "Times that a walker was held up before it took one.") { $0.holdUps }.varying(),
                    .nanoseconds("duration", "How long it was run.") { $0.durationNanoseconds }.shown("time"),
                ])
        ]
    }

    private var wrongPairs: ExportColumn<Side> {
        .count("pairs_with_wrong_reads", "Those with a wrong read of this way.") { $0.pairsWithWrongReads }.varying()
    }

    private var wrong: ExportColumn<Side> {
        .count("wrong_reads", "Reads that gave another head than the right one.") { $0.wrongReads }.varying()
    }

    private var faults: ExportColumn<Side> {
        .count("faults", "Reads that found nothing mapped, or stores that met a read-only page.") { $0.faults }
            .varying()
    }

    private var references: ExportColumn<Side> {
        .count("references", "References taken, and given back.") { $0.references }.varying()
    }
}
