internal import ArgumentParser
internal import HostMemory
internal import SystemPackage

/// Where an export goes: a file, or standard output for `-`.
///
/// A file is opened under a temporary name before the run, so that a bad path fails at once, and takes its name only
/// when it is complete, so that nobody ever reads half of it.
final class ExportFile {
    private let path: FilePath
    private let temporary: FilePath
    private let file: FileDescriptor
    private var isOpen = true

    /// Whether standard output belongs to the export.
    let isStandardOutput: Bool

    /// Opens the destination. Exits as a usage error if it cannot be written.
    init(_ destination: String) throws {
        if destination.isEmpty {
            throw ValidationError("an export needs the name of a file, or - for standard output.")
        }
        isStandardOutput = destination == "-"
        path = FilePath(destination)
        temporary = FilePath(destination + ".\(HostKernel.processID).tmp")
        if isStandardOutput {
            file = .standardOutput
            return
        }
        if let folder = try? HostKernel.open(path, .readOnly, options: [.directory, .closeOnExec]) {
            try? HostKernel.close(folder)
            throw ValidationError("cannot write the export \(destination): it is a folder")
        }
        do throws(HostError) {
            file = try HostKernel.open(
                temporary, .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw ValidationError(
                "cannot write the export \(destination): \(error); name a file in a folder that is there and may be written"
            )
        }
    }

    deinit {
        // Without its text, the export never takes its name.
        if isOpen, !isStandardOutput {
            try? HostKernel.close(file)
            try? HostKernel.remove(temporary)
        }
    }

    /// Writes words as they are in memory: in the machine's own byte order. For files alone.
    func write(_ words: [UInt64]) throws {
        // SAFETY: whole words are copied, byte by byte.
        let bytes = unsafe words.withUnsafeBytes { unsafe Array($0) }
        try HostKernel.write(bytes, to: file, name: temporary.string)
    }

    /// Writes the whole text and gives the file its name.
    func finish(_ text: String) throws {
        if isStandardOutput { return try Output.print(text) }
        try HostKernel.write(Array(text.utf8), to: file, name: temporary.string)
        try finish()
    }

    /// Gives the file its name: all of it is written.
    func finish() throws {
        isOpen = false
        try HostKernel.close(file)
        try HostKernel.rename(temporary, to: path)
    }
}
