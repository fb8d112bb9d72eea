internal import CSystemShims
internal import Glibc
public import SystemPackage

/// A process that this one has started, with pipes for its standard input and output.
///
/// Whoever starts one ends it with ``end()``; if this process dies first, the child sees the end of its input.
public final class ChildProcess {
    /// Its number.
    public let pid: Int32
    private let input: FileDescriptor
    private let output: FileDescriptor
    private let name: String

    /// Starts `program`. The corresponding C function is `posix_spawn`.
    ///
    /// - Parameters:
    ///   - program: its file.
    ///   - arguments: without the program's own name.
    public init(_ program: FilePath, _ arguments: [String]) throws(HostError) {
        name = program.string
        var input: CInt = -1
        var output: CInt = -1
        // SAFETY: strdup gives C strings of their own, freed below, and the array ends with nil.
        var strings = unsafe ([program.string] + arguments).map { unsafe strdup($0) } + [nil]
        // SAFETY: they are what strdup gave.
        defer { unsafe strings.forEach { unsafe free($0) } }
        let pid = try HostKernel.call(.startProcess, .file(program.string)) {
            // SAFETY: path and arguments are C strings that live for the call.
            unsafe program.withPlatformString { path in
                unsafe vme_spawn(path, &strings, &input, &output)
            }
        }
        self.pid = Int32(pid)
        self.input = FileDescriptor(rawValue: input)
        self.output = FileDescriptor(rawValue: output)
    }

    /// What it writes, up to and with the first line that is `last`; all of it if there is no such line.
    public func readOutput(upTo last: String) throws(HostError) -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        let end = Array(("\n" + last + "\n").utf8)
        while !text.suffix(end.count).elementsEqual(end) {
            let count = try HostKernel.read(output, into: &chunk, name: "the output of \(name)")
            if count == 0 { break }
            text += chunk[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Ends its input, takes in what it still writes, and waits until it has ended. Returns its exit code, or 128 and the number of the signal that ended it.
    @discardableResult
    public func end() throws(HostError) -> Int32 {
        try HostKernel.close(input)
        var chunk = [UInt8](repeating: 0, count: 4096)
        while try HostKernel.read(output, into: &chunk, name: "the output of \(name)") > 0 {}
        try HostKernel.close(output)
        let pid = Int64(pid)
        return Int32(try HostKernel.callThroughSignals(.wait, .process) { vme_await_exit(pid) })
    }
}
