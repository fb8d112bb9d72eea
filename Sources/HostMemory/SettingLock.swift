import CSystemShims
import Synchronization
public import SystemPackage

/// A lock on settings of the host that are changed together. Whoever changes one has it until all of them are back.
///
/// The lock is `flock` on a file under /run, where only root may make one. The kernel releases it when the last process that has it
/// open ends: the one that changes the settings, and the guardian that puts them back if it is killed. The file stays, empty.
public final class SettingLock: Sendable {
    /// The lock that a kind of settings has.
    public static func file(_ kind: String) -> FilePath { FilePath("/run/vmemmap-emulator-\(kind).lock") }

    /// How long a lock is waited for: as long as it takes a run that is ending, or the guardian of one that was killed, to put things
    /// back. Whoever has it longer than that is at work.
    public static let patienceNanoseconds = 2_000_000_000

    private let path: FilePath
    private let file: FileDescriptor
    private let isOpen = Atomic(true)

    /// Takes the lock. The corresponding C function is `flock`.
    ///
    /// - Parameters:
    ///   - path: its file.
    ///   - name: what it is for, for people.
    ///   - patienceNanoseconds: how long to wait for it.
    public init(
        _ path: FilePath, for name: String, patienceNanoseconds: Int = patienceNanoseconds
    ) throws(SettingRefusal) {
        do throws(HostError) {
            let file = try Self.open(path)
            do throws(HostError) {
                guard try Self.take(file, path, patienceNanoseconds) else { throw Self.busy }
                // Whoever is refused is told.
                try HostKernel.setLength(file, .zero, name: path.string)
                try HostKernel.write(Array("\(HostKernel.processID)\n".utf8), to: file, name: path.string)
            } catch {
                try? HostKernel.close(file)
                throw error
            }
            self.file = file
            self.path = path
        } catch  where error == Self.busy {
            let holder = try? HostKernel.readNumber(path)
            throw .inUse(SettingInUse(name: name, holder: holder.map { Int32(clamping: $0) }))
        } catch {
            throw .noLock(error)
        }
    }

    private static let busy = HostError(.resourceBusy, .open, .process)

    private static func open(_ path: FilePath) throws(HostError) -> FileDescriptor {
        let file = try HostKernel.callThroughSignals(.open, .file(path.string)) {
            // SAFETY: the path is a C string that lives for the call.
            unsafe path.withPlatformString { unsafe vme_lock_open($0) }
        }
        return FileDescriptor(rawValue: CInt(file))
    }

    /// Returns false if another process has it all the time.
    private static func take(
        _ file: FileDescriptor, _ path: FilePath, _ patienceNanoseconds: Int
    ) throws(HostError) -> Bool {
        let start = HostKernel.monotonicNanoseconds()
        while try HostKernel.call(.open, .file(path.string), { vme_lock_take(file.rawValue) }) == 0 {
            guard HostKernel.monotonicNanoseconds() - start < patienceNanoseconds else { return false }
            HostKernel.sleep(nanoseconds: 5_000_000)
        }
        return true
    }

    deinit { release() }

    /// The lock's descriptor, for the guardian to inherit.
    var descriptor: FileDescriptor { file }

    /// Releases the lock, for those who have inherited it too. Once done, does nothing any more.
    public func release() {
        guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        try? HostKernel.setLength(file, .zero, name: path.string)
        vme_lock_release(file.rawValue)
        try? HostKernel.close(file)
    }

    /// Leaves the lock to the processes that have inherited it.
    func leave() {
        guard isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        try? HostKernel.close(file)
    }
}

/// Why settings of the host may not be changed. None has been.
public enum SettingRefusal: Error, Hashable, Sendable {
    /// The kernel refuses it.
    case host(HostError)
    /// Another process of this kind is changing them.
    case inUse(SettingInUse)
    /// Their lock cannot be made: without it, two processes could change them at once.
    case noLock(HostError)
}

/// Settings of the host that another process has changed, or is about to, and will put back.
public struct SettingInUse: Error, Hashable, Sendable, CustomStringConvertible {
    /// What they are called.
    public let name: String
    /// The process; nil where it has not said so.
    public let holder: Int32?

    /// One line: which settings, which process, the way out.
    public var description: String {
        let holder = holder.map { "process \($0)" } ?? "another process"
        return "\(name) is in use by \(holder), which puts it back when it ends; try again then"
    }
}
