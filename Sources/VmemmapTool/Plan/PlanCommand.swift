import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap plan`.
struct PlanCommand: ParsableCommand, TakesTailFrames {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Forecast what optimizing gives back, and at what cost, for any amount of memory.",
        discussion: """
            Example: vmemmap plan
            Example: vmemmap plan 400G@2M 64G@1G --of 512G
            Example: vmemmap plan --arch all --scheme head

            \(ExitStatus.help("plan"))
            """)

    @Argument(
        help: ArgumentHelp("Pools: memory, and the size of its huge pages.", valueName: "SIZE@PAGE"),
        transform: PlannedPool.parse)
    var pools: [PlannedPool] = []

    @Option(
        help: ArgumentHelp("The memory that the pools are a part of.", valueName: "SIZE"),
        transform: MemorySize.parse)
    var of: MemorySize?

    @OptionGroup(title: "Memory (default: this host's)") var amount: AmountOptions

    @Option(help: "Another architecture, or a table of all (default: this host's).")
    var arch: ArchitectureChoice?

    /// Refused with what there is in its place. The parser would take its value for a pool, and that for the mistake.
    @Option(help: .hidden)
    var basePage: String?

    @Option(
        help: ArgumentHelp(
            "Only this size of huge page, \(OptionHelp.pageSizes) (default: each; with --pages 2M).",
            valueName: "SIZE"),
        completion: .list(HugePageSize.usual), transform: HugePageSize.parse)
    var pageSize: HugePageSize?

    @Option(help: "Only this scheme (default: all).")
    var scheme: Scheme?

    @Option(help: OptionHelp.backing)
    var backing = Backing.anonymous

    @OptionGroup var tailFrames: TailFramesOption<Self>

    @Option(
        help: ArgumentHelp(
            "sizeof(struct page) in bytes; nothing can be freed where it is no power of two. 8, 16 and 32: what it may "
                + "shrink to.", valueName: "BYTES"))
    var structPageSize = StructPageSize(bytes: StructPage.size)

    @Flag(help: "Also 1 TiB, as in the cover letter of v5.")
    var coverLetter = false

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        try checkBasePage()
        let isAmount = amount.memory != nil || amount.pages.number != nil
        for (option, isGiven) in [
            ("--memory or --pages", isAmount), ("--page-size", pageSize != nil), ("--cover-letter", coverLetter),
            ("A pool", !pools.isEmpty),
        ] {
            try OptionRule.check(option, isGiven: isGiven, excludes: "--arch all", isOtherGiven: arch?.name == "all")
        }
        for (option, isGiven) in [("--memory or --pages", isAmount), ("--page-size", pageSize != nil)] {
            try OptionRule.check(option, isGiven: isGiven, excludes: "pools", isOtherGiven: !pools.isEmpty)
        }
        try OptionRule.check("--of", isGiven: of != nil, belongsTo: "pools", isOtherGiven: !pools.isEmpty)
        try checkPools()
        for size in sizes { try arch?.one?.check(has: size, schemes) }
        // Each row says how many it has.
        try tailFrames.check(
            for: schemes, sizes, basePageSize: arch?.one?.basePageSize ?? HostLimits.pageSize)
        _ = try amount.bytes(sizes[0], saysRest: true)
    }

    private func checkBasePage() throws {
        guard let basePage else { return }
        let bytes = (try? MemorySize.parse(basePage))?.bytes
        let such = Architecture.allCases.filter { $0.basePageSize == bytes }
        let names = (such.isEmpty ? Architecture.allCases : such).map(\.rawValue).joined(separator: ", ")
        let use = such.isEmpty ? "use" : "for base pages of \(basePage) use"
        throw ValidationError(
            "plan has no --base-page, as an architecture has its own: \(use) --arch, one of \(names).")
    }

    private var sizes: [HugePageSize] {
        if !pools.isEmpty { return pools.compactMap { HugePageSize(bytes: $0.hugePageBytes) } }
        if let pageSize { return [pageSize] }
        if let architecture = arch?.one { return architecture.hugePageSizes(of: schemes) }
        return amount.pages.number == nil ? [.twoMebibytes, .oneGibibyte] : [.twoMebibytes]
    }

    private func checkPools() throws {
        var sum = ByteCount.zero
        for pool in pools {
            if pool.pages == .zero {
                let (memory, size) = (Format.bytes(pool.memoryBytes), Format.bytes(pool.hugePageBytes))
                throw ValidationError("\(memory) hold no huge page of \(size): give a pool at least one.")
            }
            guard let next = sum.adding(pool.memoryBytes), next <= of?.bytes ?? MemorySize.most else {
                let most = Format.bytes(of?.bytes ?? MemorySize.most)
                throw ValidationError("The pools together are more than \(most).")
            }
            sum = next
        }
        guard Set(pools.map(\.hugePageBytes)).count == pools.count else {
            throw ValidationError("There is one pool of a size of huge page: give each size once.")
        }
    }

    private var schemes: [Scheme] { scheme.map { [$0] } ?? Scheme.ofHugeTLB }

    /// What is asked for.
    var experiment: PlanExperiment {
        get throws {
            PlanExperiment(
                memory: try amount.bytes(sizes[0], saysRest: true), pools: pools, of: of?.bytes, architecture: arch,
                sizes: sizes,
                schemes: schemes, backing: backing, tailFrames: tailFrames.value,
                structPageSize: structPageSize.bytes, hasCoverLetter: coverLetter)
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
        guard let bytes = Int(argument), Self.sizes.contains(ByteCount(bytes)) else { return nil }
        self.bytes = ByteCount(bytes)
    }

    var defaultValueDescription: String { "\(bytes.rawValue)" }

    static var allValueStrings: [String] { sizes.map { "\($0.rawValue)" } }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    private static var sizes: [ByteCount] { Geometry.plannedStructPageSizes + Geometry.structPageSizes }
}
