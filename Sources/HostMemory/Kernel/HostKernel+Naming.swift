import CSystemShims
import Glibc
package import SystemPackage

/// Files that get their name when they are complete, and what a name leads to.
extension HostKernel {
    /// What a path leads to. The corresponding C function is `stat`, or `lstat`.
    package static func status(of path: FilePath, followingLinks: Bool = true) throws(HostError) -> Stat {
        try status(.file(path.string)) { try path.stat(followTargetSymlink: followingLinks) }
    }

    /// What an open file is. The corresponding C function is `fstat`.
    package static func status(of file: FileDescriptor, name: String) throws(HostError) -> Stat {
        try status(.file(name)) { try file.stat() }
    }

    private static func status(_ place: HostError.Place, _ body: () throws -> Stat) throws(HostError) -> Stat {
        var status: Stat?
        _ = try callThroughSignals(.status, place) {
            shimResult {
                status = try body()
                return 0
            }
        }
        // It has been filled in, or the call has thrown.
        guard let status else { throw HostError(.invalidArgument, .status, place) }
        return status
    }

    /// Whether something is mounted on a path, so that no other file can take it. The corresponding C function is
    /// `statx`.
    package static func isMountPoint(_ path: FilePath) throws(HostError) -> Bool {
        try call(.status, .file(path.string)) {
            // SAFETY: the path is a C string that lives for the call.
            unsafe path.withPlatformString { unsafe vme_is_mount_point($0) }
        } != 0
    }

    /// Opens a folder for the calls that take one, which asks for no right to read it. The corresponding C function is
    /// `open` with O_PATH.
    package static func openFolder(_ path: FilePath) throws(HostError) -> FileDescriptor {
        try open(path, .readOnly, options: [.init(rawValue: CInt(VME_O_PATH)), .directory, .closeOnExec])
    }

    /// Opens a file in a folder that has no name there, for reading and writing. The corresponding C function is `open`
    /// with O_TMPFILE.
    ///
    /// - Parameters:
    ///   - folder: where it is to have a name later.
    ///   - temporary: a name that nobody has. Used for a moment where the file system does not have O_TMPFILE.
    package static func openUnnamedFile(
        in folder: FileDescriptor, temporary: String, permissions: FilePermissions, name: String
    ) throws(HostError) -> FileDescriptor {
        let mode = permissions.rawValue
        let result: Int64
        do throws(HostError) {
            result = try callThroughSignals(.open, .file(name)) { vme_unnamed_file_open(folder.rawValue, mode) }
        } catch  where [.notSupported, .noFunction, .isDirectory, .invalidArgument].contains(error.errno) {
            result = try callThroughSignals(.open, .file(name)) {
                // SAFETY: the name is a C string that lives for the call.
                unsafe temporary.withCString { unsafe vme_unlinked_file_open(folder.rawValue, $0, mode) }
            }
        }
        return FileDescriptor(rawValue: CInt(result))
    }

    /// Gives `copy` what `file` allows to whom: mode, owner, group and ACL, and what is noted on it (user.* and
    /// trusted.* attributes), as far as this process may. Where it may not, nobody may do more than with `file`. The
    /// corresponding C functions are `fchown`, `fchmod` and `fsetxattr`.
    package static func copyPermissions(
        of file: FileDescriptor, to copy: FileDescriptor, name: String
    ) throws(HostError) {
        _ = try call(.permissions, .file(name)) { vme_permissions_copy(file.rawValue, copy.rawValue) }
    }

    /// Gives a file of ``openUnnamedFile(in:temporary:permissions:name:)`` its name, in the place of what has it: in
    /// one step, and with nothing left over whatever signal comes. The corresponding C functions are `linkat` and
    /// `renameat`.
    ///
    /// - Parameter temporary: a name in the same folder that nobody has.
    package static func giveName(
        _ name: String, to file: FileDescriptor, in folder: FileDescriptor, temporary: String
    ) throws(HostError) {
        _ = try call(.rename, .file(name)) {
            // SAFETY: both are C strings that live for the call.
            unsafe temporary.withCString { temporary in
                unsafe name.withCString { unsafe vme_file_name(file.rawValue, folder.rawValue, temporary, $0) }
            }
        }
    }

    /// Has what was written to a file survive a power cut, once its name does. The corresponding C function is `fsync`.
    package static func synchronize(_ file: FileDescriptor, name: String) throws(HostError) {
        _ = try callThroughSignals(.write, .file(name)) {
            // What keeps nothing (a pipe) has nothing to keep.
            fsync(file.rawValue) == 0 || errno == EINVAL ? 0 : -Int64(errno)
        }
    }
}
