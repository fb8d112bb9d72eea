import SystemPackage
import Testing

@Suite("Commands that the README and the articles print")
struct ReadmeTests {
    /// Every line of a block of sh, without the comment behind it.
    private static func commands() async throws -> [String] {
        let articles = "Sources/VmemmapEmulator/Documentation.docc"
        let names = try await Repository.names(in: articles).filter { $0.hasSuffix(".md") }
        return try (["README.md"] + names.map { "\(articles)/\($0)" }).flatMap { file in
            var isInBlock = false
            return try Repository.text(of: file).split(separator: "\n").compactMap { line -> String? in
                if line.hasPrefix("```") {
                    isInBlock = line == "```sh"
                    return nil
                }
                guard isInBlock else { return nil }
                return line.firstRange(of: " #").map { String(line[..<$0.lowerBound]) } ?? String(line)
            }
        }
    }

    // What builds, takes long, measures or changes the host's settings is run by scripts/check-readme alone.
    @Test("Those that take no longer than a second run as printed")
    func quick() async throws {
        let quick = try await Self.commands().filter { command in
            ["plan", "pool", "inspect", "hold", "kernel"].contains { command.contains("vmemmap \($0)") }
                && !command.contains("--measure")
        }
        #expect(quick.count >= 8)
        for command in quick {
            // What they write is no file of the checkout's.
            let outcome = try await Command.shell(
                """
                ln -s '\(Command.repository)/scripts' scripts
                PATH=$(dirname "$0"):$PATH
                { \(command); } </dev/null
                """)
            // A hold that is ended is ended by the signal's own code, or in order.
            #expect(outcome.code == 0, "\(command): \(outcome)")
        }
    }
}
