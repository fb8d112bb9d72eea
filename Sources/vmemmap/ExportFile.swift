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
        isStandardOutput = destination == "-"
        path = FilePath(destination)
        temporary = FilePath(destination + ".\(HostKernel.processID).tmp")
        if isStandardOutput {
            file = .standardOutput
            return
        }
        do throws(HostError) {
            file = try HostKernel.open(
                temporary, .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw ValidationError("cannot write the export \(destination): \(error)")
        }
    }

    deinit {
        // Without its text, the export never takes its name.
        if isOpen, !isStandardOutput {
            try? HostKernel.close(file)
            try? HostKernel.remove(temporary)
        }
    }

    /// Writes the whole text and gives the file its name.
    func finish(_ text: String) throws {
        if isStandardOutput { return try Output.print(text) }
        try HostKernel.write(Array(text.utf8), to: file, name: temporary.string)
        isOpen = false
        try HostKernel.close(file)
        try HostKernel.rename(temporary, to: path)
    }
}
