import ArgumentParser
import HostLab
import HostMemory
import KernelMemory
import SystemPackage
import VmemmapEmulator

/// `vmemmap kernel`.
struct KernelCommand: ParsableCommand, TakesPages {
    static let pagesHelp = "With --measure and --page-tables: how many huge pages to add (--page-tables: 2 by default)."

    static let configuration = CommandConfiguration(
        commandName: "kernel",
        abstract:
            "Say what this host's kernel offers of vmemmap optimization; as root, measure it and read its page tables.",
        discussion: """
            Example: vmemmap kernel
            Example: sudo vmemmap kernel --measure --pages 512
            Example: sudo vmemmap kernel --page-tables
            Example: sudo vmemmap kernel --existing --record FILE

            --measure adds N huge pages to the host's own pool and takes them out again, with \
            vm.hugetlb_optimize_vmemmap off and on in turn, and puts both settings back on every way out. One huge \
            page comes first: if the kernel loses it, nothing more is taken.

            --page-tables does the same once and reads the kernel's own page tables meanwhile: which frame each \
            vmemmap page maps, and how it is protected. It takes root. --existing and --pfn change nothing; CAP_BPF \
            and \
            CAP_PERFMON are enough for them. The kernel's memory is never written to. Where it cannot be read, all of \
            them exit with 4, the reason and what would allow it.

            \(ExitStatus.help("kernel"))
            """)

    @Flag(help: "Measure the host's own pool beside the emulator under the same scheme (root).")
    var measure = false

    @Flag(help: "Draw what the kernel's page tables map for huge pages added with HVO off and with HVO on (root).")
    var pageTables = false

    @Flag(help: "Read the page tables of the huge pages that are in the pools; change nothing.")
    var existing = false

    @Option(
        help: ArgumentHelp("Read the page tables of the huge page that this frame is part of.", valueName: "PFN"),
        transform: FrameNumber.parse)
    var pfn: UInt64?

    @Option(
        help: ArgumentHelp("Show what a recording of --record has, on any machine.", valueName: "FILE"),
        completion: .file())
    var replay: String?

    @Option(
        help: ArgumentHelp(
            "Record what is read of page tables and struct pages (mode 0600: it is kernel memory).", valueName: "FILE"),
        completion: .file())
    var record: String?

    @Option(help: "How the kernel's memory is read: bpf or kcore (default: bpf, kcore on a kernel without it).")
    var kernelMemory: KernelVmemmap.Source?

    @OptionGroup var pages: PagesOption<Self>

    @Option(help: ArgumentHelp("With --measure and --page-tables: their size (default: 2M).", valueName: "SIZE"))
    var pageSize: HugePageSize?

    @Option(
        help: ArgumentHelp("With --measure: pairs to count, each once off and once on (default: 5).", valueName: "N"),
        transform: WholeNumber.parse)
    var pairs: Int?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    /// Whether page tables are read that are there already.
    private var looksOnly: Bool { existing || pfn != nil || replay != nil }

    func validate() throws {
        if let pairs { try WholeNumber.check(pairs, of: "--pairs", in: 1...1000) }
        if measure, pages.number == nil {
            throw ValidationError("--measure needs --pages N: how many huge pages to add to the host's pool.")
        }
        if [measure, existing, pfn != nil, replay != nil].count(where: { $0 }) > 1 || measure && pageTables {
            throw ValidationError("--measure, --existing, --pfn and --replay exclude each other: use one of them.")
        }
        if !measure, !pageTables || looksOnly, pages.number != nil || pageSize != nil {
            throw ValidationError("--pages and --page-size are for --measure and for --page-tables alone.")
        }
        if !measure, pairs != nil { throw ValidationError("--pairs is for --measure.") }
        if record != nil, replay != nil || !pageTables && !looksOnly {
            throw ValidationError("--record is for --page-tables, --existing and --pfn.")
        }
        if kernelMemory != nil, replay != nil || !pageTables && !looksOnly {
            throw ValidationError("--kernel-memory is for --page-tables, --existing and --pfn.")
        }
    }

    func run() throws {
        try runOrExit { () throws(ExperimentError) in
            do throws(ExperimentError) {
                try HostRoom.checkOwnMemory()
            } catch {
                // Where /proc hides how much there is, what can be read is shown all the same.
                guard case .host(let cause) = error, cause.isHidden else { throw error }
            }
        }
        let recording = try replay.map(readRecording)
        let exports = try export.open(reading: replay.map { [$0] } ?? [])
        let file = try record.map { try export.openPrivate($0) }
        if pageTables || looksOnly {
            let (result, block) = try shown(recording, file)
            try exports.finish(result)
            terminal.terminal.print(exports) { PageTablesReport.lines(result, block, $0) }
            if !result.holds { throw ExitCode.violation }
            return
        }
        let result =
            if measure, let pages = pages.count {
                try measured(pages)
            } else {
                try runOrExit { () throws(ExperimentError) in try KernelExperiment().look() }
            }
        try exports.finish(result)
        terminal.terminal.print(exports) { KernelReport.lines(result, $0) }
        if !result.holds { throw ExitCode.violation }
    }

    private func measured(_ pages: HugePageCount) throws -> KernelResult {
        let measurement = KernelMeasurement(
            pages: pages, pageSize: pageSize ?? .twoMebibytes, pairs: pairs ?? SampleSize.leastPairs)
        let experiment = KernelExperiment()
        return try changingSettings {
            () throws(ExperimentError) in
            try experiment.guardSettings(of: measurement)
        } run: { (settings, progress) throws(ExperimentError) in
            try experiment.measure(measurement, settings, progress: progress)
        }
    }

    /// Runs what changes settings of the host: a signal puts them back, too.
    private func changingSettings<Value>(
        _ guardSettings: () throws(ExperimentError) -> ChangedSettings,
        run: (ChangedSettings, @escaping ProgressSink) throws(ExperimentError) -> Value
    ) throws -> Value {
        let signals = try SignalPutBack()
        let settings = try runOrExit(.pagesAlone, guardSettings)
        try signals.watch([settings])
        let progress = terminal.terminal.progress()
        return try runOrExit(.pagesAlone) { () throws(ExperimentError) in
            defer { progress.clear() }
            return try signals.unlessEnding { () throws(ExperimentError) in try run(settings, progress.show) }
        }
    }

    // MARK: Page tables

    private func readRecording(_ path: String) throws -> KernelRecording {
        do {
            // A byte more than there can be, so that a longer file is not taken for one that ends there.
            let text = try HostKernel.readText(FilePath(path), upTo: KernelRecording.largestFile + 1)
            return try KernelRecording(text: text)
        } catch {
            throw ValidationError("cannot use the recording \(path): \(error)")
        }
    }

    private func shown(_ recording: KernelRecording?, _ file: ExportFile?) throws -> (KernelResult, PageTablesBlock) {
        let experiment = PageTablesExperiment(source: kernelMemory)
        let outcome: PageTablesExperiment.Outcome
        var configuration = KernelResult.Configuration(
            recording != nil ? .recording : pfn != nil ? .page : .existing)
        if let recording {
            do throws(ExperimentError) {
                outcome = try experiment.look(at: .recording(recording))
            } catch {
                switch error {
                // What it says cannot be followed.
                case .refused(let reason), .notSupported(let reason):
                    throw ValidationError("cannot use the recording \(replay ?? ""): \(reason)")
                default: outcome = try runOrExit { () throws(ExperimentError) in throw error }
                }
            }
        } else if looksOnly {
            outcome = try runOrExit { () throws(ExperimentError) in
                try experiment.look(at: pfn.map { .page(pfn: $0) } ?? .existing)
            }
        } else {
            // Who may not read it need not be told what else is missing.
            try runOrExit { () throws(ExperimentError) in try experiment.checkSupport() }
            var measurement = KernelMeasurement(pages: pages.count ?? 2, pageSize: pageSize ?? .twoMebibytes)
            measurement.option = "--page-tables"
            configuration = KernelResult.Configuration(.pageTables, measurement)
            outcome = try changingSettings {
                () throws(ExperimentError) in
                try measurement.guardSettings()
            } run: { (settings, progress) throws(ExperimentError) in
                try experiment.look(adding: measurement, settings, progress: progress)
            }
        }
        if let file, let recording = outcome.recording {
            let text = try runOrExit { () throws(ExperimentError) in
                do throws(KernelMemoryError) {
                    return try recording.textWithinLimits()
                } catch {
                    throw ExperimentError(error)
                }
            }
            file.finish(text)
            if !terminal.quiet {
                Output.error(
                    "note: \(record ?? "") holds words of this kernel's memory (page tables and struct pages), which "
                        + "tell where it lies"
                )
            }
        }
        let result = try runOrExit { () throws(ExperimentError) in
            KernelResult(
                host: try HostBlock.current(), configuration: configuration, kernel: try KernelOverview.current(),
                pageTables: outcome.block)
        }
        return (result, outcome.block)
    }
}

extension KernelVmemmap.Source: ExpressibleByArgument {}

/// A frame's number on the command line: decimal, or hexadecimal after 0x.
private enum FrameNumber {
    static func parse(_ text: String) throws -> UInt64 {
        let number = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let number, number < 1 << 40 else { throw ValidationError("\(text) is no frame number.") }
        return number
    }
}
