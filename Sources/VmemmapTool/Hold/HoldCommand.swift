import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap hold`.
struct HoldCommand: ParsableCommand, TakesScheme {
    static let configuration = CommandConfiguration(
        commandName: "hold",
        abstract: "Build an optimized vmemmap and hold it, so that other tools can look at it.",
        discussion: """
            Example: vmemmap hold --pages 64 --touch
            Example: vmemmap inspect --pid PID  # meanwhile, in another terminal

            Waits for Enter, SIGINT, SIGTERM or SIGHUP, then cleans up.

            \(ExitStatus.help("hold"))
            """)

    @OptionGroup(title: "Emulated memory") var emulation: EmulationOptions<Self>
    @OptionGroup(title: "Emulated memory") var boot: AtBootOption
    @OptionGroup(title: "Emulated memory") var nodes: NodeOptions
    @OptionGroup var node: NodeFlag

    @Option(help: ArgumentHelp("Threads that read all the while.", valueName: "N"))
    var walkers = Given<Int>("0")

    @Flag(help: "Visit every struct page first, so that every tail has its page table entry.")
    var touch = false

    @Flag(help: "Restore the huge pages again before holding.")
    var restored = false

    @Flag(help: "With --scheme device-dax: the struct pages in the device's own memory, where nothing is shared.")
    var altmap = false

    @Option(
        help: ArgumentHelp(
            "Write kpageflags, kpagecount and kpagecgroup of the emulated memory into a folder that is there, for "
                + "programs that take another for /proc.", valueName: "DIR"),
        completion: .directory)
    var exportProc: String?

    @Flag(help: ArgumentHelp("End with standard input too.", visibility: .hidden))
    var untilInputEnds = false

    @OptionGroup(title: "Export") var json: JSONOption
    @OptionGroup(title: "Export") var pageFlags: PageFlagsOption
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        try WholeNumber.check(walkers, of: "--walkers", in: 0...256)
        try boot.check(emulation.kind)
        if boot.atBoot, restored {
            throw ValidationError("--at-boot sets no memory aside for --restored: use one of the two.")
        }
        try nodes.count?.check(divides: emulation.memory.pages.rawValue, "huge pages")
        // Each node knows the flags of its own frames only.
        for (option, isGiven) in [
            ("--export-kpageflags", pageFlags.exportKpageflags != nil), ("--export-proc", exportProc != nil),
            ("--altmap", altmap),
        ] {
            try OptionRule.check(option, isGiven: isGiven, excludes: "--nodes", isOtherGiven: nodes.count != nil)
        }
        let isDevice = !emulation.kind.scheme.isRemapped
        try OptionRule.check(
            "--altmap", isGiven: altmap, belongsTo: "--scheme device-dax", isOtherGiven: isDevice)
        if isDevice, restored {
            throw ValidationError("--scheme device-dax is never restored: leave --restored out.")
        }
    }

    /// Throws where the kernel would not share the vmemmap of a device.
    private func checkDevice() throws(ExperimentError) {
        guard altmap, let geometry = Geometry(basePageSize: memory.basePageSize, hugePageSize: memory.pageSize),
            let reason = DeviceVmemmap.refusal(geometry, isAltmap: altmap)
        else { return }
        throw .notSupported(reason)
    }

    private var memory: EmulatedMemory { boot.applied(to: emulation.memory) }

    func run() throws {
        if node.asNode { return try runAsNode() }
        let files = try ExportFile.open(
            [json.exportJson, pageFlags.exportKpageflags] + (exportProc.map { try ProcExport.paths(in: $0) } ?? []))
        let (export, flagsFile) = (files[0], files[1])
        let proc = exportProc.map { _ in ProcExport(files.dropFirst(2).compactMap(\.self)) }
        let ownsOutput = !files.contains { $0?.isStandardOutput == true } && !terminal.quiet
        // Before any thread is started: they inherit the blocked signals.
        let signals = try TerminationSignals()
        let host = try runOrExit { () throws(ExperimentError) in try HostBlock.current() }
        let limit = terminal.terminal.style.wrapped(PlanReport.hiddenLimit(host).map { ["limits  \($0)"] } ?? [])
        if let count = nodes.count { return try hold(count, signals, export, ownsOutput, limit) }
        let progress = terminal.terminal.progress()
        let held = try runOrExit(.pagesOfNodes) { () throws(ExperimentError) in
            defer { progress.clear() }
            try checkDevice()
            return try experiment.begin(progress: progress.show)
        }
        if let proc {
            try PageFlagsOption.check(try runOrExit { () throws(ExperimentError) in try held.write(proc) })
        }
        if let flagsFile {
            let flags = try runOrExit { () throws(ExperimentError) in try held.writePageFlags(to: flagsFile.write) }
            flagsFile.finish()
            try PageFlagsOption.check(flags)
        }
        export?.finish(
            try JSONExport.text(HoldExport(experiment, nodes: nodes.count, held.description), command: "hold"))
        if ownsOutput {
            Output.print(
                limit + HoldReport.lines(held.description, restored: restored, terminal.terminal.style))
        }
        // Nobody could find what is held.
        try Output.check()
        _ = try signals.wait(forEndOfInput: untilInputEnds)
        try finish(held.end(), ownsOutput)
    }

    private var experiment: HoldExperiment {
        HoldExperiment(memory, walkers: walkers.value, touch: touch, restored: restored)
    }

    /// What walkers read is checked in the end: the export was written before, for those who look meanwhile.
    private func finish(_ tally: HoldReads?, _ ownsOutput: Bool) throws {
        guard let checks = tally.map({ [Check.walkersReadRight(wrong: $0.wrong, of: $0.reads)] }) else { return }
        if ownsOutput { Output.print(Check.lines(checks, terminal.terminal.style)) }
        if !checks.holds { throw ExitCode.violation }
    }

    // MARK: Emulated nodes

    private func hold(
        _ count: NodeCount, _ signals: TerminationSignals, _ export: ExportFile?, _ ownsOutput: Bool, _ limit: [String]
    ) throws {
        let progress = terminal.terminal.progress()
        let options =
            ["--walkers", "\(walkers.value)"] + (touch ? ["--touch"] : []) + (restored ? ["--restored"] : [])
        let held = try runOrExit { () throws(ExperimentError) in
            defer { progress.clear() }
            return try HoldNodes(memory, count, options: options, signals, progress: progress.show)
        }
        export?.finish(
            try JSONExport.text(HoldExport(experiment, nodes: nodes.count, held.description), command: "hold"))
        if ownsOutput {
            Output.print(
                limit + HoldReport.lines(held.description, restored: restored, terminal.terminal.style))
        }
        try Output.check()
        let tally = try runOrExit { () throws(ExperimentError) in
            try held.awaitEnd(forEndOfInput: untilInputEnds)
            return try held.end()
        }
        try finish(tally, ownsOutput)
    }

    private func runAsNode() throws {
        try NodeLink.begin()
        let held = try runOrExit { () throws(ExperimentError) in try experiment.begin(progress: NodeLink.progress()) }
        try NodeLink.say(.result, held.description)
        NodeLink.awaitEnd()
        if let tally = held.end() { try NodeLink.say(.result, tally) }
    }
}
