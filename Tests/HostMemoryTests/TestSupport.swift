import Glibc
import SystemPackage
import Testing

@testable import HostMemory

/// What this process may do, found out apart from the code under test.
enum Privilege {
    static let isRoot = geteuid() == 0

    /// CAP_SYS_ADMIN in the first user namespace: /proc shows frame numbers, and kpagecount can be read.
    static let seesFrames: Bool = {
        guard isRoot, let identities = try? HostKernel.readText("/proc/self/uid_map"),
            identities.split(whereSeparator: \.isWhitespace) == ["0", "0", "4294967295"],
            let status = try? HostKernel.readText("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:\t") }),
            let capabilities = UInt64(line.dropFirst(8), radix: 16)
        else { return false }
        return capabilities >> 21 & 1 == 1
    }()
}

/// SplitMix64: the same numbers from the same seed, on every host.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

/// How many descriptors of this process show the memory file `name`.
///
/// Told by name, so that files which other tests (or the runtime) open and close meanwhile do not matter.
func openDescriptors(ofMemoryFile name: String) -> Int {
    // The lowest free number is taken first, so that numbers stay far below this.
    (0..<1024).count { number in
        var target = [UInt8](repeating: 0, count: 256)
        // SAFETY: the kernel writes at most the buffer's own length into it.
        let length = unsafe target.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            return unsafe readlink("/proc/self/fd/\(number)", start, buffer.count)
        }
        return String(decoding: target.prefix(max(0, length)), as: UTF8.self).hasPrefix("/memfd:\(name) ")
    }
}

extension HostError {
    /// The error that `body` throws; nil if it throws none.
    static func thrown(by body: () throws(HostError) -> Void) -> HostError? {
        do throws(HostError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}

extension Mapping {
    /// Parses a line given as text.
    init?(text: String) { self.init(Array(text.utf8).span) }
}
