@testable import HostLab
import FoundationEssentials
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Files that get their name when they are complete")
struct NamingTests {
    private final class Folder {
        let path = FilePath("/tmp/vmemmap-test-\(UUID().uuidString)")
        let file: FileDescriptor

        init() throws {
            try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
            file = try HostKernel.openFolder(path)
        }

        deinit {
            try? HostKernel.close(file)
            try? FileManager.default.removeItem(atPath: path.string)
        }

        func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path.string).sorted() }

        func text(of name: String) throws -> String { try HostKernel.readText(path.appending(name)) }
    }

    /// Without O_TMPFILE it is made by name and unlinked, and copied in the end: such a file cannot be linked.
    @Test("It replaces what had the name, in one step, also on a file system without O_TMPFILE", arguments: [0, 1])
    func replaces(failures: Int) throws {
        let folder = try Folder()
        try Data("old".utf8).write(to: URL(filePath: folder.path.appending("file").string))
        let fault = InjectedFault(first: 1, failures: failures, errno: .notSupported, operations: [.open])
        let opened = fault.during {
            Result {
                try HostKernel.openUnnamedFile(
                    in: folder.file, temporary: "temporary", permissions: [.ownerReadWrite, .groupRead], name: "file")
            }
        }
        #expect(opened.outcome.failed == failures)
        let file = try opened.value.get()
        defer { try? HostKernel.close(file) }
        let long = String(repeating: "new\n", count: 10_000)
        try HostKernel.write(Array(long.utf8), to: file, name: "file")
        #expect(try folder.names() == ["file"])
        #expect(try folder.text(of: "file") == "old")
        try HostKernel.giveName("file", to: file, in: folder.file, temporary: "temporary")
        #expect(try folder.text(of: "file") == long)
        #expect(try folder.names() == ["file"])
        #expect(try HostKernel.status(of: folder.path.appending("file")).permissions == [.ownerReadWrite, .groupRead])
    }

    @Test("A name that it cannot have leaves nothing behind")
    func refused() throws {
        let folder = try Folder()
        try FileManager.default.createDirectory(
            atPath: folder.path.appending("taken").string, withIntermediateDirectories: false)
        let file = try HostKernel.openUnnamedFile(
            in: folder.file, temporary: "temporary", permissions: [.ownerReadWrite], name: "taken")
        defer { try? HostKernel.close(file) }
        #expect(throws: HostError(.isDirectory, .rename, .file("taken"))) {
            try HostKernel.giveName("taken", to: file, in: folder.file, temporary: "temporary")
        }
        #expect(try folder.names() == ["taken"])
    }

    @Test("A pipe that was set not to block is waited for")
    func nonBlocking() throws {
        let pipe = try FileDescriptor.pipe()
        let writer = try HostKernel.open(
            FilePath("/proc/self/fd/\(pipe.writeEnd.rawValue)"), .writeOnly, options: [.nonBlocking, .closeOnExec])
        try HostKernel.close(pipe.writeEnd)
        let sent = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
        let thread = try HostThread {
            try? HostKernel.write(sent, to: writer, name: "pipe")
            try? HostKernel.close(writer)
        }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try HostKernel.read(pipe.readEnd, into: &chunk, name: "pipe")
            if count == 0 { break }
            received += chunk[..<count]
        }
        thread.join()
        try HostKernel.close(pipe.readEnd)
        #expect(received == sent)
    }
}
