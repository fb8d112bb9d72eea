import FoundationEssentials
import Glibc
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

    /// Runs a script of bash in an empty folder of its own, which is removed after it, and for two minutes at most.
    /// "$0" is the command.
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

    /// As nobody, where the tests run as root: by a program of util-linux, as a child that is forked from many threads
    /// must not change its user itself.
    static func asOrdinaryUser(_ arguments: [String]) async throws -> Outcome {
        try await asOrdinaryUser(binary, arguments)
    }

    static func asOrdinaryUser(_ program: FilePath, _ arguments: [String]) async throws -> Outcome {
        if geteuid() != 0 { return try await run(program, arguments) }
        let setpriv: FilePath = "/usr/bin/setpriv"
        guard let file = try? HostKernel.open(setpriv, .readOnly) else { try Test.cancel("there is no \(setpriv)") }
        try HostKernel.close(file)
        let outcome = try await run(
            setpriv, ["--reuid=65534", "--regid=65534", "--clear-groups", program.string] + arguments)
        // What setpriv says of a program that it cannot execute.
        if let code = outcome.code, [126, 127].contains(code) {
            try Test.cancel("another user may not run what was built in this folder: \(outcome.error)")
        }
        return outcome
    }

    /// The words that have a shell run the command under a limit of its own, such as `ulimit -n 64`.
    static func limited(_ limit: String, _ arguments: [String]) -> [String] {
        ["-c", #"\#(limit) && exec "$0" "$@""#, binary.string] + arguments
    }

    /// The folder of the package: four levels above this file.
    static let repository: String = {
        var path = FilePath(#filePath)
        for _ in 0..<4 { path.removeLastComponent() }
        return path.string
    }()

    /// What scripts/test names. Else the one beside the test bundle, as all products are.
    static let binary: FilePath = {
        if let named = ProcessInfo.processInfo.environment["VMEMMAP_TEST_COMMAND"] { return FilePath(named) }
        var path = FilePath(CommandLine.arguments[0])
        // swift test runs a helper of the toolchain with the bundle among its arguments.
        if let bundle = CommandLine.arguments.first(where: { $0.hasSuffix(".xctest") }) { path = FilePath(bundle) }
        path.removeLastComponent()
        return path.appending("vmemmap")
    }()
}
