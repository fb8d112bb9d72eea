import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap inspect`.
struct InspectCommand: ParsableCommand, TakesPages, TakesTailFrames {
    private static let pagesByDefault: HugePageCount = 64
    static let pagesHelp = "Huge pages of the temporary hold (default: \(pagesByDefault.rawValue))."
    static let defaultTailFrames = "as the region's label says"
    static let findsTailFrames = false

    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Look at a held vmemmap from outside, and compare it with what its scheme says.",
        discussion: """
            Example: vmemmap inspect --pages 64 --scheme shared-tail
            Example: vmemmap inspect --pid PID  # of a running vmemmap hold

            Reads /proc/PID/maps, pagemap, smaps and fd, as any other tool does: as the same user, or as root. \
            Without --pid it starts a temporary vmemmap hold and ends it.

            \(ExitStatus.help("inspect"))
            """)

    @Option(
        help: ArgumentHelp("Process to inspect (default: start a temporary vmemmap hold).", valueName: "PID"),
        transform: {
            guard let pid = Int32($0) else {
                throw ValidationError("it must be a whole number from 1 to \(Int32.max)")
            }
            return pid
        })
    var pid: Int32?

    @Option(help: ArgumentHelp("Where its region is, as hold prints it.", valueName: "START+LENGTH"))
    var region: RegionPlace?

    @OptionGroup(title: "Sizes (default: as the region's label says)") var geometry: GeometryOptions

    @Option(help: "How the vmemmap is shared (default: as the region's label says).")
    var scheme: Scheme?

    @Option(help: "What the region consists of (default: as the region's label says).")
    var backing: Backing?

    @OptionGroup var tailFrames: TailFramesOption<Self>
    @OptionGroup var pages: PagesOption<Self>

    @Flag(help: "Have the temporary hold restore the huge pages again.")
    var restored = false

    @OptionGroup var nodes: NodeOptions

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        if let pid, pid < 1 { throw ValidationError("--pid must be at least 1, not \(pid).") }
        // A hold of its own has what hold has by default; of another's region, whatever its label says.
        let (schemes, sizes): ([Scheme], [HugePageSize]) =
            pid == nil ? ([.firstTail], [memory.pageSize]) : (Scheme.allCases, [memory.pageSize, .oneGibibyte])
        try tailFrames.check(
            for: scheme.map { [$0] } ?? schemes, geometry.pageSize.map { [$0] } ?? sizes,
            basePageSize: geometry.basePageSize)
        if pid != nil, pages.number != nil || restored || nodes.count != nil {
            throw ValidationError(
                "--pages, --nodes and --restored are for a temporary hold: --pid names a process that runs already.")
        }
        if pid == nil { try geometry.check(frees: [scheme ?? .firstTail]) }
        try nodes.count?.check(divides: memory.pages.rawValue, "huge pages")
        if pid == nil, region != nil {
            throw ValidationError("--region says where in a process: --pid has to say in which.")
        }
    }

    func run() throws {
        let exports = try export.open()
        let terminal = terminal.terminal
        if let count = nodes.count { return try inspect(count, exports) }
        let result: InspectResult
        if let pid {
            result = try inspect(pid)
        } else {
            let held = try HeldChild(memory.arguments + holdOptions)
            defer { held.end() }
            result = try inspect(held.pid)
        }
        try exports.finish(result)
        terminal.print(exports) { InspectReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    private func inspect(_ pid: Int32) throws -> InspectResult {
        var description = InspectExperiment.Description()
        let isSized = geometry.arch != nil || geometry.basePage != nil
        description.basePageSize = isSized ? geometry.basePageSize : nil
        description.pageSize = geometry.pageSize ?? geometry.arch.map { _ in memory.pageSize }
        description.scheme = scheme
        description.backing = backing
        if case .frames(let count) = tailFrames.given { description.tailFrames = count }
        return try runOrExit { () throws(ExperimentError) in
            try InspectExperiment(
                pid: pid, region: region?.range, description: description, configuration: configuration
            ).run()
        }
    }

    /// Holds the huge pages in emulated nodes, and looks at each.
    private func inspect(_ count: NodeCount, _ exports: Exports) throws {
        // Before any thread is started: they inherit the blocked signals.
        let signals = try TerminationSignals()
        let result = try runOrExit { () throws(ExperimentError) in
            let held = try HoldNodes(memory, count, options: holdOptions, signals, progress: { _ in })
            let result = try InspectNodesResult(held.description.nodes.map(\.pid), configuration)
            _ = try held.end()
            return result
        }
        try exports.finish(result)
        terminal.terminal.print(exports) { InspectReport.lines(ofNodes: result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    /// What the temporary hold holds.
    private var memory: EmulatedMemory {
        EmulatedMemory(
            pages: pages.count ?? Self.pagesByDefault, pageSize: geometry.hugePageSize([scheme ?? .firstTail]),
            basePageSize: geometry.basePageSize, scheme: scheme ?? .firstTail, backing: backing ?? .anonymous,
            tailFrames: tailFrames.value)
    }

    /// What was asked for, as exported.
    private var configuration: InspectResult.Configuration {
        guard pid == nil else {
            let isSized = geometry.arch != nil || geometry.basePage != nil
            return InspectResult.Configuration(
                basePageBytes: Measured(isSized ? geometry.basePageSize : nil),
                hugePageBytes: Measured((geometry.pageSize ?? geometry.arch.map { _ in memory.pageSize })?.bytes),
                scheme: Measured(scheme), backing: Measured(backing),
                tailFrames: Measured(tailFrames.given.map { "\($0)" }))
        }
        return InspectResult.Configuration(
            pages: .value(memory.pages), basePageBytes: .value(memory.basePageSize),
            hugePageBytes: .value(memory.pageSize.bytes), scheme: .value(memory.scheme),
            backing: .value(memory.backing), tailFrames: .value("\(memory.tailFrames)"), isRestored: restored,
            nodes: Measured(nodes.count.map(\.text)))
    }

    /// What it does with that.
    private var holdOptions: [String] { ["--touch"] + (restored ? ["--restored"] : []) }
}

/// A place in an address space on the command line: `START+LENGTH`, both hexadecimal with 0x or decimal.
struct RegionPlace: ExpressibleByArgument {
    let range: AddressRange

    init?(argument: String) {
        let parts = argument.split(separator: "+", omittingEmptySubsequences: false)
        // Between the guard pages that every region has, and below where the kernel's half of the addresses begins.
        let guardPage = UInt(HostLimits.pageSize.rawValue)
        guard parts.count == 2, let start = Self.number(parts[0]), let length = Self.number(parts[1]),
            let bytes = Int(exactly: length), bytes > 0, start >= guardPage,
            length < 1 << 63 - guardPage, start < 1 << 63 - guardPage - length
        else { return nil }
        range = AddressRange(start: Address(start), length: ByteCount(bytes))
    }

    private static func number(_ text: Substring) -> UInt? {
        text.hasPrefix("0x") ? UInt(text.dropFirst(2), radix: 16) : UInt(text)
    }
}
