import ArgumentParser
import HostMemory
import SystemPackage

/// The lines of a script, from a file or from standard input as they come.
final class ScriptSource {
    private let file: FileDescriptor
    private let isOwned: Bool
    private let name: String
    /// The longest line that is taken, in bytes: no statement needs as much, and what has no end is not kept.
    static let longestLine = 4096

    private var buffered: [UInt8] = []
    private var number = 0
    private var isAtEnd = false

    /// - Parameter path: nil, `-` or `/dev/stdin`: standard input.
    init(_ path: String?) throws {
        // By its name in /dev, /dev/null in the place of a closed one would be opened anew, and read as empty.
        if let path, !["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].contains(path) {
            name = path
            isOwned = true
            do throws(HostError) {
                file = try HostKernel.open(FilePath(path), .readOnly)
            } catch {
                throw Self.refusal(path, error)
            }
        } else {
            name = "standard input"
            isOwned = false
            file = .standardInput
        }
    }

    deinit { if isOwned { try? HostKernel.close(file) } }

    /// The next line without its end; nil after the last. Exits as a usage error at one that is longer than
    /// ``longestLine``.
    func nextLine() throws -> String? {
        number += 1
        while true {
            let end = buffered.firstIndex(of: UInt8(ascii: "\n"))
            guard (end ?? buffered.count) <= Self.longestLine else {
                Output.error(
                    "\(name):\(number): found a line of more than \(Self.longestLine) bytes, expected a shorter one")
                throw ExitCode.validationFailure
            }
            if let end {
                defer { buffered.removeSubrange(...end) }
                return String(decoding: buffered[..<end], as: UTF8.self)
            }
            if isAtEnd {
                defer { buffered = [] }
                return buffered.isEmpty ? nil : String(decoding: buffered, as: UTF8.self)
            }
            try readMore()
        }
    }

    private func readMore() throws {
        var chunk = [UInt8](repeating: 0, count: 4096)
        do throws(HostError) {
            let count = try HostKernel.read(file, into: &chunk, name: name)
            isAtEnd = count == 0
            buffered += chunk[..<count]
        } catch {
            throw Self.refusal(name, error)
        }
    }

    /// Says why there is nothing to read.
    private static func refusal(_ name: String, _ error: HostError) -> ExitCode {
        let reason =
            switch error.errno {
            case .isDirectory: "it is a folder"
            case .badFileDescriptor: "it is closed"
            case .fileNameTooLong: "\(Errno.fileNameTooLong)"
            default: "\(error)"
            }
        Output.error("cannot read \(name): \(reason); give a script that may be read, or - for standard input")
        return .validationFailure
    }
}
