import Glibc
package import SystemPackage

/// Standard input, output and error of a program.
package enum StandardStreams {
    /// Opens /dev/null in the place of each one that is closed, and tells which were. First of all in a program: the
    /// next file to be opened would be taken for the stream, and a report written into it. Standard input is opened for
    /// writing alone: to read what nobody has given is an error, not the end of a file.
    ///
    /// Throws the kernel's reason if there is no /dev/null to be had.
    package static func openClosed() throws(HostError) -> [FileDescriptor] {
        var closed: [FileDescriptor] = []
        // In this order: a file gets the lowest number that is free.
        for stream in [FileDescriptor.standardInput, .standardOutput, .standardError] {
            do throws(HostError) {
                _ = try HostKernel.status(of: stream, name: "standard stream")
            } catch  where error.errno == .badFileDescriptor {
                // Inherited by children, as the others are.
                _ = try HostKernel.open("/dev/null", .writeOnly, options: [])
                closed.append(stream)
            }
        }
        return closed
    }

    /// Has a write to a pipe that nobody reads, or beyond RLIMIT_FSIZE, report EPIPE or EFBIG. SIGPIPE and SIGXFSZ
    /// would end the program without a word.
    package static func reportFailedWrites() {
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
    }

    /// Waits for the next byte of standard input; nil at its end, and where it cannot be read: it was closed before the
    /// start, or has lost its terminal.
    package static func nextByte() -> UInt8? {
        var byte: [UInt8] = [0]
        return (try? HostKernel.read(.standardInput, into: &byte, name: "standard input")) == 1 ? byte[0] : nil
    }
}
