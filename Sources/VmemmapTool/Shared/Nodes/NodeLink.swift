import FoundationEssentials
import Glibc
import HostLab
import HostMemory
import SystemPackage

/// In the process of an emulated node: what it says to its parent, and what it waits for.
///
/// A line of standard output that begins with @ is a word and what belongs to it, in JSON; every other line, those of
/// standard error among them, is why the node failed. A line on standard input lets it go on; the end of that ends it.
enum NodeLink {
    /// What a line for the parent begins with.
    static let mark: Character = "@"

    /// Sees to it that the process ends with its parent. First of all in a node.
    static func begin() throws(HostError) { try HostKernel.endWithParent() }

    /// Says a word.
    static func say(_ word: NodeWord, _ text: String = "") throws(HostError) {
        try HostKernel.write(
            Array("\(mark)\(word.rawValue) \(text)\n".utf8), to: .standardOutput, name: "the pipe to the parent")
    }

    /// Says a word about something.
    static func say(_ word: NodeWord, _ value: some Encodable) throws {
        try say(word, String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
    }

    /// Says that it is ready for a phase, and waits until it is let go, as all nodes are at once. Ends the process
    /// where it is not to go on, or the parent has gone.
    static func awaitTurn(for phase: String) {
        guard (try? say(.ready, phase)) != nil, waitForLine() else { exit(EXIT_FAILURE) }
    }

    /// Waits until the parent has it end, or has gone.
    static func awaitEnd() { while waitForLine() {} }

    private static func waitForLine() -> Bool { StandardStreams.nextByte() != nil }

    /// Tells the parent how far the node is, five times a second at most.
    static func progress() -> ProgressSink {
        var last = 0
        return { progress in
            let now = HostKernel.monotonicNanoseconds()
            guard now - last > 200_000_000 else { return }
            last = now
            try? say(.progress, progress)
        }
    }
}

/// What a node says.
enum NodeWord: String {
    /// It waits to be let go, into the phase that follows.
    case ready
    /// How far it is.
    case progress
    /// What came of it.
    case result
}
