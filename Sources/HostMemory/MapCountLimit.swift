internal import CSystemShims
internal import Synchronization
internal import SystemPackage

/// vm.max_map_count raised for a while, and put back.
///
/// The setting is the host's, not the process's, and only root may change it. Whoever raises it puts it back on every way
/// out, signals included (``TerminationSignals``). Should the process be killed outright, a guardian process, started before
/// anything is changed, puts it back in its place.
public final class MapCountLimit: Sendable {
    private static let path: FilePath = "/proc/sys/vm/max_map_count"

    /// What it was.
    public let original: MappingCount
    private let isRaised = Mutex(true)
    private let guardian: FileDescriptor

    /// Raises the limit to `limit`, unless it is as high already: then there is nothing to put back, and this is nil.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` for an ordinary user.
    public static func raise(to limit: MappingCount) throws(HostError) -> MapCountLimit? {
        let original = try HostLimits.maxMapCount()
        if original >= limit { return nil }
        let raised = MapCountLimit(original, guardian: try startGuardian(original))
        try write(limit)
        return raised
    }

    private init(_ original: MappingCount, guardian: FileDescriptor) {
        self.original = original
        self.guardian = guardian
    }

    deinit { try? putBack() }

    /// Puts the limit back, once, and reads it again. A process may keep more mappings than the limit allows; it gets no more.
    public func putBack() throws(HostError) {
        try isRaised.withLock { (isRaised) throws(HostError) in
            guard isRaised else { return }
            try Self.write(original)
            guard try HostLimits.maxMapCount() == original else { throw HostError(unreadable: Self.path.string) }
            isRaised = false
            // Its work is done. Should the byte not reach it, it writes the same value once more.
            try? HostKernel.write([1], to: guardian, name: "guardian")
            try? HostKernel.close(guardian)
        }
    }

    private static func startGuardian(_ original: MappingCount) throws(HostError) -> FileDescriptor {
        let end = try HostKernel.call(.startThread, .process) {
            // SAFETY: both are C strings that live for the call; the guardian has copies of its own.
            unsafe path.string.withCString { path in
                unsafe "\(original)\n".withCString { value in unsafe vme_guardian_start(path, value) }
            }
        }
        return FileDescriptor(rawValue: CInt(end))
    }

    private static func write(_ limit: MappingCount) throws(HostError) {
        let file = try HostKernel.open(path, .writeOnly)
        defer { try? HostKernel.close(file) }
        try HostKernel.write(Array("\(limit)\n".utf8), to: file, name: path.string)
    }
}
