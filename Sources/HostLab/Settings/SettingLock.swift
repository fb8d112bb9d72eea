import CSystemShims
import Glibc
package import HostMemory
import Synchronization
package import SystemPackage

/// A lock on settings of the host that are changed together. Whoever changes one has it until all of them are back.
///
/// The lock is `flock` on a file under /run, where only root may make one. The kernel releases it when the last process
/// that has it open ends: the one that changes the settings, and the guardian that puts them back if it is killed. What
/// they change stands in the file (``SettingJournal``), for whoever has the lock next should both be killed.
package final class SettingLock: Sendable {
    /// The lock that a kind of settings has.
    package static func file(_ kind: String) -> FilePath { FilePath("/run/vmemmap-emulator-\(kind).lock") }

    /// How long a lock is waited for: as long as it takes a run that is ending, or the guardian of one that was killed,
    /// to put things back. Whoever has it longer than that is at work.
    package static let patienceNanoseconds = 2_000_000_000

    let path: FilePath
    /// The lock's descriptor, for the guardian to inherit.
    let descriptor: FileDescriptor
    /// What those who had the lock before have left changed; nil: nothing.
    let leftBehind: SettingJournal?
    private let isOpen = Atomic(true)

    /// Takes the lock. The corresponding C function is `flock`.
    ///
    /// - Parameters:
    ///   - path: its file.
    ///   - name: what it is for, for people.
    ///   - patienceNanoseconds: how long to wait for it.
    package init(
        _ path: FilePath, for name: String, patienceNanoseconds: Int = patienceNanoseconds
    ) throws(SettingRefusal) {
        self.path = path
        do throws(HostError) {
            guard let file = try Self.take(path, patienceNanoseconds) else { throw Self.busy }
            descriptor = file
            leftBehind = Self.journal(file, path)
            // Whoever is refused is told.
            var journal = leftBehind ?? SettingJournal([])
            journal.processID = HostKernel.processID
            try keep(journal)
        } catch  where error == Self.busy {
            throw .inUse(SettingInUse(name: name, holder: Self.holder(path)))
        } catch {
            throw .noLock(error)
        }
    }

    /// The lock as a guardian inherits it; nil if the descriptor is none.
    init?(inherited: FileDescriptor, _ path: FilePath) {
        guard let status = try? HostKernel.status(of: inherited, name: path.string), status.type == .regular else {
            return nil
        }
        self.path = path
        descriptor = inherited
        leftBehind = nil
    }

    private static let busy = HostError(.resourceBusy, .open, .process)

    /// Opens the lock's file, which is made if need be, for its owner alone, and locks it. Returns nil if another
    /// process has it all the time.
    private static func take(_ path: FilePath, _ patienceNanoseconds: Int) throws(HostError) -> FileDescriptor? {
        let start = HostKernel.monotonicNanoseconds()
        while true {
            let file = try HostKernel.open(
                path, .readWrite, options: [.create, .noFollow, .nonBlocking, .closeOnExec],
                permissions: [.ownerReadWrite])
            do throws(HostError) {
                try check(file, path)
                let isLocked = try HostKernel.call(.open, .file(path.string)) { lock(file) }
                // Removed meanwhile, it is no lock any more: another process would make a new one.
                if isLocked == 1, try HostKernel.status(of: file, name: path.string).linkCount == 1 { return file }
            } catch {
                try? HostKernel.close(file)
                throw error
            }
            try? HostKernel.close(file)
            guard HostKernel.monotonicNanoseconds() - start < patienceNanoseconds else { return nil }
            HostKernel.sleep(nanoseconds: 5_000_000)
        }
    }

    /// 1 if it is locked now, 0 if another process has it.
    private static func lock(_ file: FileDescriptor) -> Int64 {
        if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { return 1 }
        return errno == EWOULDBLOCK ? 0 : -Int64(errno)
    }

    /// Refuses with EPERM what is not a plain file of this user's with one name: somebody else could have it locked, or
    /// its contents could be another file's.
    private static func check(_ file: FileDescriptor, _ path: FilePath) throws(HostError) {
        let status = try HostKernel.status(of: file, name: path.string)
        let others: FilePermissions = [.groupReadWriteExecute, .otherReadWriteExecute]
        guard status.type == .regular, status.userID.rawValue == geteuid(), status.linkCount <= 1,
            status.permissions.isDisjoint(with: others)
        else { throw HostError(.notPermitted, .open, .file(path.string)) }
    }

    /// The process that has the lock, if it has said so.
    private static func holder(_ path: FilePath) -> Int32? {
        guard let text = try? HostKernel.readText(path) else { return nil }
        return SettingJournal(text, lock: path, boot: SettingJournal.currentBoot())?.processID
    }

    deinit { leave() }

    // MARK: The journal

    /// More than any journal has, and no more than the kernel writes in one piece.
    private static let longestJournal = 4096

    private static func journal(_ file: FileDescriptor, _ path: FilePath) -> SettingJournal? {
        var text = [UInt8](repeating: 0, count: longestJournal)
        guard let count = try? HostKernel.readFromStart(file, into: &text, name: "the lock of settings"),
            let journal = SettingJournal(
                String(decoding: text[..<count], as: UTF8.self), lock: path, boot: SettingJournal.currentBoot())
        else { return nil }
        return journal.entries.isEmpty ? nil : journal
    }

    /// What the file says now.
    func journal() -> SettingJournal? { Self.journal(descriptor, path) }

    /// Writes the journal over the one before. At no moment is there none, and of a process that is killed there is one
    /// or the other.
    func keep(_ journal: SettingJournal) throws(HostError) {
        let text = Array(journal.text(boot: SettingJournal.currentBoot()).utf8)
        guard text.count <= Self.longestJournal else { throw HostError(.fileTooLarge, .write, .file(path.string)) }
        let count = try HostKernel.callThroughSignals(.write, .file(path.string)) {
            HostKernel.shimResult {
                // SAFETY: the kernel reads the array's own bytes and no others.
                try unsafe text.withUnsafeBytes {
                    try unsafe descriptor.write(toAbsoluteOffset: 0, $0, retryOnInterrupt: false)
                }
            }
        }
        if count < text.count { throw HostError(.noSpace, .write, .file(path.string)) }
    }

    /// Leaves nothing in the journal: nothing is left changed.
    func empty() { try? HostKernel.setLength(descriptor, .zero, name: path.string) }

    // MARK: The end

    /// Releases the lock, for those who have inherited it too: nothing is left changed. Once done, does nothing any
    /// more.
    package func release() {
        guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        empty()
        _ = flock(descriptor.rawValue, LOCK_UN)
        try? HostKernel.close(descriptor)
    }

    /// Leaves lock and journal to the processes that have inherited them, or to the next run.
    func leave() {
        guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        try? HostKernel.close(descriptor)
    }
}

/// Why settings of the host may not be changed. None has been.
package enum SettingRefusal: Error, Hashable, Sendable {
    /// The kernel refuses it.
    case host(HostError)
    /// Another process of this kind is changing them.
    case inUse(SettingInUse)
    /// Their lock cannot be made: without it, two processes could change them at once.
    case noLock(HostError)
    /// A run before this one was killed and has left a setting changed, which cannot be put back now.
    case leftChanged(SettingNotPutBack)
}

/// Settings of the host that another process has changed, or is about to, and will put back.
package struct SettingInUse: Error, Hashable, Sendable, CustomStringConvertible {
    /// What they are called.
    package let name: String
    /// The process; nil where it has not said so.
    package let holder: Int32?

    /// One line: which settings, which process, the way out.
    package var description: String {
        let holder = holder.map { "process \($0)" } ?? "another process"
        return "\(name) is in use by \(holder), which puts it back when it ends; try again then"
    }
}
