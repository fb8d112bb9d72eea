import ArgumentParser

/// `vmemmap compare`.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare two exports of the same command, figure by figure.",
        discussion: """
            Example: vmemmap bench --export-json old.json; vmemmap bench --export-json new.json
            Example: vmemmap compare old.json new.json --fail-above 10

            Of a median, the range over its runs tells noise: two figures differ if their ranges do not meet; on a \
            busy machine take more pairs. Counts and amounts differ if they are not the same. A time that was taken \
            once has no range: its difference is unknown, and never fails. Nor does what varies between two runs of \
            the same: memory and mappings of the whole process, the host's state, how much was done in a time. What \
            only one of them has is missing; of what varies, that fails no more than a difference.

            \(ExitStatus.help("compare"))
            """)

    @Argument(help: "The older export: what --export-json wrote.", completion: .file(extensions: ["json"]))
    var old: String

    @Argument(help: "The newer one.", completion: .file(extensions: ["json"]))
    var new: String

    @Option(
        help: ArgumentHelp(
            "Exit with 2 if all new runs of a time or ratio are above all old ones by more than this, or a count or "
                + "amount changed by more, if an old figure is missing, if a check that passed is missing or not "
                + "measured, if the new run failed its checks, or if the two were not asked for the same.",
            valueName: "PERCENT"))
    var failAbove: Double?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        if let failAbove, !(failAbove >= 0 && failAbove <= 1e6) {
            throw ValidationError("--fail-above must be from 0 to 1000000 here, not \(failAbove).")
        }
    }

    func run() throws {
        let comparison = Comparison(old: old, new: new, failAbovePercent: failAbove)
        let result = try comparison.run()
        let exports = try export.open(reading: [old, new])
        try exports.finish(result)
        terminal.terminal.print(exports) { CompareReport.lines(result, $0) }
        if result.verdict == false { throw ExitCode.violation }
    }
}
