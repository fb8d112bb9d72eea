import Glibc
package import HostMemory
package import SystemPackage

/// A process that puts settings of the host back should this one die before it has done so.
///
/// It is this program once more, which has inherited the lock, and does what its journal says as soon as its standard
/// input ends. This process need not say anything for that, however it ends (SIGKILL, the OOM killer). With nothing in
/// the journal it just ends.
package final class Guardian: Sendable {
    /// The word that has this program be a guardian; what follows is the file of the lock.
    package static let word = "put-settings-back"
    /// The program. Another one in tests, which are no such program themselves.
    package static let program = Guarded<FilePath>("/proc/self/exe")

    /// Its number.
    let processID: Int32
    private let input: FileDescriptor
    /// A child that has its input, or the lock, would pass for this process once that is gone.
    private let shield: ForkShield

    /// Starts it, and waits until it is there.
    ///
    /// - Parameter lock: what the guardian keeps until the settings are back.
    init(_ lock: SettingLock) throws(HostError) {
        let program = Self.program.withLock { $0 }
        let process = try HostKernel.start(
            program, [Self.word, lock.path.string], passing: lock.descriptor, signals: .allBlocked)
        defer { try? HostKernel.close(process.output) }
        processID = process.processID
        input = process.input
        do throws(HostError) {
            var byte: [UInt8] = [0]
            guard try HostKernel.read(process.output, into: &byte, name: "the guardian's output") == 1 else {
                throw HostError(.noSuchProcess, .startProcess, .file(program.string))
            }
            shield = try ForkShield(input, lock.descriptor)
        } catch {
            // Nothing has been changed yet: it goes away with the end of its input.
            try? HostKernel.close(input)
            _ = try? HostKernel.awaitExit(of: processID)
            throw error
        }
    }

    /// Lets it go: it does what is in the journal still.
    func end() {
        shield.remove()
        try? HostKernel.close(input)
    }

    /// Waits until it has gone; not for long, should somebody have stopped it.
    func awaitEnd() {
        let start = HostKernel.monotonicNanoseconds()
        while !HostKernel.hasEnded(processID), HostKernel.monotonicNanoseconds() - start < 1_000_000_000 {
            HostKernel.sleep(nanoseconds: 1_000_000)
        }
    }

    // MARK: In the guardian

    /// What a program does that was started with ``word``: waits for the end of its input, and puts back what the
    /// journal says. Returns its exit code.
    ///
    /// - Parameter path: the file of the lock.
    package static func run(_ path: FilePath) -> Int32 {
        guard let lock = SettingLock(inherited: FileDescriptor(rawValue: HostKernel.passedDescriptor), path) else {
            return 1
        }
        // What ends the process that it guards, and its terminal, does not end it.
        setsid()
        // SAFETY: the path is a C string that lives for the call.
        _ = unsafe chdir("/")
        closeAllButLock()
        guard (try? HostKernel.write([0], to: .standardOutput, name: "standard output")) != nil else { return 1 }
        // Nothing of its parent's stays open, or a reader of the parent's output would wait for this process.
        for stream in [FileDescriptor.standardOutput, .standardError] { try? HostKernel.close(stream) }
        _ = try? StandardStreams.openClosed()
        var byte: [UInt8] = [0]
        while let count = try? HostKernel.read(.standardInput, into: &byte, name: "standard input"), count > 0 {}
        guard var journal = lock.journal() else { return 0 }
        // Whoever meets the lock is told whom to look for.
        journal.processID = HostKernel.processID
        try? lock.keep(journal)
        return putBack(&journal, lock) ? 0 : 1
    }

    private static func closeAllButLock() {
        let numbers = ((try? HostKernel.names(in: "/proc/self/fd")) ?? []).compactMap { CInt($0) }
        for number in numbers where number > HostKernel.passedDescriptor { _ = Glibc.close(number) }
    }

    /// Tries again where the kernel could not do it yet: pages of a pool that are in use, say; and waits, for hours
    /// perhaps, where a limit is needed. Returns false, and leaves the journal to the next run, where the kernel does
    /// not do it.
    private static func putBack(_ journal: inout SettingJournal, _ lock: SettingLock) -> Bool {
        var attempts = 0
        // A process that is being killed has its mappings for a moment still.
        var delay = 10_000_000
        while true {
            let failures = journal.putBack(lock)
            if failures.contains(where: \.canBeTriedAgain) {
                attempts += 1
                if attempts == 100 { return false }
                HostKernel.sleep(nanoseconds: 20_000_000)
            } else if failures.contains(where: \.isNeeded) {
                HostKernel.sleep(nanoseconds: delay)
                delay = min(delay * 2, 500_000_000)
            } else {
                lock.release()
                return true
            }
        }
    }
}
