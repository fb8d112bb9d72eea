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

            The struct pages of 1 TiB take 16 GiB of real memory. Exits with 2 if a check fails.
            """)

    @OptionGroup(title: "Emulated memory") var amount: AmountOptions
    @OptionGroup(title: "Emulated memory") var kind: HugePageOptions
    @OptionGroup(title: "Emulated memory") var boot: AtBootOption

    @Flag(help: "Say what is planned and map nothing.")
    var dryRun = false

    @Flag(help: OptionHelp.raiseMapLimit)
    var raiseMapLimit = false

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        try boot.check(kind)
        if try amount.bytes(kind.pageSize) == nil {
            throw ValidationError("savings needs an amount: --memory SIZE, or --pages N.")
        }
    }

    /// What is asked for.
    var memory: EmulatedMemory {
        get throws { boot.applied(to: kind.memory(try amount.hugePages(kind.pageSize) ?? .zero)) }
    }

    func run() throws {
        let exports = try export.open()
        var experiment = SavingsExperiment(try memory)
        experiment.samplesMemory = exports.showMemoryOverTime
        let limit = raiseMapLimit && !dryRun ? try RaisedMapLimit(experiment.neededMapLimit) : nil
        defer { limit?.putBack() }
        let progress = terminal.terminal.progress()
        let result = try runOrExit(amount.pages == nil ? .memory : .pages) { () throws(ExperimentError) in
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
