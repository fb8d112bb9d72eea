internal import ArgumentParser
internal import Experiments
internal import Reports

/// `vmemmap demo`.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Optimize, read and restore a vmemmap on real memory, and prove each claim.",
        discussion: """
            Example: vmemmap demo --pages 4 --page-size 1G --export-json demo.json

            Exits with 2 if a proof does not hold.
            """)

    @OptionGroup var emulation: EmulationOptions
    @OptionGroup var base: HugeBaseOption

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Threads that read while huge pages are optimized and restored (default: 2).", valueName: "N"),
        transform: WholeNumber.parse)
    var walkers = 2

    @OptionGroup var export: ExportOptions
    @OptionGroup var pageFlags: PageFlagsOption
    @OptionGroup var terminal: TerminalOptions

    func validate() throws { try WholeNumber.check(walkers, of: "--walkers", in: 1...256) }

    func run() throws {
        let exports = try export.open()
        let flagsFile = try pageFlags.open()
        let terminal = terminal.terminal
        let progress = terminal.progress()
        let result = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            var experiment = DemoExperiment(base.applied(to: emulation.memory), walkers: walkers)
            experiment.flagsSink = flagsFile.map { $0.write }
            return try experiment.run(progress: progress.show(_:_:of:unit:))
        }
        try terminal.print(exports) { DemoReport.lines(result, $0) }
        try exports.finish(result)
        try flagsFile?.finish()
        try PageFlagsOption.check(result.pageFlags.value)
        if !result.holds { throw ExitCode.violation }
    }
}
