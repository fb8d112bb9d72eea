import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap savings`.
struct SavingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "savings",
        abstract: "Execute the saving for an amount of emulated HugeTLB memory, and measure it step by step.",
        discussion: """
            Example: vmemmap savings --memory 8G --scheme shared-tail --tail-frames auto

            The struct pages of 1 TiB take 16 GiB of real memory. Exits with 2 if the frames are not as planned.
            """)

    @Option(
        help: ArgumentHelp("Emulated memory, all of it in huge pages.", valueName: "SIZE[K|M|G|T]"),
        transform: MemorySize.parse)
    var memory: MemorySize

    @Option(help: "The size of huge page: 2M or 1G.")
    var pageSize = HugePageSize.twoMebibytes

    @Option(help: "How their vmemmap is shared.")
    var scheme = Scheme.firstTail

    @Option(help: "What the region consists of.")
    var backing = Backing.anonymous

    @Option(
        help: ArgumentHelp(
            "How many frames in a row serve the tails (default: 1); auto: least net memory.", valueName: "R|auto"),
        transform: TailFrames.parse)
    var tailFrames = TailFrames.frames(PageCount(1))

    @OptionGroup var mapping: PMDMappedOption
    @OptionGroup var boot: AtBootOption

    @Flag(help: "Say what is planned and map nothing.")
    var dryRun = false

    @Flag(help: "Raise vm.max_map_count if the plan needs it, and put it back on every way out (root).")
    var raiseMapLimit = false

    @OptionGroup var export: ExportOptions
    @OptionGroup var terminal: TerminalOptions

    func validate() throws {
        try TailFrames.check(tailFrames, for: [scheme], [pageSize])
        try boot.check(mapping)
        try memory.check(holds: pageSize)
    }

    func run() throws {
        let exports = try export.open()
        let emulated = EmulatedMemory(
            pages: HugePageCount(memory.bytes.rawValue / pageSize.bytes.rawValue), pageSize: pageSize, scheme: scheme,
            backing: backing, tailFrames: tailFrames)
        var experiment = SavingsExperiment(boot.applied(to: mapping.applied(to: emulated)))
        experiment.samplesMemory = exports.showMemoryOverTime
        let limit = raiseMapLimit && !dryRun ? try RaisedMapLimit(experiment.neededMapLimit) : nil
        defer { limit?.putBack() }
        let progress = terminal.terminal.progress()
        let result = try runOrExit(.memory) { () throws(ExperimentError) in
            defer { progress.clear() }
            if dryRun { return try experiment.plan(raisingMapLimit: raiseMapLimit) }
            guard let limit else { return try experiment.run(progress: progress.show) }
            return try limit.unlessEnding { () throws(ExperimentError) in
                try experiment.run(progress: progress.show)
            }
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { SavingsReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }
}
