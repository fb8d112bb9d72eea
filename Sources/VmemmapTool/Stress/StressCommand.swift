import ArgumentParser
import Glibc
import HostMemory
import VmemmapEmulator

/// `vmemmap stress`.
struct StressCommand: ParsableCommand, TakesPages {
    static let pagesHelp = "How many huge pages (default: 256, or 2 of those with 1 MiB of struct pages and more)."
    static let fewestPages = 2

    static let configuration = CommandConfiguration(
        commandName: "stress",
        abstract: "Remap and restore under concurrent readers and failures, and check everything against a model.",
        discussion: """
            Example: vmemmap stress --duration 10m --scheme all --backing all --faults all

            Example: vmemmap stress --duration 8h30m --report-every 1m --export-html night.html --export-jsonl night.log

            Exports are written anew at each report, so that a power cut loses no more than what came after it.

            If a check fails, it shows what led to it; rerun with --seed to repeat the operations. SIGINT, SIGTERM \
            and SIGHUP end the run with a verdict on what was run, a second one ends it at once.

            For --faults host, RLIMIT_AS and RLIMIT_NOFILE are lowered, vm.max_map_count is reached, frames are \
            budgeted and, as root, a \
            tmpfs that frames come from is filled. The summary says in how many rounds each was so, and what could \
            not be.

            \(ExitStatus.help("stress"))
            """)

    @Option(
        help: ArgumentHelp("For how long, all combinations together, \(RunTime.help).", valueName: RunTime.valueName))
    var duration = Given<RunTime>("60s")

    @Option(
        help: ArgumentHelp("End after N huge pages optimized and restored.", valueName: "N"),
        transform: WholeNumber.parse)
    var cycles: Int?

    @OptionGroup var pages: PagesOption<Self>
    @OptionGroup var geometry: GeometryOptions

    @Option(help: OptionHelp.hugeTLBScheme)
    var scheme = OneOrAll<Scheme>.one(.firstTail)

    @Option(help: OptionHelp.backing)
    var backing = OneOrAll<Backing>.one(.anonymous)

    @Option(
        help: ArgumentHelp("Threads that read (default: one more than there are processors).", valueName: "N"),
        transform: WholeNumber.parse)
    var walkers: Int?

    @Option(help: ArgumentHelp("Threads that optimize, restore, allocate, free.", valueName: "N"))
    var workers = Given<Int>("2")

    @Option(
        help: ArgumentHelp("Everything drawn follows from it (default: a new one).", valueName: "S"),
        transform: Seed.parse)
    var seed: UInt64?

    @Option(help: "What is made to fail: nothing, injected (calls), host (the host refuses for real), or all.")
    var faults = StressConfiguration.Faults.off

    @OptionGroup var nodes: NodeOptions
    @OptionGroup var node: NodeFlag

    @Option(
        help: ArgumentHelp(
            "From one report to the next: a line of progress, and the exports as they are then.",
            valueName: RunTime.valueName))
    var reportEvery = Given<RunTime>("5s")

    @OptionGroup(title: "Export") var export: ExportOptions

    @Option(
        help: ArgumentHelp("Write a line of JSON at each report, as it comes (JSON lines).", valueName: "FILE|-"),
        completion: .file())
    var exportJsonl: String?

    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        if let cycles { try WholeNumber.check(cycles, of: "--cycles", in: 1...Int.max) }
        if let walkers { try WholeNumber.check(walkers, of: "--walkers", in: 1...256) }
        try duration.check("--duration <\(RunTime.valueName)>")
        try reportEvery.check("--report-every <\(RunTime.valueName)>")
        try WholeNumber.check(workers, of: "--workers", in: 1...256)
        try Scheme.check(areRemapped: scheme.values)
        try geometry.check(frees: scheme.values)
        try nodes.count?.check(divides: numberOfPages.rawValue, "huge pages", atLeast: 2)
        if let cycles { try nodes.count?.check(divides: cycles, "cycles") }
    }

    private var numberOfPages: HugePageCount { pages.count ?? (isLarge ? 2 : 256) }

    private var pageSize: HugePageSize { geometry.hugePageSize(scheme.values) }

    private var isLarge: Bool { StressConfiguration.isLarge(pageSize, geometry.basePageSize) }

    private func configuration() throws -> StressConfiguration {
        StressConfiguration(
            pages: numberOfPages, pageSize: pageSize, basePageSize: geometry.basePageSize,
            schemes: scheme.values, backings: backing.values, durationNanoseconds: duration.value.nanoseconds,
            cycles: cycles,
            walkers: walkers ?? (HostDescription.processorsOnline + 1), workers: workers.value,
            nodes: nodes.count, seed: seed ?? UInt64(HostKernel.monotonicNanoseconds()), faults: faults,
            reportEveryNanoseconds: reportEvery.value.nanoseconds)
    }

    func run() throws {
        if node.asNode { return try runAsNode() }
        let reports = StressReports(try export.open(beside: exportJsonl))
        let terminal = terminal.terminal
        let printsProgress = reports.leaveStandardOutput && !terminal.isQuiet
        // Before any thread is started: they inherit the blocked signals.
        let signals = try TerminationSignals()
        let configuration = try configuration()
        if printsProgress { terminal.print { StressReport.opening(configuration, nodes.count, $0) } }
        if let count = nodes.count {
            let result = try runOrExit(.pagesAlone) { () throws(ExperimentError) in
                try StressNodesExperiment(configuration: configuration, nodes: count).run(signals) { progress, soFar in
                    if printsProgress { Output.print(StressReport.lines(progress, terminal.style)) }
                    reports.write(progress, soFar)
                }
            }
            return try finish(result, reports)
        }
        let control = StressControl()
        _ = try HostThread {
            guard (try? signals.waitForSignal()) != nil else { return }
            control.end()
            guard let second = try? signals.waitForSignal() else { return }
            _exit(128 + second)
        }
        // The run's own thread writes both, and this one nothing until it has ended.
        let line = Guarded(terminal.progress())
        let result = try runOrExit(.pagesAlone) { () throws(ExperimentError) in
            defer { line.withLock { $0.clear() } }
            return try StressExperiment(configuration).run(
                control: control,
                progress: { progress, soFar in
                    line.withLock { $0.clear() }
                    if printsProgress { Output.print(StressReport.lines(progress, terminal.style)) }
                    reports.write(progress, soFar)
                }, heartbeat: { progress in line.withLock { $0.show(progress) } })
        }
        try finish(result, reports)
    }

    private func finish(_ result: StressResult, _ reports: StressReports) throws {
        try reports.finish(result)
        if reports.leaveStandardOutput { terminal.terminal.print { StressReport.lines(result, $0) } }
        if !result.holds { throw ExitCode.violation }
    }

    private func runAsNode() throws {
        try NodeLink.begin()
        let configuration = try configuration()
        let control = StressControl()
        _ = try HostThread {
            NodeLink.awaitEnd()
            control.end()
        }
        let result = try runOrExit(.pagesAlone) { () throws(ExperimentError) in
            try StressExperiment(configuration).run(
                control: control, progress: { progress, _ in try? NodeLink.say(.progress, progress) })
        }
        try NodeLink.say(.result, result)
    }
}

extension StressConfiguration.Faults: ExpressibleByArgument {}
