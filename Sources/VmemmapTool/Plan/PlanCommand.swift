import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap plan`.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Forecast what optimizing gives back, and at what cost, for any amount of memory.",
        discussion: "Example: vmemmap plan --memory 128G --scheme head")

    @OptionGroup(title: "Memory (default: this host's)") var amount: AmountOptions

    @Option(help: "Only this size of huge page (default: both; with --pages 2M).")
    var pageSize: HugePageSize?

    @Option(help: "Only this scheme (default: all).")
    var scheme: Scheme?

    @Option(help: OptionHelp.backing)
    var backing = Backing.anonymous

    @Option(help: OptionHelp.tailFrames)
    var tailFrames = Given<TailFrames>("1")

    @Option(help: "sizeof(struct page) in bytes; nothing can be freed where it is no power of two.")
    var structPageSize = StructPageSize(bytes: StructPage.size)

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        // Each row says what run it has.
        try TailFrames.check(tailFrames, for: schemes, sizes)
        _ = try amount.bytes(sizes[0])
    }

    private var sizes: [HugePageSize] {
        pageSize.map { [$0] } ?? (amount.pages == nil ? [.twoMebibytes, .oneGibibyte] : [.twoMebibytes])
    }

    private var schemes: [Scheme] { scheme.map { [$0] } ?? Scheme.allCases }

    /// What is asked for.
    var experiment: PlanExperiment {
        get throws {
            PlanExperiment(
                memory: try amount.bytes(sizes[0]), sizes: sizes, schemes: schemes, backing: backing,
                tailFrames: tailFrames.value, structPageSize: structPageSize.bytes)
        }
    }

    func run() throws {
        let exports = try export.open()
        let experiment = try experiment
        let result = try runOrExit { () throws(ExperimentError) in try experiment.run() }
        try exports.finish(result)
        terminal.terminal.print(exports) { ForecastReport.lines(result, $0) }
    }
}

/// sizeof(struct page) on the command line, in bytes.
struct StructPageSize: ExpressibleByArgument {
    let bytes: ByteCount

    init(bytes: ByteCount) { self.bytes = bytes }

    init?(argument: String) {
        guard let bytes = Int(argument), Geometry.structPageSizes.contains(ByteCount(bytes)) else { return nil }
        self.bytes = ByteCount(bytes)
    }

    var defaultValueDescription: String { "\(bytes)" }

    static var allValueStrings: [String] { Geometry.structPageSizes.map { "\($0)" } }
}
