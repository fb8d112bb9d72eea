import ArgumentParser

/// `vmemmap demo`.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Optimize, read and restore a vmemmap on real memory, and check each step.",
        discussion: """
            Example: vmemmap demo --pages 4 --page-size 1G --export-json demo.json

            With --race it runs the obvious restore (map, then copy) and the engine's in pairs under walkers instead, \
            and counts \
            the wrong reads of each.

            Exits with 2 if a check fails; with --race, if a read was wrong under the engine.
            """)

    @OptionGroup(title: "Emulated memory") var emulation: EmulationOptions

    @Option(help: ArgumentHelp("Threads that read while huge pages are optimized and restored.", valueName: "N"))
    var walkers = Given<Int>("2")

    @Flag(help: "Count the wrong reads of a naive restore and of the engine's, and nothing else.")
    var race = false

    @Option(
        help: ArgumentHelp("With --race: how long each way is run, in all (default: 3).", valueName: "S"),
        transform: WholeNumber.parse)
    var raceSeconds: Int?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Export") var pageFlags: PageFlagsOption
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

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
            var experiment = DemoExperiment(emulation.memory, walkers: walkers.value)
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
                emulation.memory, walkers: walkers.value,
                nanosecondsEach: (raceSeconds ?? 3) * 1_000_000_000
            ).run(progress: progress.show)
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { RaceReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }
}
