import ArgumentParser
import Glibc
import HostMemory
import SystemPackage

/// What the command writes, and what of it could not be written.
///
/// Standard output carries the report, or an export to `-` and then nothing else. What cannot be written is said once,
/// changes nothing about the run, and decides the exit code of a run that has nothing worse to tell.
enum Output {
    private struct State {
        var isClosed = false
        var isGone = false
        var code = ExitCode.success
    }

    private static let state = Guarded(State())

    /// Whether standard output was closed when the command was started.
    static var isClosed: Bool { state.withLock { $0.isClosed } }

    /// The exit code of a run in which all is well: 0 if everything could be written.
    static var exitCode: ExitCode { state.withLock { $0.code } }

    /// Sees to the standard streams, first of all in the program. Exits if a stream is closed and there is no
    /// /dev/null.
    static func open() {
        StandardStreams.reportFailedWrites()
        do throws(HostError) {
            let closed = try StandardStreams.openClosed()
            state.withLock { $0.isClosed = closed.contains(.standardOutput) }
        } catch {
            self.error("a standard stream is closed, and nothing can be opened in its place: \(error)")
            exit(ExitCode.notSupported.rawValue)
        }
    }

    /// Writes lines to standard output.
    static func print(_ lines: [String]) { print(lines.joined(separator: "\n") + "\n") }

    /// Writes text to standard output.
    static func print(_ text: String) {
        if state.withLock({ $0.isGone }) { return }
        do throws(HostError) {
            try HostKernel.write(Array(text.utf8), to: .standardOutput, name: "standard output")
        } catch {
            failed(toPrint: "the report", error)
        }
    }

    /// Takes note that standard output takes no more. A reader that went away (`| head`) has what it wanted: no error.
    static func failed(toPrint what: String, _ error: HostError) {
        state.withLock { $0.isGone = true }
        if error.errno != .brokenPipe { failed("cannot print \(what)", error) }
    }

    /// Says that something could not be written, and remembers it for the exit code.
    static func failed(_ what: String, _ error: HostError) {
        // Who started the command has opened the stream for reading only.
        let isNotWritable = error.errno == .badFileDescriptor
        self.error("\(what): \(error)" + (isNotWritable ? "; it has to be open for writing" : ""))
        state.withLock { if $0.code == .success { $0.code = isNotWritable ? .shortage : ExitCode(error) } }
    }

    /// Exits if something could not be written.
    static func check() throws {
        let code = exitCode
        if code != .success { throw code }
    }

    /// Writes a line to standard error.
    static func error(_ line: String, as prefix: String = Tool.name) { error(text: "\(prefix): \(line)") }

    /// Writes text to standard error, on a terminal broken between words. What it quotes from others cannot steer the
    /// terminal.
    static func error(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { Format.visible($0) }
        // In a pipe, a line stays one: whoever reads it looks for it.
        let style = isatty(2) == 1 ? Style(for: .standardError) : .plain
        let wrapped = style.wrapped(lines).joined(separator: "\n")
        try? HostKernel.write(Array("\(wrapped)\n".utf8), to: .standardError, name: "standard error")
    }
}
