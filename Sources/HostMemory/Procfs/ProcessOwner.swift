import Glibc
import SystemPackage

/// The user that a process runs as.
package enum ProcessOwner {
    /// This process's effective user.
    package static var current: UInt32 { geteuid() }

    /// A process's effective user: the second number of Uid in /proc/PID/status, which anybody may read.
    package static func of(_ process: ObservedProcess) throws(HostError) -> UInt32 {
        let path = process.path("status")
        guard let user = effectiveUser(try HostKernel.readText(path)) else { throw HostError(unreadable: path.string) }
        return user
    }

    /// The second of four numbers (real, effective, saved, of the file system). Pure.
    static func effectiveUser(_ status: String) -> UInt32? {
        let users = ProcFields(status).text("Uid")?.split(whereSeparator: \.isWhitespace)
        guard let users, users.count == 4 else { return nil }
        return UInt32(users[1])
    }
}
