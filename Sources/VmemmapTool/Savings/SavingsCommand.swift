import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap savings`.
struct SavingsCommand: ParsableCommand, TakesScheme {
    static let configuration = CommandConfiguration(
        commandName: "savings",
        abstract: "Execute the saving for an amount of emulated HugeTLB memory, and measure it step by step.",
        discussion: """
            Example: vmemmap savings --memory 8G --scheme shared-tail --tail-frames auto

            The struct pages of 1 TiB take 16 GiB of real memory, and in 2 MiB pages more mappings than one process \
            may have: use --nodes auto.

            \(ExitStatus.help("savings"))
            """)

    @OptionGroup(title: "Emulated memory") var amount: AmountOptions
    @OptionGroup(title: "Emulated memory") var kind: HugePageOptions<Self>
    @OptionGroup(title: "Emulated memory") var boot: AtBootOption
    @OptionGroup(title: "Emulated memory") var nodes: NodeOptions
    @OptionGroup var node: NodeFlag

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
        try OptionRule.check(
            "--raise-map-limit", isGiven: raiseMapLimit, excludes: "--nodes", isOtherGiven: nodes.count != nil)
        if let pages = try amount.hugePages(kind.pageSize) {
            try nodes.count?.check(divides: pages.rawValue, "huge pages")
        }
    }

    /// What is asked for.
    var memory: EmulatedMemory {
        get throws { boot.applied(to: kind.memory(try amount.hugePages(kind.pageSize) ?? .zero)) }
    }

    private var sizing: ErrorText.Sizing { amount.pages.number == nil ? .memory : .pagesOfNodes }

    func run() throws {
        if node.asNode { return try runAsNode() }
        let exports = try export.open()
        let result = try nodes.count.map(resultOfNodes) ?? resultOfThisProcess(exports)
        try exports.finish(result)
        terminal.terminal.print(exports) { SavingsReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    private func resultOfThisProcess(_ exports: Exports) throws -> SavingsResult {
        var experiment = SavingsExperiment(try memory)
        experiment.samplesMemory = exports.showMemoryOverTime
        if dryRun {
            return try runOrExit(sizing) { () throws(ExperimentError) in
                try experiment.plan(raisingMapLimit: raiseMapLimit)
            }
        }
        let progress = terminal.terminal.progress()
        func run() throws(ExperimentError) -> SavingsResult {
            defer { progress.clear() }
            return try experiment.run(progress: progress.show)
        }
        guard raiseMapLimit else { return try runOrExit(sizing, run) }
        // Before any thread is started.
        let signals = try SignalPutBack()
        let changed = try runOrExit(sizing) { () throws(ExperimentError) in
            try RaisedMapLimit.raise(for: [experiment.memory])
        }
        defer { SignalPutBack.putBack(changed) }
        // Where nothing is changed, too: the signals are blocked now, and somebody must take them.
        try signals.watch(changed)
        return try runOrExit(sizing) { () throws(ExperimentError) in try signals.unlessEnding(run) }
    }

    private func resultOfNodes(_ count: NodeCount) throws -> SavingsResult {
        let experiment = SavingsNodesExperiment(memory: try memory, nodes: count)
        if dryRun { return try runOrExit(sizing) { () throws(ExperimentError) in try experiment.plan() } }
        // Before any thread is started: they inherit the blocked signals.
        let signals = try TerminationSignals()
        let progress = terminal.terminal.progress()
        return try runOrExit(sizing) { () throws(ExperimentError) in
            defer { progress.clear() }
            return try experiment.run(signals, progress: progress.show)
        }
    }

    private func runAsNode() throws {
        try NodeLink.begin()
        var experiment = SavingsExperiment(try memory)
        experiment.awaitTurn = NodeLink.awaitTurn
        let result = try runOrExit { () throws(ExperimentError) in
            try experiment.run(progress: NodeLink.progress())
        }
        try NodeLink.say(.result, result)
    }
}
