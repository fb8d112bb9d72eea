internal import Glibc
internal import HostMemory
internal import Synchronization

/// Puts changed settings of the host back when SIGINT or SIGTERM ends the command.
///
/// Made before any thread is started, so that every thread has the two signals blocked.
final class SignalPutBack: Sendable {
    private let signals: TerminationSignals
    private let thread = Mutex<HostThread?>(nil)

    init() throws(HostError) { signals = try TerminationSignals() }

    /// From now on a signal puts `settings` back, those there are, and ends the command with 128 and its number, as a shell has it.
    func watch(_ settings: ChangedSettings?...) throws(HostError) {
        let waiting = try HostThread { [signals] in
            guard let signal = try? signals.waitForSignal() else { return }
            for changed in settings { SignalPutBack.putBack(changed) }
            exit(128 + signal)
        }
        thread.withLock { $0 = waiting }
    }

    /// For a step that was cut short because the settings are being put back: waits until the command ends.
    func waitForEnd() { thread.withLock { $0 }?.join() }

    /// Puts `settings` back and says so where that fails.
    static func putBack(_ settings: ChangedSettings?) {
        do throws(SettingNotPutBack) {
            try settings?.putBack()
        } catch {
            Output.error("\(error)")
        }
    }
}
