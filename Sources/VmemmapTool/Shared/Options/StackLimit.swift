import ArgumentParser
import Glibc
import HostMemory

/// The limit on the stack of the program, which is also that of each of its threads.
enum StackLimit {
    /// What parsing the arguments and every thread take, twice over.
    private static let least = ByteCount.kibibytes(256)

    /// Exits where the stack may not grow as far as it has to: it would end in SIGSEGV, without a word.
    static func check() {
        guard let limit = try? ProcessLimits.stack(), limit < least else { return }
        Output.error(
            "the stack may have \(limit.rawValue >> 10) KiB, at least \(least.rawValue >> 10) are needed: raise the "
                + "limit "
                + "(ulimit -s)")
        exit(ExitCode.shortage.rawValue)
    }
}
