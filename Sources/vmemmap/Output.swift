internal import Experiments
internal import Glibc
internal import HostMemory
internal import SystemPackage

/// What the command writes. Standard output carries the report, or an export to `-` and then nothing else.
enum Output {
    /// Writes lines to standard output.
    static func print(_ lines: [String]) throws { try print(lines.joined(separator: "\n") + "\n") }

    /// Writes text to standard output. A reader that went away (`| head`) ends the command quietly.
    static func print(_ text: String) throws {
        do throws(HostError) {
            try HostKernel.write(Array(text.utf8), to: .standardOutput, name: "standard output")
        } catch {
            if error.errno == .brokenPipe { exit(0) }
            throw error
        }
    }

    /// Writes a line to standard error.
    static func error(_ line: String) {
        try? HostKernel.write(
            Array("\(Tool.name): \(line)\n".utf8), to: .standardError, name: "standard error")
    }
}
