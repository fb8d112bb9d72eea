import CSystemShims
import Glibc
package import SystemPackage

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM, taken in order instead of dying of them.
///
/// Made before any thread is started, so that every thread has them blocked and they wait here.
package final class TerminationSignals: Sendable {
    private let file: FileDescriptor

    /// What ended a wait.
    package enum Event: Hashable, Sendable {
        /// A line on standard input.
        case line
        /// The end of standard input, where it counts.
        case endOfInput
        /// SIGHUP, SIGINT, SIGQUIT or SIGTERM.
        case signal(Int32)
    }

    /// Blocks those signals in the calling thread, but for those that it was started with ignored (nohup, a shell's
    /// `trap '' INT`, or a script's job in the background). The corresponding C function is `signalfd`.
    package init() throws(HostError) {
        file = FileDescriptor(
            rawValue: CInt(try HostKernel.call(.wait, .process) { vme_termination_signals_open() }))
    }

    deinit { try? HostKernel.close(file) }

    /// Has the signals of a crash end the program at once. First of all in a program: the handlers of Swift's runtime
    /// print where a thread is and return, after which the program goes on if the signal was sent to it, or hangs. What
    /// was ignored at the start stays so. The corresponding C function is `signal`.
    package static func endByCrashes() {
        for number in [SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV] {
            let before = signal(number, SIG_DFL)
            // SAFETY: only the address is looked at.
            if unsafe unsafeBitCast(before, to: UInt.self) == unsafeBitCast(SIG_IGN, to: UInt.self) {
                signal(number, SIG_IGN)
            }
        }
    }

    /// Waits for a signal alone.
    package func waitForSignal() throws(HostError) -> Int32 {
        while true {
            if case .signal(let number) = try wait(forInput: false, forItsEnd: false) { return number }
        }
    }

    /// Waits for a line on standard input or for a signal, whichever comes first.
    ///
    /// The end of standard input is no line: a process started without a terminal waits for a signal.
    ///
    /// - Parameter forEndOfInput: whether the end of standard input ends the wait all the same.
    package func wait(forEndOfInput: Bool = false) throws(HostError) -> Event {
        try wait(forInput: true, forItsEnd: forEndOfInput)
    }

    private func wait(forInput: Bool, forItsEnd: Bool) throws(HostError) -> Event {
        var inputIsOpen = forInput
        var byte: [UInt8] = [0]
        while true {
            let input = inputIsOpen ? FileDescriptor.standardInput.rawValue : -1
            let ready = try HostKernel.waitUntilReadable([file.rawValue, input])
            if ready[0] { return .signal(try take()) }
            if ready[1] {
                // Standard input that was closed before the start, or lost its terminal, cannot be read: no line.
                let count = (try? HostKernel.read(.standardInput, into: &byte, name: "standard input")) ?? 0
                if count == 0, forItsEnd { return .endOfInput }
                if count == 0 { inputIsOpen = false }
                if count == 1, byte[0] == UInt8(ascii: "\n") { return .line }
            }
        }
    }

    /// Waits until one of some files can be read or is at its end, or for a signal. Returns the signal's number, if one
    /// has come, and which of the files can be read. Nil stands for a file that is not waited for.
    package func wait(for files: [FileDescriptor?]) throws(HostError) -> (signal: Int32?, ready: [Bool]) {
        let ready = try HostKernel.waitUntilReadable([file.rawValue] + files.map { $0?.rawValue ?? -1 })
        return (ready[0] ? try take() : nil, Array(ready.dropFirst()))
    }

    /// The signal that waits.
    private func take() throws(HostError) -> Int32 {
        // The first field of struct signalfd_siginfo (128 bytes) is the signal's number.
        var information = [UInt8](repeating: 0, count: 128)
        _ = try HostKernel.read(file, into: &information, name: "signalfd")
        return information[..<4].reversed().reduce(0) { $0 << 8 | Int32($1) }
    }
}
