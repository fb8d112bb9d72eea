import ArgumentParser

/// `vmemmap compare`.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare two exports of the same command, figure by figure.",
        discussion: """
            Example: vmemmap bench --export-json old.json; vmemmap bench --export-json new.json
            Example: vmemmap compare old.json new.json --fail-above 10

            Of a median, the range over its runs tells noise: two figures differ if each lies outside the other's \
            range. Counts and amounts differ if they are not the same. Of the whole process's memory and mappings, \
            which differ a little from run to run, it is unknown, and --fail-above leaves them out.

            \(ExitStatus.help("compare"))
            """)

    @Argument(help: "The older export: what --export-json wrote.", completion: .file(extensions: ["json"]))
    var old: String

    @Argument(help: "The newer one.", completion: .file(extensions: ["json"]))
    var new: String

    @Option(
        help: ArgumentHelp(
            "Exit with 2 if a time or ratio grew, or anything else changed, by more than this and than noise, if a "
                + "figure is missing, if the new run failed its checks, or if the two were not asked for the same.",
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
