import ArgumentParser
import Glibc
import HostMemory
import SystemPackage

/// What the name of an export leads to, found out before the run. Nothing is opened for writing yet.
struct ExportTarget {
    /// How the export gets there.
    enum Way {
        /// Through a descriptor that the command was given: standard output, standard error, or what /dev/fd/N names.
        /// From where it stands on, as a shell does it.
        case stream(FileDescriptor)
        /// Written where it is: a pipe, a terminal, a device, a file with several names, or one that another process
        /// has open.
        case inPlace(FilePath)
        /// A plain file, or none yet: it is replaced when the export is complete.
        case replaced(folder: FilePath, name: String)
    }

    /// What tells one file from another, whatever it is called.
    private enum Identity: Hashable {
        case file(DeviceID, Inode)
        /// A name that nobody has yet, in a folder.
        case name(DeviceID, Inode, String)

        init(_ status: Stat) { self = .file(status.deviceID, status.inode) }
    }

    /// Why a name cannot be written.
    private struct Refusal: Error {
        let reason: String
    }

    /// The name as it was given.
    let destination: String
    let way: Way
    private let identity: Identity

    /// Whether standard output belongs to the export.
    var isStandardOutput: Bool { if case .stream(.standardOutput) = way { true } else { false } }

    /// Looks where a name leads. Exits as a usage error if no export can be written there.
    init(_ destination: String) throws {
        if destination.isEmpty {
            throw ValidationError("an export needs the name of a file, or - for standard output.")
        }
        self.destination = destination
        do {
            (way, identity) = try Self.look(destination)
        } catch let refusal as Refusal {
            throw ValidationError("cannot write the export \(destination): \(refusal.reason)")
        } catch {
            throw Self.refused(destination, error)
        }
    }

    /// The error for a destination that the host refuses: a usage error, unless it is the host that is short of
    /// something.
    static func refused(_ destination: String, _ error: any Error) -> any Error {
        if let error = error as? HostError {
            switch HostRefusal(error) {
            case .memory, .descriptors: return error
            case .fileSystem:
                return ExperimentError.refused(
                    "\(error); free room or inodes there (df, df -i), or name a file on another file system")
            default: break
            }
            if error.errno == .fileNameTooLong {
                return ValidationError(
                    "cannot write the export \(destination): \(Errno.fileNameTooLong); a name has at most 255 bytes "
                        + "and a path "
                        + "\(CommandArguments.longestWord - 1): use a shorter one")
            }
        }
        return ValidationError(
            "cannot write the export \(destination): \(error); name a file in a folder that is there and may be written"
        )
    }

    /// Exits as a usage error if two exports lead to the same file.
    static func checkDistinct(_ targets: [ExportTarget]) throws {
        var names: [Identity: String] = [:]
        for target in targets {
            guard let other = names.updateValue(target.destination, forKey: target.identity) else { continue }
            let place = target.isStandardOutput ? "standard output" : target.destination
            let names = other == target.destination ? "" : " (\(other) and \(target.destination) are the same)"
            throw ValidationError("two exports cannot both go to \(place)\(names): give each a file of its own.")
        }
    }

    /// Exits as a usage error if an export leads to a plain file that the command reads.
    static func check(_ targets: [ExportTarget], leave input: String) throws {
        guard let status = try? HostKernel.status(of: FilePath(input)), status.type == .regular else { return }
        for target in targets where target.identity == Identity(status) {
            throw ValidationError(
                "the export \(target.destination) would replace the file that is read (\(input)): give it another name."
            )
        }
    }

    private static func look(_ destination: String) throws -> (Way, Identity) {
        if destination == "-" {
            if Output.isClosed { throw Refusal(reason: "standard output is closed") }
            let status = try HostKernel.status(of: .standardOutput, name: "standard output")
            return (.stream(.standardOutput), Identity(status))
        }
        let path = FilePath(destination)
        let status = try statusIfThere(path)
        if destination.hasSuffix("/"), status?.type != .directory { throw Refusal(reason: "there is no such folder") }
        guard let found = status else { return try lookForRoom(at: path) }
        if found.type == .directory { throw Refusal(reason: "it is a folder") }
        if found.type == .blockSpecial { throw Refusal(reason: "it is a block device") }
        // A name for a stream (/dev/stdout), or the file that the stream goes to: two that write there by themselves
        // would overwrite one another.
        for stream in [FileDescriptor.standardOutput, .standardError] {
            let status = try HostKernel.status(of: stream, name: "standard stream")
            if Identity(status) == Identity(found), stream == .standardOutput, Output.isClosed,
                try followLinks(path) == nil
            {
                throw Refusal(reason: "standard output is closed")
            }
            if Identity(status) == Identity(found) { return (.stream(stream), Identity(found)) }
        }
        if found.type == .regular, found.linkCount == 1, let place = try followLinks(path),
            let status = try? HostKernel.status(of: place, followingLinks: false), Identity(status) == Identity(found),
            try !HostKernel.isMountPoint(place)
        {
            let (folder, name) = try replaceable(place, found)
            return (.replaced(folder: folder, name: name), Identity(found))
        }
        if let descriptor = try descriptorNamed(by: path) { return (.stream(descriptor), Identity(found)) }
        return (.inPlace(path), Identity(found))
    }

    /// The open descriptor of this process that a path stands for (/dev/fd/3), itself or through symbolic links; nil if
    /// it stands for none.
    private static func descriptorNamed(by path: FilePath) throws -> FileDescriptor? {
        let link = try lastLink(path)
        guard let own = try? HostKernel.status(of: "/proc/self/fd"),
            let folder = try? HostKernel.status(of: link.removingLastComponent()), Identity(folder) == Identity(own),
            let number = (link.lastComponent?.string).flatMap(CInt.init)
        else { return nil }
        let descriptor = FileDescriptor(rawValue: number)
        if fcntl(number, F_GETFL) & O_ACCMODE == O_RDONLY { throw Refusal(reason: "it is open for reading only") }
        return descriptor
    }

    private static func statusIfThere(_ path: FilePath) throws(HostError) -> Stat? {
        do throws(HostError) {
            return try HostKernel.status(of: path)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    /// The way to a name that leads to nothing yet, itself or through symbolic links.
    private static func lookForRoom(at path: FilePath) throws -> (Way, Identity) {
        guard let place = try followLinks(path) else { throw Refusal(reason: "it is a descriptor that is not open") }
        let (folder, name) = try replaceable(place, nil)
        let status = try HostKernel.status(of: folder)
        return (.replaced(folder: folder, name: name), .name(status.deviceID, status.inode, name))
    }

    /// Where symbolic links lead to in the end; nil if one of them is no path but a descriptor (/dev/fd/3).
    private static func followLinks(_ path: FilePath) throws -> FilePath? {
        let last = try lastLink(path)
        let isLink = (try? HostKernel.status(of: last, followingLinks: false))?.type == .symbolicLink
        return isLink ? nil : last
    }

    /// Where symbolic links lead to in the end, or the one that is no path but a descriptor.
    private static func lastLink(_ path: FilePath) throws -> FilePath {
        let descriptors = (try? HostKernel.status(of: "/proc/self"))?.deviceID
        var place = path
        // As many as the kernel follows.
        for _ in 0...40 {
            guard let status = try? HostKernel.status(of: place, followingLinks: false), status.type == .symbolicLink,
                status.deviceID != descriptors
            else { return place }
            let target = FilePath(try HostKernel.readLink(place))
            place.removeLastComponent()
            place.push(target)
        }
        throw Refusal(reason: "\(Errno.tooManySymbolicLinkLevels)")
    }

    /// Where a plain file has to be replaced, and that it may be.
    ///
    /// - Parameter status: what is there; nil: nothing.
    private static func replaceable(
        _ place: FilePath, _ status: Stat?
    ) throws -> (folder: FilePath, name: String) {
        let parent = place.removingLastComponent()
        let folder: FilePath = parent.isEmpty ? "." : parent
        guard let name = place.lastComponent?.string else { throw Refusal(reason: "it is a folder") }
        if let status {
            try HostKernel.close(
                try HostKernel.open(place, .writeOnly, options: [.noFollow, .nonBlocking, .closeOnExec]))
            let holder = try HostKernel.status(of: folder)
            let owners = [0, status.userID.rawValue, holder.userID.rawValue]
            if holder.permissions.contains(.saveText), !owners.contains(geteuid()) {
                throw Refusal(reason: "it is somebody else's, in a sticky folder")
            }
        }
        return (folder, name)
    }
}
