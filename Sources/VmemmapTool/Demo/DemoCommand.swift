import ArgumentParser
import VmemmapEmulator

/// `vmemmap demo`.
struct DemoCommand: ParsableCommand, TakesScheme {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Optimize, read and restore a vmemmap on real memory, and check each step.",
        discussion: """
            Example: vmemmap demo --pages 4 --page-size 1G --export-json demo.json

            With --race it runs a wrong way and the right one in pairs under walkers instead, and counts what goes \
            wrong of each. restore: the obvious restore (map, then copy) beside the engine's; gap: optimizing with \
            the tails unmapped for a moment, as arm64 would have to; speculative: walkers that take references, \
            without and with the check of Linux 6.11.

            \(ExitStatus.help("demo"))
            """)

    static let schemes = Scheme.ofHugeTLB

    @OptionGroup(title: "Emulated memory") var emulation: EmulationOptions<Self>

    @Option(help: ArgumentHelp("Threads that read while huge pages are optimized and restored.", valueName: "N"))
    var walkers = Given<Int>("2")

    @Flag(help: "Explain each step, show what it changes, and wait for Enter (or a line of a pipe's).")
    var step = false

    @Flag(help: "Race a wrong way with the right one, and nothing else.")
    var race = false

    // As text: of `--frobnicate gap` the parser must complain of the option, and not of `gap`.
    @Argument(
        help: ArgumentHelp(
            "With --race: what is raced (default: restore).",
            valueName: RaceKind.allCases.map(\.rawValue).joined(separator: "|")),
        completion: .list(RaceKind.allCases.map(\.rawValue)))
    var kind: String?

    @Option(
        help: ArgumentHelp(
            "With --race: how long each way is run, in all and at least, \(RunTime.help) (default: 3s).",
            valueName: RunTime.valueName),
        transform: RunTime.parse)
    var raceDuration: RunTime?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Export") var pageFlags: PageFlagsOption
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        try Scheme.check(areRemapped: [emulation.kind.scheme])
        try WholeNumber.check(walkers, of: "--walkers", in: 1...256)
        if let raceDuration {
            try RunTime.check(raceDuration, of: "--race-duration", in: 1_000_000_000...86_400_000_000_000)
        }
        try OptionRule.check(
            "What is raced", isGiven: kind.flatMap(RaceKind.init) != nil, belongsTo: "--race", isOtherGiven: race)
        try OptionRule.check(
            "--race-duration", isGiven: raceDuration != nil, belongsTo: "--race", isOtherGiven: race)
        try OptionRule.check(
            "--export-kpageflags", isGiven: pageFlags.exportKpageflags != nil, excludes: "--race", isOtherGiven: race)
        try OptionRule.check("--step", isGiven: step, excludes: "--race", isOtherGiven: race)
        try OptionRule.check("--step", isGiven: step, excludes: "--quiet", isOtherGiven: terminal.quiet)
    }

    func run() throws {
        // Not in validate(): unknown options are told before it.
        let kind = try raceKind
        if race { return try run(kind) }
        if step { try EnterKey.check("--step") }
        let exports = try export.open(beside: pageFlags.exportKpageflags)
        if step, !exports.leaveStandardOutput {
            throw ValidationError("--step prints each step: export to a file, and not to standard output.")
        }
        let terminal = terminal.terminal
        let progress = terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            var experiment = DemoExperiment(emulation.memory, walkers: walkers.value)
            experiment.samplesMemory = exports.showMemoryOverTime
            experiment.flagsSink = exports.besides.map { $0.write }
            if step {
                // Read step by step, in a pipe, too.
                let style = terminal.style.withWidth
                experiment.planSink = { Output.print(Self.opening($0, $1, style)) }
                experiment.momentSink = { (moment) throws(ExperimentError) in
                    progress.clear()
                    Output.print(moment.lines(style))
                    let isLast = moment.number == DemoMoment.steps.count
                    try EnterKey.wait(
                        isLast ? "optimize and restore under walkers, and check everything" : "the next step", style)
                }
            }
            return try experiment.run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.print(exports) { style in
            step ? [""] + Check.lines(result.checks, style) : DemoReport.lines(result, style)
        }
        try PageFlagsOption.check(result.pageFlags.value)
        if !result.holds { throw ExitCode.violation }
    }

    /// What --step begins with: the host and the plan, as the report does.
    private static func opening(_ host: HostBlock, _ plan: PlanBlock, _ style: Style) -> [String] {
        style.wrapped(
            ["vmemmap demo: \(PlanReport.title(plan))", ""] + PlanReport.lines(host) + PlanReport.lines(plan))
    }

    private var raceKind: RaceKind {
        get throws {
            guard let kind else { return .restore }
            guard let known = RaceKind(rawValue: kind) else {
                let names = RaceKind.allCases.map { "'\($0.rawValue)'" }
                throw ValidationError(
                    "There is no race '\(kind)'. Please provide one of "
                        + "\(names.dropLast().joined(separator: ", ")) or \(names.last ?? "").")
            }
            return known
        }
    }

    private func run(_ kind: RaceKind) throws {
        // One that is preempted keeps its reference: with many more of them there is always one for each head.
        if kind == .speculative {
            let most = max(2, min(16, emulation.memory.pages.rawValue))
            try WholeNumber.check(walkers.value, of: "--walkers of this race", in: 1...most)
        }
        let exports = try export.open()
        let progress = terminal.terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            return try RaceExperiment(
                emulation.memory, kind, walkers: walkers.value,
                nanosecondsEach: raceDuration?.nanoseconds ?? 3_000_000_000
            ).run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { RaceReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }
}
