import SystemPackage

/// Whose memory is read: a process as /proc knows it.
///
/// Another process's memory may be read by its own user and by root (ptrace access mode PTRACE_MODE_READ); others get
/// ``HostError/Code-swift.struct/notPermitted``, and for a process that is not there
/// ``HostError/Code-swift.struct/notSupported`` (ENOENT) or ESRCH.
package enum ObservedProcess: Hashable, Sendable {
    /// This process.
    case current
    /// The process with this number.
    case other(Int32)

    /// A file of the process: /proc/PID/`name`.
    func path(_ name: String) -> FilePath {
        switch self {
        case .current: FilePath("/proc/self/\(name)")
        case .other(let pid): FilePath("/proc/\(pid)/\(name)")
        }
    }
}
