import FoundationEssentials
import SystemPackage

/// A folder of the test's own, removed with everything in it.
final class TemporaryFolder: Sendable {
    let path: FilePath

    init() throws {
        path = FilePath("/tmp/vmemmap-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path.string) }

    /// The path of a file in it.
    func path(_ name: String) -> String { path.appending(name).string }

    /// Writes a file in it.
    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path(name)))
    }

    /// The text of a file in it.
    func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

    /// The names in it, in order.
    func contents() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path.string).sorted() }
}
