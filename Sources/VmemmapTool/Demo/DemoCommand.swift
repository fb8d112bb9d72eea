import ArgumentParser

/// `vmemmap demo`.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Optimize, read and restore a vmemmap on real memory, and prove each claim.",
        discussion: """
            Example: vmemmap demo --pages 4 --page-size 1G --export-json demo.json

            With --race it does something else: the obvious restore (map, then copy) and the engine's take turns under walkers, and \
            wrong reads of each are counted.

            Exits with 2 if a proof does not hold; with --race, if a read was wrong under the engine.
            """)

    @OptionGroup var emulation: EmulationOptions
    @OptionGroup var mapping: PMDMappedOption

    @Option(
        help: ArgumentHelp(
            "Threads that read while huge pages are optimized and restored (default: 2).", valueName: "N"),
        transform: WholeNumber.parse)
    var walkers = 2

    @Flag(help: "Count the wrong reads of a naive restore beside the engine's, and nothing else.")
    var race = false

    @Option(
        help: ArgumentHelp("With --race: how long each way has its turn, in all (default: 3).", valueName: "S"),
        transform: WholeNumber.parse)
    var raceSeconds: Int?

    @OptionGroup var export: ExportOptions
    @OptionGroup var pageFlags: PageFlagsOption
    @OptionGroup var terminal: TerminalOptions

    func validate() throws {
        try WholeNumber.check(walkers, of: "--walkers", in: 1...256)
        if let raceSeconds { try WholeNumber.check(raceSeconds, of: "--race-seconds", in: 1...86400) }
        try OptionRule.check(
            "--race-seconds", isGiven: raceSeconds != nil, belongsTo: "--race", isOtherGiven: race)
        try OptionRule.check(
            "--export-kpageflags", isGiven: pageFlags.exportKpageflags != nil, excludes: "--race", isOtherGiven: race)
    }

    func run() throws {
        if race { return try runRace() }
        let exports = try export.open(beside: pageFlags.exportKpageflags)
        let terminal = terminal.terminal
        let progress = terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            var experiment = DemoExperiment(mapping.applied(to: emulation.memory), walkers: walkers)
            experiment.samplesMemory = exports.showMemoryOverTime
            experiment.flagsSink = exports.pageFlags.map { $0.write }
            return try experiment.run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.print(exports) { DemoReport.lines(result, $0) }
        try PageFlagsOption.check(result.pageFlags.value)
        if !result.holds { throw ExitCode.violation }
    }

    private func runRace() throws {
        let exports = try export.open()
        let progress = terminal.terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            return try RaceExperiment(
                mapping.applied(to: emulation.memory), walkers: walkers,
                nanosecondsEach: (raceSeconds ?? 3) * 1_000_000_000
            ).run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { RaceReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }
}
