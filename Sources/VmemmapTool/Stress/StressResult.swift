import HostMemory
import VmemmapEmulator

/// In how many rounds a part of the run was made short of something, for real.
struct StressShortages: Hashable, Sendable, Codable {
    /// Of address space: RLIMIT_AS lowered.
    var addressSpace = 0
    /// Of mappings: vm.max_map_count reached by ballast.
    var mappings = 0
    /// Of descriptors: RLIMIT_NOFILE lowered.
    var openFiles = 0
    /// Of room in the file system that the region's frames come from: a tmpfs filled (ENOSPC).
    var fileSystem = 0
    /// Of frames: a budget for restores.
    var frames = 0
}

/// What a stress run has done and seen, up to now or in all.
struct StressFigures: Hashable, Sendable, Codable {
    /// Nothing yet.
    init() {}

    /// Time since the run began.
    var elapsedNanoseconds = 0
    /// Huge pages optimized and restored again.
    var cycles = 0
    /// The same in a second.
    var cyclesPerSecond = 0
    /// Huge pages optimized, and huge pages restored, put-backs included.
    var remaps = 0
    /// Those of them that the region's own optimize and restore calls made.
    var regionRemaps = 0
    /// Time in these calls, of all workers.
    var regionRemapNanoseconds = 0
    /// The time for each; null before the first.
    var remapMeanNanoseconds = Measured<Int>.notMeasured
    /// Operations of all workers.
    var operations = 0
    /// compound_heads read and checked.
    var headReads = 0
    /// Whole vmemmap pages read and checked.
    var pageReads = 0
    /// Of these, how often one was read again because a change had crossed the read.
    var crossedReads = 0
    /// Reads that were not as they must be.
    var wrongReads = 0
    /// Calls that were not made but failed on purpose.
    var failedCalls = 0
    /// Operations that this happened to.
    var faultedOperations = 0
    /// Operations that ended in an error because of it, or because the host refused.
    var refusedOperations = 0
    /// Those of them in which no call was failed on purpose: the host's own refusals.
    var hostRefusals = 0
    /// Huge pages that two refusals had left half-way, mended.
    var mendedPages = 0
    /// What was made scarce.
    var shortages = StressShortages()
    /// Signals sent to walkers and workers.
    var signals = 0
    /// Children forked.
    var forks = 0
    /// Times that frames, mappings, files, contents and counts were held against the model.
    var checks = 0
    /// Times that machine and region were built.
    var setUps = 0

    /// Everything that is counted up.
    private static let counts: [any WritableKeyPath<StressFigures, Int> & Sendable] = [
        \.elapsedNanoseconds, \.cycles, \.remaps, \.regionRemaps, \.regionRemapNanoseconds, \.operations, \.headReads,
        \.pageReads, \.crossedReads, \.wrongReads, \.failedCalls, \.faultedOperations, \.refusedOperations,
        \.hostRefusals, \.mendedPages, \.shortages.addressSpace, \.shortages.mappings, \.shortages.openFiles,
        \.shortages.fileSystem, \.shortages.frames, \.signals, \.forks, \.checks, \.setUps,
    ]

    /// What has been done between an earlier moment and this one.
    func since(_ earlier: StressFigures) -> StressFigures {
        var difference = self
        for count in Self.counts { difference[keyPath: count] -= earlier[keyPath: count] }
        difference.takeMeans()
        return difference
    }

    /// What several processes have done at the same time.
    init(of processes: [StressFigures]) {
        for process in processes {
            for count in Self.counts { self[keyPath: count] += process[keyPath: count] }
        }
        elapsedNanoseconds = processes.map(\.elapsedNanoseconds).max() ?? 0
        takeMeans()
    }

    mutating func takeMeans() {
        cyclesPerSecond = perSecond(cycles)
        remapMeanNanoseconds = regionRemaps > 0 ? .value(regionRemapNanoseconds / regionRemaps) : .notMeasured
    }
}

extension StressFigures {
    /// How many of so many things that is in a second.
    func perSecond(_ count: Int) -> Int {
        elapsedNanoseconds > 0 ? Int(Double(count) * 1e9 / Double(elapsedNanoseconds)) : 0
    }
}

/// A moment of a run, for a line of progress.
struct StressProgress: Hashable, Sendable, Codable {
    /// Everything drawn follows from it.
    let seed: UInt64
    /// The scheme that is run.
    let scheme: Scheme
    /// Its backing.
    let backing: Backing
    /// What has been done since the last line.
    let sinceLast: StressFigures
    /// What has been done since the run began.
    let total: StressFigures
}

/// What the process has between two set-ups, when neither machine nor region is there.
struct StressFootprint: Hashable, Sendable, Codable {
    /// Rss of smaps_rollup; null before Linux 4.14.
    let rssBytes: Measured<ByteCount>
    /// Lines of /proc/self/maps.
    let mappings: MappingCount
    /// Entries of /proc/self/fd.
    let openFiles: Int
}

/// A scheme on a backing, as it was run.
struct StressCombinationResult: Hashable, Sendable, Codable {
    /// The scheme.
    let scheme: Scheme
    /// The backing.
    let backing: Backing
    /// What was done.
    let figures: StressFigures
}

/// The configuration of a stress run, as exported: what was asked for, with the seed beside it.
struct StressBlock: Hashable, Sendable, Codable {
    /// Huge pages of the region, and of the machine.
    let pages: HugePageCount
    /// Their size.
    let hugePageBytes: ByteCount
    /// The base page of the region.
    let basePageBytes: ByteCount
    /// Run one after the other, each on every backing.
    let schemes: [Scheme]
    /// As `schemes`.
    let backings: [Backing]
    /// For how long, all combinations together.
    let durationNanoseconds: Int
    /// After how many cycles it ends, if they come first; null: it does not.
    let cycles: Measured<Int>
    /// Threads that read.
    let walkers: Int
    /// Threads that remap.
    let workers: Int
    /// What was made to fail.
    let faults: StressConfiguration.Faults
    /// Into how many emulated nodes it is divided: a number, or `auto`; null: into none.
    let nodes: Measured<String>

    init(_ configuration: StressConfiguration) {
        pages = configuration.pages
        hugePageBytes = configuration.pageSize.bytes
        basePageBytes = configuration.basePageSize
        (schemes, backings) = (configuration.schemes, configuration.backings)
        durationNanoseconds = configuration.durationNanoseconds
        cycles = Measured(configuration.cycles)
        (walkers, workers) = (configuration.walkers, configuration.workers)
        faults = configuration.faults
        nodes = Measured(configuration.nodes?.text)
    }
}

/// A stress run and its verdict.
struct StressResult: Hashable, Sendable, Codable {
    /// What there was to run it on.
    let host: HostBlock
    /// Everything drawn followed from it.
    let seed: UInt64
    /// What was asked for.
    let configuration: StressBlock
    /// What was run, one after the other.
    let combinations: [StressCombinationResult]
    /// All of it.
    let total: StressFigures
    /// What this host did not let be made scarce, and why.
    let leftOut: [String]
    /// The process after each set-up, in order. One that found a violation is not among them, but for growth.
    let footprints: [StressFootprint]
    /// What was done by when, for a picture over time.
    let history: [StressMoment]
    /// Every check, and how often it was looked at.
    let checks: [Check]
    /// Whether somebody ended the run before its time.
    let wasEnded: Bool
    /// Whether the run has ended; false in an export that was written while it ran.
    let isComplete: Bool
    /// What must never have been; left out if there is nothing.
    let violation: StressViolation?
    /// The emulated nodes that the figures are the sum of; none where one process, this one, did it all.
    var nodes: [StressNode] = []

    /// Whether nothing was found that must not be.
    var holds: Bool { violation == nil && total.wrongReads == 0 }
}

extension StressResult {
    /// What came of a run as it was configured. Whether each combination was run is checked, too.
    init(
        host: HostBlock, of configuration: StressConfiguration, combinations: [StressCombinationResult],
        total: StressFigures, leftOut: [String], footprints: [StressFootprint], history: [StressMoment],
        checks: [Check], wasEnded: Bool, isComplete: Bool, violation: StressViolation?, nodes: [StressNode] = []
    ) {
        self.init(
            host: host, seed: configuration.seed, configuration: StressBlock(configuration),
            combinations: combinations, total: total, leftOut: leftOut, footprints: footprints, history: history,
            checks: checks.isEmpty ? [] : checks + [Self.everyCombinationIsRun(configuration, combinations)],
            wasEnded: wasEnded, isComplete: isComplete, violation: violation, nodes: nodes)
    }

    /// A combination that had no operations, or was not reached, was not tested: that is no failure, and no success.
    private static func everyCombinationIsRun(
        _ configuration: StressConfiguration, _ results: [StressCombinationResult]
    ) -> Check {
        Check(
            "every_combination_is_run", "every combination had operations",
            configuration.combinations.map { asked in
                let result = results.first { $0.scheme == asked.scheme && $0.backing == asked.backing }
                return .tried(
                    "operations_\(asked.scheme.rawValue)_\(asked.backing.rawValue)".replacing("-", with: "_"),
                    result?.figures.operations ?? 0)
            },
            method: "operations of all workers; a longer run reaches every combination"
        )
    }
}

extension StressResult: ExportableResult {
    static var command: String { "stress" }
    var verdict: Bool? { holds }

    var tables: [ExportTable] {
        [
            combinationTable, totalTable,
            ExportTable(
                "footprint", "The process after the first set-up and after the last was taken down.",
                [("first", footprints.first), ("last", footprints.last)].compactMap { name, footprint in
                    footprint.map { (name: name, footprint: $0) }
                },
                [
                    .label("set_up", "The first or the last; JSON and the page have those between.") { $0.name },
                    .bytes("rss", "Rss of smaps_rollup.") { $0.footprint.rssBytes.value }.varying(),
                    .count("mappings", "Mappings of the process (lines of maps).") {
                        $0.footprint.mappings.rawValue
                    }.varying(),
                    .count("open_files", "Open descriptors (/proc/self/fd).") { $0.footprint.openFiles }.varying(),
                ]),
        ] + (nodes.isEmpty ? [] : [nodeTable])
    }

    var nodeTable: ExportTable {
        ExportTable(
            "node", "What each emulated node did.", nodes,
            [
                .label("node", "The emulated node.") { "\($0.node)" }.shown("node"),
                .count("pages", "Huge pages of its region, and of its machine.") { $0.pages.rawValue },
            ] + ExportColumn.figures(\.total))
    }

    var combinationTable: ExportTable {
        ExportTable(
            "combination", "A scheme on a backing, as it was run.", combinations,
            [
                .label("scheme", "The scheme.") { $0.scheme.rawValue }.shown(""),
                .label("backing", "The backing.") { $0.backing.rawValue }.shown(""),
            ] + ExportColumn.figures(\.figures))
    }

    var totalTable: ExportTable { ExportTable("total", "All of it.", [total], ExportColumn.figures(\.self)) }
}

extension ExportColumn {
    /// Another run of the same does more or less in its time; that it reads something wrong is no matter of time.
    fileprivate static func figures(_ figures: @escaping (Item) -> StressFigures) -> [ExportColumn] {
        allFigures(figures).map { $0.heading.key == "wrong_reads" ? $0 : $0.varying() }
    }

    private static func allFigures(_ figures: @escaping (Item) -> StressFigures) -> [ExportColumn] {
        [
            .nanoseconds("elapsed", "How long it was run.") { figures($0).elapsedNanoseconds }.shown("time"),
            .count("cycles", "Huge pages optimized and restored again.") { figures($0).cycles }.shown("cycles"),
            .count("cycles_per_second", "The same in a second.") { figures($0).cyclesPerSecond }
                .shown("cycles/s", drop: 3),
            .count("remaps", "Huge pages optimized, and huge pages restored, put-backs included.") {
                figures($0).remaps
            }.shown("remaps", drop: 2),
            .nanoseconds("remap_mean", "Time in the region's own calls for each of their remaps.") {
                figures($0).remapMeanNanoseconds.value
            },
            .count("operations", "Operations of all workers.") { figures($0).operations }
                .shown("operations", drop: 1),
            .count("head_reads", "compound_heads read and checked.") { figures($0).headReads }
                .shown("head\nreads"),
            .count("page_reads", "Whole vmemmap pages read and checked.") { figures($0).pageReads }
                .shown("page\nreads", drop: 4),
            .count("wrong_reads", "Reads that were not as they must be.") { figures($0).wrongReads }.shown("wrong"),
            .count("failed_calls", "Calls that were not made but failed on purpose.") { figures($0).failedCalls },
            .count("faulted_operations", "Operations that this happened to.") { figures($0).faultedOperations }
                .shown("faults\nsurvived"),
            .count("refused_operations", "Operations that ended in an error because something stood in their way.") {
                figures($0).refusedOperations
            },
            .count("host_refusals", "Those of them that only the host can have refused.") { figures($0).hostRefusals }
                .shown("by the\nhost"),
            .count("mended_pages", "Huge pages left half-way by two refusals, and mended.") { figures($0).mendedPages },
            .count("shortages_address_space", "Rounds with RLIMIT_AS lowered.") { figures($0).shortages.addressSpace },
            .count("shortages_mappings", "Rounds with vm.max_map_count reached.") { figures($0).shortages.mappings },
            .count("shortages_open_files", "Rounds with RLIMIT_NOFILE lowered.") { figures($0).shortages.openFiles },
            .count("shortages_file_system", "Rounds with the tmpfs of the region's frames full.") {
                figures($0).shortages.fileSystem
            },
            .count("shortages_frames", "Rounds with a frame budget.") { figures($0).shortages.frames },
            .count("signals", "Signals sent to walkers and workers.") { figures($0).signals },
            .count("forks", "Children forked.") { figures($0).forks },
            .count("checks", "Times that everything was held against the model.") { figures($0).checks },
            .count("set_ups", "Times that machine and region were built.") { figures($0).setUps },
        ]
    }
}
