internal import ArgumentParser
internal import Experiments
internal import Reports
internal import VmemmapEmulator

/// `vmemmap bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Time optimize and restore against a bare C loop of the same system calls.",
        discussion: "Example: vmemmap bench --pages 2048 --runs 15")

    @OptionGroup var emulation: EmulationOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Alternating pairs to count (default: 9); one more warms up.", valueName: "N"),
        transform: WholeNumber.parse)
    var runs = 9

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Measure N huge pages first, and say how the time of one grows.", valueName: "N"),
        transform: WholeNumber.parse)
    var growthFrom: Int?

    @Flag(help: "Raise vm.max_map_count if the plan needs it, and put it back on every way out (root).")
    var raiseMapLimit = false

    @OptionGroup var export: ExportOptions
    @OptionGroup var terminal: TerminalOptions

    func validate() throws {
        try WholeNumber.check(runs, of: "--runs", in: 1...1000)
        if let growthFrom { try WholeNumber.check(growthFrom, of: "--growth-from", in: 1...emulation.pages) }
    }

    func run() throws {
        let exports = try export.open()
        let experiment = FloorExperiment(
            emulation.memory, runs: runs, growthFrom: growthFrom.map { HugePageCount($0) })
        let limit = raiseMapLimit ? try RaisedMapLimit(experiment.neededMapLimit) : nil
        defer { limit?.putBack() }
        let result = try runOrExit { () throws(ExperimentError) in try experiment.run() }
        try terminal.terminal.print(exports) { FloorReport.lines(result, $0) }
        try exports.finish(result)
    }
}
