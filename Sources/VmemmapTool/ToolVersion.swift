import HostMemory

/// What made a result.
enum Tool {
    /// The name of the command.
    static let name = "vmemmap"
    /// The version of the command and the library.
    static let version = "0.1.0"
    /// The version, and the commit where the build names one: `vmemmap 0.1.0 (fe058063)`.
    static var versionLine: String {
        let commit = HostKernel.commitOfBuild
        return "\(name) \(version)" + (commit.isEmpty ? "" : " (\(commit))")
    }
    /// The version of the exported form. Grows when a key changes its meaning or goes away.
    static let schemaVersion = 1
}
