import Glibc
package import HostMemory
package import SystemPackage

/// A process that this one has started, with pipes for its standard input and output.
///
/// It is ended with ``end()``. One that nobody holds any more is killed; if this process dies first, the child sees the
/// end of its input.
package final class ChildProcess {
    /// Its number.
    package let pid: Int32
    /// Nil once they are closed.
    private var input: FileDescriptor?
    /// Where what it writes can be waited for.
    package private(set) var output: FileDescriptor?
    /// Nil until it has been waited for.
    private var exitCode: Int32?
    private let name: String

    /// Starts `program`. The corresponding C function is `posix_spawn`.
    ///
    /// - Parameters:
    ///   - program: its file.
    ///   - arguments: without the program's own name.
    ///   - isPart: whether it does a part of this process's work: what it has to say of errors comes with its output,
    ///     and a terminal's keys do not end it.
    package init(_ program: FilePath, _ arguments: [String], isPart: Bool = false) throws(HostError) {
        name = program.string
        let process = try HostKernel.start(
            program, arguments, signals: isPart ? .keysBlocked : .none, mergesErrors: isPart)
        pid = process.processID
        input = process.input
        output = process.output
    }

    deinit {
        for end in [input, output] { if let end { try? HostKernel.close(end) } }
        guard exitCode == nil else { return }
        kill()
        _ = try? awaitExit()
    }

    /// What it writes, up to and with the first line that is `last`; all of it if there is no such line. Nothing once
    /// it has been ended.
    package func readOutput(upTo last: String) throws(HostError) -> String {
        // The first line begins as any other does.
        var text = Array("\n".utf8)
        let end = Array(("\n" + last + "\n").utf8)
        while !text.suffix(end.count).elementsEqual(end) {
            let chunk = try readChunk()
            if chunk.isEmpty { break }
            text += chunk
        }
        return String(decoding: text.dropFirst(), as: UTF8.self)
    }

    /// Sends it a line with nothing in it. One that has ended meanwhile gets none: its output ends, too.
    package func sendLine() {
        if let input { try? HostKernel.write([UInt8(ascii: "\n")], to: input, name: "the input of \(name)") }
    }

    /// Ends its input: it has to end by itself.
    package func endInput() { if let input = input.take() { try? HostKernel.close(input) } }

    /// Ends it at once, with SIGKILL. To be waited for by ``end()``.
    package func kill() { if exitCode == nil { _ = Glibc.kill(pid, SIGKILL) } }

    /// Ends its input, takes in what it still writes, and waits until it has ended. Returns its exit code, or 128 and
    /// the number of the signal that ended it. After a refusal a further call goes on where it stopped; once it is
    /// done, the code is told again.
    @discardableResult
    package func end() throws(HostError) -> Int32 {
        if let exitCode { return exitCode }
        // A close that fails has closed.
        if let input = input.take() { try HostKernel.close(input) }
        while try !readChunk().isEmpty {}
        if let output = output.take() { try HostKernel.close(output) }
        return try awaitExit()
    }

    /// Waits for the next that it writes, and returns that; nothing at the end.
    package func readChunk() throws(HostError) -> ArraySlice<UInt8> {
        guard let output else { return [] }
        var chunk = [UInt8](repeating: 0, count: 4096)
        return try chunk[..<HostKernel.read(output, into: &chunk, name: "the output of \(name)")]
    }

    private func awaitExit() throws(HostError) -> Int32 {
        let code = try HostKernel.awaitExit(of: pid)
        exitCode = code
        return code
    }
}
