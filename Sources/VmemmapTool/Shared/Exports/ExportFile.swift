import ArgumentParser
import Glibc
import HostMemory
import SystemPackage

/// An export that is being written.
///
/// It is opened before the run, so that a bad name fails at once. A plain file is replaced when the export is complete,
/// by a file that has had no name until then: nobody ever reads half of it, and a run that fails or is killed leaves
/// nothing, or with ``rewrite(_:)`` what it had last. What is no plain file, or has several names, is written where it
/// is.
///
/// What cannot be written after the run is said on standard error and remembered by ``Output``: the other exports are
/// written all the same.
final class ExportFile {
    private let target: ExportTarget
    private let file: FileDescriptor
    private let folder: FileDescriptor?
    private let isPrivate: Bool
    private var isOpen = true
    private var hasBegun = false
    private var hasFailed = false
    private var hasName = false
    private var hasComplained = false

    /// Whether a plain file is replaced, as a whole.
    var isReplaced: Bool { if case .replaced = target.way { true } else { false } }

    /// Whether standard output belongs to the export.
    var isStandardOutput: Bool { target.isStandardOutput }

    /// Opens every destination that is named. Exits as a usage error if one cannot be written, if two are the same, or
    /// if one is a file that the command reads.
    static func open(_ destinations: [String?], reading inputs: [String] = []) throws -> [ExportFile?] {
        let targets = try destinations.map { try $0.map(ExportTarget.init) }
        try ExportTarget.checkDistinct(targets.compactMap(\.self))
        for input in inputs { try ExportTarget.check(targets.compactMap(\.self), leave: input) }
        return try targets.map { try $0.map { try ExportFile($0) } }
    }

    /// Opens a destination for what nobody else is to read: a plain file of mode 0600, whatever was there. Exits as a
    /// usage error if it cannot be one, or is the same as another export.
    static func openPrivate(_ destination: String, beside others: [String?]) throws -> ExportFile {
        let target = try ExportTarget(destination)
        try ExportTarget.checkDistinct([target] + others.compactMap(\.self).map(ExportTarget.init))
        guard case .replaced = target.way else {
            throw ValidationError(
                "\(destination) is no plain file with one name, and what is written is for nobody else to read.")
        }
        return try ExportFile(target, isPrivate: true)
    }

    private init(_ target: ExportTarget, isPrivate: Bool = false) throws {
        self.target = target
        self.isPrivate = isPrivate
        do throws(HostError) {
            switch target.way {
            case .stream(let stream):
                file = stream
                folder = nil
            case .inPlace(let path):
                file = try Self.openInPlace(path)
                folder = nil
            case .replaced(let path, _):
                let opened = try HostKernel.openFolder(path)
                file = try Self.openUnnamed(in: opened, isPrivate: isPrivate, name: target.destination)
                folder = opened
            }
        } catch {
            throw ExportTarget.refused(target.destination, error)
        }
    }

    deinit { try? close() }

    private func openUnnamed(in folder: FileDescriptor) throws(HostError) -> FileDescriptor {
        try Self.openUnnamed(in: folder, isPrivate: isPrivate, name: target.destination)
    }

    private static func openUnnamed(
        in folder: FileDescriptor, isPrivate: Bool, name: String
    ) throws(HostError) -> FileDescriptor {
        try HostKernel.openUnnamedFile(
            in: folder, temporary: newName(),
            permissions: isPrivate ? [.ownerReadWrite] : [.ownerReadWrite, .groupRead, .otherRead], name: name)
    }

    /// Says so where it has to wait: to open a pipe takes until somebody reads it, or a signal comes.
    private static func openInPlace(_ path: FilePath) throws(HostError) -> FileDescriptor {
        let options: FileDescriptor.OpenOptions = [.init(rawValue: O_NOCTTY), .closeOnExec]
        var probe: FileDescriptor?
        defer { if let probe { try? HostKernel.close(probe) } }
        if try HostKernel.status(of: path).type == .fifo {
            do throws(HostError) {
                probe = try HostKernel.open(path, .writeOnly, options: options.union(.nonBlocking))
            } catch  where error.errno == .noSuchAddressOrDevice {
                Output.error("waiting until somebody reads the pipe \(path)")
            }
        }
        return try HostKernel.open(path, .writeOnly, options: options)
    }

    /// Writes words as they are in memory: in the machine's own byte order.
    func write(_ words: [UInt64]) {
        // SAFETY: whole words are copied, byte by byte.
        add(unsafe words.withUnsafeBytes { unsafe Array($0) })
    }

    /// Writes the whole text, and completes the export.
    func finish(_ text: String) {
        add(Array(text.utf8))
        finish()
    }

    /// Writes some text, and has it read and kept from now on: a plain file gets its name with the first.
    func append(_ text: String) {
        add(Array(text.utf8))
        attempt { () throws(HostError) in
            try giveName(to: file)
            if isReplaced { try HostKernel.synchronize(file, name: target.destination) }
        }
    }

    /// Puts what there is so far in the place of the file, as a whole and safe from a power cut; the export goes on.
    /// Only for a plain file. Where that fails, it is said once, and the next time may succeed.
    func rewrite(_ text: String) {
        guard let folder, !hasFailed else { return }
        do throws(HostError) {
            let copy = try openUnnamed(in: folder)
            defer { try? HostKernel.close(copy) }
            try HostKernel.write(Array(text.utf8), to: copy, name: target.destination)
            try HostKernel.synchronize(copy, name: target.destination)
            try giveName(to: copy, isLast: false)
        } catch {
            if hasComplained { return }
            hasComplained = true
            Output.error("cannot write the export \(target.destination) yet: \(error); tried again at each report")
        }
    }

    /// Completes the export: all of it is written.
    func finish() {
        add([])
        attempt { () throws(HostError) in
            try giveName(to: file)
            try close()
        }
    }

    /// Gives a plain file its name, in the folder that was opened, wherever it is now.
    ///
    /// - Parameter isLast: whether no other file gets it after this one.
    private func giveName(to file: FileDescriptor, isLast: Bool = true) throws(HostError) {
        guard let folder, !hasName, case .replaced(_, let name) = target.way else { return }
        if !isPrivate {
            try takePermissions(
                from: FilePath("/proc/self/fd/\(folder.rawValue)").appending(name), for: file)
        }
        try HostKernel.giveName(name, to: file, in: folder, temporary: Self.newName())
        hasName = isLast
    }

    private func close() throws(HostError) {
        if case .stream = target.way { return }
        if !isOpen { return }
        isOpen = false
        if let folder { try HostKernel.close(folder) }
        // A file system over a network may say only now that it has no room.
        try HostKernel.close(file)
    }

    private func add(_ bytes: [UInt8]) {
        attempt { () throws(HostError) in
            if !hasBegun, case .inPlace = target.way,
                try HostKernel.status(of: file, name: target.destination).type == .regular
            {
                try HostKernel.setLength(file, .zero, name: target.destination)
            }
            hasBegun = true
            try HostKernel.write(bytes, to: file, name: isStandardOutput ? "standard output" : target.destination)
        }
    }

    /// Takes over who may do what with the file that is to be replaced. It may have come, gone or changed since the run
    /// began.
    private func takePermissions(from path: FilePath, for file: FileDescriptor) throws(HostError) {
        let replaced: FileDescriptor
        do throws(HostError) {
            replaced = try HostKernel.open(path, .writeOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
        } catch  where error.errno == .noSuchFileOrDirectory {
            return
        } catch {
            // By the name that was given: the path leads through a descriptor.
            throw error.errno.map { HostError($0, .open, .file(target.destination)) } ?? error
        }
        defer { try? HostKernel.close(replaced) }
        let status = try HostKernel.status(of: replaced, name: target.destination)
        guard status.type == .regular, status.linkCount == 1 else {
            throw HostError(.fileExists, .rename, .file(target.destination))
        }
        try HostKernel.copyPermissions(of: replaced, to: file, name: target.destination)
    }

    /// Does one step, unless one before has failed.
    private func attempt(_ step: () throws(HostError) -> Void) {
        if hasFailed { return }
        do throws(HostError) {
            try step()
        } catch {
            hasFailed = true
            if isStandardOutput {
                Output.failed(toPrint: "the export", error)
            } else {
                Output.failed("cannot write the export \(target.destination)", error)
            }
        }
    }

    /// A name that nobody has: drawn, as no program may count on it.
    private static func newName() -> String {
        ".vmemmap-" + String(UInt64.random(in: 0...UInt64.max), radix: 36) + ".tmp"
    }
}
