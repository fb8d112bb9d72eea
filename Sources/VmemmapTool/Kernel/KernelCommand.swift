import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap kernel`.
struct KernelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernel",
        abstract:
            "Say what this host's own kernel offers of vmemmap optimization; as root, measure it beside the emulator.",
        discussion: """
            Example: vmemmap kernel
            Example: sudo vmemmap kernel --measure --pages 64 --runs 5

            --measure adds N huge pages to the host's own pool and takes them out again, with vm.hugetlb_optimize_vmemmap off and on \
            in turn, and puts both settings back on every way out. Exits with 2 if the emulator does not save what the kernel does.
            """)

    @Flag(help: "Measure the host's own pool beside the emulator's head scheme (root).")
    var measure = false

    @Option(
        help: ArgumentHelp("With --measure: how many huge pages to add.", valueName: "N"),
        transform: WholeNumber.parse)
    var pages: Int?

    @Option(help: "With --measure: their size, 2M (the default) or 1G.")
    var pageSize: HugePageSize?

    @Option(
        help: ArgumentHelp("With --measure: rounds to count, each once off and once on (default: 2).", valueName: "R"),
        transform: WholeNumber.parse)
    var runs: Int?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        if let pages { try WholeNumber.check(pages, of: "--pages", in: 1...Int.max) }
        if let runs { try WholeNumber.check(runs, of: "--runs", in: 1...1000) }
        if measure, pages == nil {
            throw ValidationError("--measure needs --pages N: how many huge pages to add to the host's pool.")
        }
        if !measure, pages != nil || pageSize != nil || runs != nil {
            throw ValidationError("--pages, --page-size and --runs are for --measure.")
        }
    }

    func run() throws {
        let exports = try export.open()
        let result =
            if measure, let pages {
                try measured(pages)
            } else {
                try runOrExit { () throws(ExperimentError) in try KernelExperiment().look() }
            }
        try exports.finish(result)
        terminal.terminal.print(exports) { KernelReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    private func measured(_ pages: Int) throws -> KernelResult {
        let measurement = KernelMeasurement(
            pages: HugePageCount(pages), pageSize: pageSize ?? .twoMebibytes, rounds: runs ?? 2)
        let signals = try SignalPutBack()
        let experiment = KernelExperiment()
        let settings = try runOrExit { () throws(ExperimentError) in try experiment.guardSettings(of: measurement) }
        try signals.watch([settings])
        let progress = terminal.terminal.progress()
        return try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            return try signals.unlessEnding { () throws(ExperimentError) in
                try experiment.measure(measurement, settings, progress: progress.show)
            }
        }
    }
}
