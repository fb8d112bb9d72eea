import ArgumentParser
import Glibc
import HostMemory
import VmemmapEmulator

/// `vmemmap bench`.
struct BenchCommand: ParsableCommand, TakesPages, TakesTailFrames {
    static let pagesHelp = "How many huge pages (default: \(BenchExperiment.letterPages.rawValue), or as many as fit)."
    static let defaultTailFrames = "1; shared-tail, where more cost nothing a huge page: auto"

    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract:
            "Time the emulated pool with optimizing on and off, beside a C baseline, KSM and the host's own kernel.",
        discussion: """
            Example: vmemmap bench --pages 2048 --scheme all --backing all --peers baseline

            What has no room on this host, and peers that may not be used (KSM and the kernel's own pool need root), \
            get a row that says why. SIGINT, SIGTERM and SIGHUP end it with the pairs that there are.

            \(ExitStatus.help("bench"))
            """)

    @OptionGroup var pages: PagesOption<Self>

    @Option(help: OptionHelp.pageSize)
    var pageSize = HugePageSize.twoMebibytes

    @Option(help: OptionHelp.hugeTLBScheme)
    var scheme = OneOrAll<Scheme>.one(.firstTail)

    @Option(help: OptionHelp.backing)
    var backing = OneOrAll<Backing>.one(.anonymous)

    @OptionGroup var tailFrames: TailFramesOption<Self>

    @Option(help: ArgumentHelp("Pairs to count: on and off, engine and peer; one more warms up.", valueName: "N"))
    var pairs = Given<Int>("5")

    @Option(help: ArgumentHelp("What to measure beside the engine.", valueName: "peer,..."))
    var peers = PeerList([.baseline])

    @Option(help: ArgumentHelp("Measure with N readers too.", valueName: "N"))
    var walkers = Given<Int>("0")

    @Flag(help: "Time each huge page alone too, in a pass of its own.")
    var histograms = false

    @Option(
        help: ArgumentHelp("Measure N huge pages first, and say how the time of one grows (baseline).", valueName: "N"),
        transform: WholeNumber.parse)
    var growthFrom: Int?

    @Flag(help: "Time compound_head alone, by encoding, order and state, and nothing else: --pairs passes of each.")
    var readers = false

    @Flag(help: OptionHelp.raiseMapLimit)
    var raiseMapLimit = false

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        try Scheme.check(areRemapped: scheme.values)
        if readers { try checkReaders() }
        try WholeNumber.check(pairs, of: "--pairs", in: 1...1000)
        try WholeNumber.check(walkers, of: "--walkers", in: 0...256)
        if let growthFrom {
            try OptionRule.check(
                "--growth-from", isGiven: true, belongsTo: "--peers baseline",
                isOtherGiven: peers.values.contains(.baseline))
            // Without a number, as many as fit are measured: they may be fewer.
            guard let pages = pages.number else {
                throw ValidationError("--growth-from needs --pages N: up to how many huge pages the time grows.")
            }
            try WholeNumber.check(growthFrom, of: "--growth-from", in: 1...pages)
        }
        // Among all schemes, the head scheme keeps to its one page.
        try tailFrames.check(for: scheme.values, [pageSize])
    }

    /// Every encoding is measured, on huge pages of 2 MiB: what chooses among them would be ignored.
    private func checkReaders() throws {
        for (option, isGiven) in [
            ("--page-size", pageSize != .twoMebibytes), ("--tail-frames", tailFrames.given != nil),
            ("--walkers", walkers.defaultValueDescription != "0"), ("--histograms", histograms),
            ("--growth-from", growthFrom != nil), ("--raise-map-limit", raiseMapLimit),
        ] {
            try OptionRule.check(option, isGiven: isGiven, excludes: "--readers", isOtherGiven: true)
        }
    }

    private func runReaders() throws {
        let exports = try export.open()
        let progress = terminal.terminal.progress()
        let result = try runOrExit(.pagesAlone) { () throws(ExperimentError) in
            defer { progress.clear() }
            return try ReaderCostExperiment(pages: pages.count ?? 1024, passes: pairs.value)
                .run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { ReaderCostReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    func run() throws {
        if readers { return try runReaders() }
        let exports = try export.open()
        // Before any thread is started.
        let signals = try SignalPutBack()
        let changes = try runOrExit { () throws(ExperimentError) in
            try experiment.prepare(raisingMapLimit: raiseMapLimit)
        }
        // Where nothing is changed, too: the signals are blocked now, and somebody must take them.
        let control = BenchControl()
        let isWatched = isatty(2) == 1 && !terminal.quiet
        try signals.watch(changes.settings) { signal in
            control.end(by: signal)
            if isWatched { Output.error("ending with the pair under way; a second signal ends it at once") }
        }
        defer { SignalPutBack.putBack(changes.settings) }
        let progress = terminal.terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            return try signals.unlessEnding { () throws(ExperimentError) in
                try experiment.run(changes, control: control, progress: progress.show)
            }
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { BenchReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
        if let signal = control.signal { throw ExitCode(128 + signal) }
    }

    private var experiment: BenchExperiment {
        BenchExperiment(
            pages: pages.count, pageSize: pageSize, schemes: scheme.values,
            backings: backing.values,
            tailFrames: tailFrames.given, pairs: pairs.value, peers: peers.values, walkers: walkers.value,
            takesHistograms: histograms,
            growthFrom: growthFrom.map { HugePageCount($0) })
    }
}

/// Peers, with commas between.
struct PeerList: ExpressibleByArgument {
    let values: Set<Peer>

    init(_ values: Set<Peer>) { self.values = values }

    init?(argument: String) {
        let names = argument.split(separator: ",", omittingEmptySubsequences: false)
        let peers = names.compactMap { Peer(rawValue: String($0)) }
        guard peers.count == names.count else { return nil }
        values = Set(peers)
    }

    var defaultValueDescription: String { Peer.allCases.filter(values.contains).map(\.rawValue).joined(separator: ",") }

    static var allValueStrings: [String] { Peer.allCases.map(\.rawValue) }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
