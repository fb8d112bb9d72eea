import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap plan`.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Forecast what optimizing gives back, and at what cost, for any amount of memory.",
        discussion: "Example: vmemmap plan --memory 128G --scheme head")

    @Option(
        help: ArgumentHelp("Memory in huge pages; this host's if left out.", valueName: "SIZE[K|M|G|T]"),
        transform: MemorySize.parse)
    var memory: MemorySize?

    @Option(help: "Only this size of huge page: 2M or 1G.")
    var pageSize: HugePageSize?

    @Option(help: "Only this scheme.")
    var scheme: Scheme?

    @Option(help: "What an emulation's region would consist of.")
    var backing = Backing.anonymous

    @Option(
        help: ArgumentHelp("How many frames in a row would serve the tails (default: 1).", valueName: "R|auto"),
        transform: TailFrames.parse)
    var tailFrames = TailFrames.frames(PageCount(1))

    @Option(help: "sizeof(struct page) in bytes; nothing can be freed where it is no power of two.")
    var structPageSize = StructPageSize(bytes: StructPage.size)

    @OptionGroup var export: ExportOptions
    @OptionGroup var terminal: TerminalOptions

    func validate() throws {
        // Each row says what run it has.
        try TailFrames.check(tailFrames, for: scheme.map { [$0] } ?? Scheme.allCases, sizes)
        try memory?.check(holds: pageSize ?? .twoMebibytes)
    }

    private var sizes: [HugePageSize] { pageSize.map { [$0] } ?? [.twoMebibytes, .oneGibibyte] }

    func run() throws {
        let exports = try export.open()
        let result = try runOrExit { () throws(ExperimentError) in
            try PlanExperiment(
                memory: memory?.bytes, sizes: sizes,
                schemes: scheme.map { [$0] } ?? Scheme.allCases, backing: backing, tailFrames: tailFrames,
                structPageSize: structPageSize.bytes
            ).run()
        }
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
