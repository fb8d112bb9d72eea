import FoundationEssentials
import HostMemory
import Subprocess
import SystemPackage
import Testing

/// Runs the built command as a user would.
enum Command {
    struct Outcome: Sendable {
        let code: Int32?
        let output: String
        let error: String
    }

    static func run(_ arguments: [String]) async throws -> Outcome { try await run(binary, arguments) }

    static func run(_ program: FilePath, _ arguments: [String]) async throws -> Outcome {
        let record = try await Subprocess.run(
            .path(program), arguments: Arguments(arguments), output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        let code: Int32? = if case .exited(let code) = record.terminationStatus { code } else { nil }
        return Outcome(code: code, output: record.standardOutput, error: record.standardError)
    }

    /// Runs a script of bash in an empty folder of its own, which is removed after it, and for two minutes at most. "$0" is the command.
    static func shell(_ script: String) async throws -> Outcome {
        let folder = try TemporaryFolder()
        let text = "cd \(folder.path.string) && {\n\(script)\n}"
        // The tests may have been started by a relative path.
        let command = FilePath(FileManager.default.currentDirectoryPath).pushing(binary).string
        return try await run("/usr/bin/timeout", ["120", "/bin/bash", "-c", text, command])
    }

    /// Whether vm.max_map_count is what it is by default, or less: with a raised one, much that is tested to be refused
    /// is none too many.
    static let hasOrdinaryMapLimit = (try? HostLimits.maxMapCount()).map { $0 <= MappingCount(65530) } ?? false
    static let raisedMapLimit: Comment = "vm.max_map_count is raised"

    /// The folder of the package: these tests' own file lies three levels below it.
    static let repository: String = {
        var path = FilePath(#filePath)
        for _ in 0..<3 { path.removeLastComponent() }
        return path.string
    }()

    /// The products lie beside the test bundle.
    static let binary: FilePath = {
        var path = FilePath(CommandLine.arguments[0])
        // swift test runs a helper of the toolchain with the bundle among its arguments.
        if let bundle = CommandLine.arguments.first(where: { $0.hasSuffix(".xctest") }) { path = FilePath(bundle) }
        path.removeLastComponent()
        return path.appending("vmemmap")
    }()
}
