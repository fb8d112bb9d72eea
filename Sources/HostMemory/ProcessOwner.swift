internal import Glibc
internal import SystemPackage

/// The user that a process runs as.
public enum ProcessOwner {
    /// This process's effective user.
    public static var current: UInt32 { geteuid() }

    /// A process's effective user: the second number of Uid in /proc/PID/status, which anybody may read.
    public static func of(_ process: ObservedProcess) throws(HostError) -> UInt32 {
        let path = process.path("status")
        let users = ProcFields(try HostKernel.readText(path)).text("Uid")?.split(whereSeparator: \.isWhitespace)
        guard let users, users.count == 4, let user = UInt32(users[1]) else { throw HostError(unreadable: path.string) }
        return user
    }
}
