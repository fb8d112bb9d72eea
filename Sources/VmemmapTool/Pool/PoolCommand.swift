import ArgumentParser
import HostMemory
import VmemmapEmulator

/// `vmemmap pool`.
struct PoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Run a script of HugeTLB pool operations on real memory, one a line.",
        discussion: """
            Example: vmemmap pool scripts/examples/surplus.pool
            Example: sudo vmemmap pool --beside-kernel scripts/examples/beside-kernel/counters.pool
            Example: sudo vmemmap pool --random 200 --seed 1 --beside-kernel

            Lines: \(PoolLanguage.lines.map(\.form).joined(separator: "; ")). The manual page vmemmap-pool(5) has \
            what each means, and the words of boot.
            \(PoolLanguage.rules)

            --beside-kernel does every line on the host's own pools, too, and prints outcomes and counters of both. \
            The pools must be empty, half of the available memory is what they may take, and everything is put back on \
            every way out. What has no counterpart on the host is named before anything is run.

            --random draws N scripts and ends with the first difference, shrunk to the fewest lines, as a script. \
            Without --beside-kernel the emulated pools are held against plain counters, and no root is needed.

            \(ExitStatus.help("pool"))
            """)

    @Argument(
        help: ArgumentHelp("The script (default: standard input).", valueName: "FILE"),
        completion: .file(extensions: ["pool"]))
    var file: String?

    @Flag(help: "Do every line on the host's own pools, too, and compare (root).")
    var besideKernel = false

    @Option(
        help: ArgumentHelp("Draw N scripts in the place of FILE, and compare.", valueName: "N"),
        transform: WholeNumber.parse)
    var random: Int?

    @Option(
        help: ArgumentHelp("With --random: every script follows from it (default: a new one).", valueName: "S"),
        transform: Seed.parse)
    var seed: UInt64?

    @OptionGroup(title: "Export") var export: ExportOptions
    @OptionGroup(title: "Terminal") var terminal: TerminalOptions

    func validate() throws {
        if let random { try WholeNumber.check(random, of: "--random", in: 1...1_000_000) }
        if random != nil, file != nil { throw ValidationError("--random draws its scripts: give no FILE.") }
        if seed != nil, random == nil { throw ValidationError("--seed is for --random.") }
    }

    func run() throws {
        let exports = try export.open(reading: [file.flatMap { $0 == "-" ? nil : $0 } ?? "/dev/stdin"])
        let host = try runOrExit { () throws(ExperimentError) in try HostBlock.current() }
        if besideKernel || random != nil { return try runBeside(exports, host) }
        let progress = terminal.terminal.progress()
        defer { progress.clear() }
        let script = PoolScriptRun(name: scriptName, progress)
        let source = try ScriptSource(file)
        while let line = try source.nextLine() {
            guard let (outcome, nanoseconds) = try script.run(line, isRecorded: !exports.isEmpty) else {
                // The comments tell the story.
                let comment = Format.visible(line.trimmingSpaces)
                if comment.hasPrefix("#") || comment.isEmpty {
                    terminal.terminal.print(exports) { $0.wrapped([comment]).map($0.note) }
                }
                continue
            }
            terminal.terminal.print(exports) {
                $0.wrapped(["> \(Format.visible(line.trimmingSpaces))"])
                    + $0.wrapped(PoolScriptReport.lines(outcome, nanoseconds: nanoseconds, $0))
            }
            script.note(outcome)
        }
        try script.end()
        try exports.finish(PoolResult(host: host, script: script.name, lines: script.lines))
        if !script.checks.isEmpty {
            terminal.terminal.print(exports) { [""] + Check.lines(script.checks, $0, showsPassed: false) }
        }
        if !script.checks.holds { throw ExitCode.violation }
    }
}

/// A script under way: the line it is at, and what it has found.
private final class PoolScriptRun {
    let name: String
    private let session: PoolSession
    private let progress: ProgressLine
    private var number = 0
    /// What was expected so far.
    private(set) var checks: [Check] = []
    private(set) var lines: [PoolResult.Line] = []

    init(name: String, _ progress: ProgressLine) {
        self.name = name
        self.progress = progress
        session = PoolSession(progress: progress.show)
    }

    /// Runs a line; nil for one that says nothing. Exits at one that is none, or that the host cannot do.
    ///
    /// - Parameter isRecorded: whether the machine is measured after it, for an export.
    func run(_ line: String, isRecorded: Bool) throws -> (outcome: PoolOutcome, nanoseconds: Int)? {
        number += 1
        do throws(PoolSessionError) {
            let start = HostKernel.monotonicNanoseconds()
            guard let outcome = try run(line) else { return nil }
            let nanoseconds = HostKernel.monotonicNanoseconds() - start
            if isRecorded {
                lines.append(
                    PoolResult.Line(
                        number: number, statement: String(line.trimmingSpaces), durationNanoseconds: nanoseconds,
                        outcome: outcome, machine: try session.snapshot()))
            }
            return (outcome, nanoseconds)
        } catch {
            throw error.exitCode(script: name, line: number)
        }
    }

    /// After the last line. Exits if something is left that the script had to end.
    func end() throws {
        do throws(PoolSessionError) {
            try session.end()
        } catch {
            throw error.exitCode(script: name, line: number)
        }
    }

    /// What a line says stands where its progress stood.
    private func run(_ line: String) throws(PoolSessionError) -> PoolOutcome? {
        defer { progress.clear() }
        return try session.run(line[...])
    }

    /// Notes what the line expects, and says on standard error what is not so.
    func note(_ outcome: PoolOutcome) {
        guard let expectation = outcome.expectation else { return }
        checks.append(expectation.check(line: number))
        if expectation.isMet { return }
        if case .walked(let seen) = outcome {
            Output.error("\(name):\(number): walkers saw \(seen.wrong) wrong compound_heads")
        } else {
            Output.error(
                "\(name):\(number): \(expectation.expects) is \(expectation.measured), not as expected: "
                    + expectation.expected)
        }
    }
}

extension PoolSessionError {
    /// Says what is wrong with a line, and returns the exit code for it.
    func exitCode(script: String, line number: Int) -> ExitCode {
        switch self {
        case .script(let error):
            Output.error("\(script):\(number): found \(error.found), expected \(error.expected)")
            return .validationFailure
        case .host(let error):
            Output.error("\(script):\(number): \(ErrorText.line(error, .script))")
            return ExitCode(error)
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
