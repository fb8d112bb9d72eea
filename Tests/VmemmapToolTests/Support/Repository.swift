import SystemPackage

/// The files of this package, as tests read them.
enum Repository {
    /// The text of a file, by its path in the repository or from the root.
    static func text(of path: String) throws -> String {
        let path = path.hasPrefix("/") ? FilePath(path) : FilePath(Command.repository).appending(path)
        let file = try FileDescriptor.open(path, .readOnly)
        return try file.closeAfter {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            // SAFETY: the read fills the chunk at most.
            while true {
                let count = try unsafe chunk.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
                if count == 0 { return String(decoding: bytes, as: UTF8.self) }
                bytes += chunk[..<count]
            }
        }
    }

    /// The names in a folder, sorted.
    static func names(in folder: String) async throws -> [String] {
        let listing = try await Command.run("/bin/ls", ["\(Command.repository)/\(folder)"])
        return listing.output.split(separator: "\n").map(String.init).sorted()
    }
}
