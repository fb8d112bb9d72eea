import ArgumentParser
import Glibc
import HostMemory
import SystemPackage

/// The options of every command that say how it speaks.
struct TerminalOptions: ParsableArguments {
    @Option(help: "When to use colour; auto: on a terminal, unless NO_COLOR is set.")
    var color = Style.ColorChoice.auto

    @Flag(name: .shortAndLong, help: "Print no report and no progress: errors and the exit code tell.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Print everything, also where it takes more than one screen.")
    var verbose = false

    func validate() throws {
        if quiet, verbose { throw ValidationError("--quiet and --verbose exclude each other: use one of the two.") }
    }

    /// Standard output and standard error, as asked for.
    var terminal: Terminal {
        Terminal(style: Style(for: .standardOutput, color: color, isVerbose: verbose), isQuiet: quiet)
    }
}

extension Style {
    /// The style for what is written to a stream.
    init(for stream: FileDescriptor, color: ColorChoice = .auto, isVerbose: Bool = false) {
        let place = Place(
            isTerminal: isatty(stream.rawValue) == 1, columns: Terminal.columns(of: stream),
            environment: HostKernel.environment(Self.variables.map(\.name)))
        self.init(for: place, color: color, isVerbose: isVerbose)
    }
}

extension Style.ColorChoice: ExpressibleByArgument {}

/// Where a command's report and its progress go.
struct Terminal {
    /// How reports are laid out.
    let style: Style
    /// Whether nothing is printed but errors.
    let isQuiet: Bool

    /// Prints a report. An export to standard output has it to itself.
    func print(_ exports: Exports? = nil, _ report: (Style) -> [String]) {
        if isQuiet || exports?.leaveStandardOutput == false { return }
        Output.print(report(style))
    }

    /// A line for progress.
    func progress() -> ProgressLine { ProgressLine(isWanted: !isQuiet) }

    /// The columns of a terminal; 80 where it does not say.
    static func columns(of file: FileDescriptor) -> Int { HostKernel.terminalColumns(file) ?? 80 }
}
