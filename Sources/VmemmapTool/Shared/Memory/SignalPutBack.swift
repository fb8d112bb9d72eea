import Glibc
import HostLab
import HostMemory
import Synchronization

/// Puts changed settings of the host back when SIGHUP, SIGINT, SIGQUIT or SIGTERM ends the command.
///
/// Made before any thread is started, so that every thread has the three signals blocked.
final class SignalPutBack: Sendable {
    private let signals: TerminationSignals
    private let thread = Guarded<HostThread?>(nil)
    private let ending = Ending()

    /// Whether a signal has come: set before the first setting is put back, so that whoever finds one changed knows
    /// why.
    private final class Ending: Sendable {
        let hasBegun = Atomic(false)
    }

    init() throws(HostError) { signals = try TerminationSignals() }

    /// From now on a signal puts `settings` back and ends the command with 128 and its number, as a shell has it.
    ///
    /// - Parameter first: what the first signal does instead, where the command can end in order; a second one ends it.
    func watch(_ settings: [ChangedSettings], first: (@Sendable (Int32) -> Void)? = nil) throws(HostError) {
        let waiting = try HostThread { [signals, ending] in
            guard var signal = try? signals.waitForSignal() else { return }
            if let first {
                first(signal)
                guard let second = try? signals.waitForSignal() else { return }
                signal = second
            }
            ending.hasBegun.store(true, ordering: .releasing)
            SignalPutBack.putBack(settings)
            exit(128 + signal)
        }
        thread.withLock { $0 = waiting }
    }

    /// Does what may be cut short, or go wrong in any other way, because a signal puts the settings back under it: then
    /// the command ends as the signal has it, and not with what came of that.
    func unlessEnding<Value, Failure>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        defer { if ending.hasBegun.load(ordering: .acquiring) { thread.withLock { $0 }?.join() } }
        return try body()
    }

    /// Puts `settings` back and says so where that fails.
    static func putBack(_ settings: [ChangedSettings]) {
        for changed in settings {
            do throws(SettingNotPutBack) {
                try changed.putBack()
            } catch {
                Output.error("\(error)")
            }
        }
    }
}
