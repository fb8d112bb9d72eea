import SystemPackage

/// Reads this process's memory again and again without allocating: for sampling beside work that is being measured.
///
/// Its files stay open, since opening one costs more than reading it.
package struct MemoryMeter: ~Copyable, Sendable {
    private let statm: FileDescriptor
    /// Nil before Linux 4.14.
    private let rollup: FileDescriptor?
    private var text = [UInt8](repeating: 0, count: 4096)

    /// Opens /proc/self/statm and smaps_rollup.
    package init() throws(HostError) {
        statm = try HostKernel.open("/proc/self/statm", .readOnly)
        rollup = try? HostKernel.open("/proc/self/smaps_rollup", .readOnly)
    }

    deinit {
        try? HostKernel.close(statm)
        if let rollup { try? HostKernel.close(rollup) }
    }

    /// RSS by statm, in microseconds whatever the number of mappings, and up to a few pages a processor behind; nil
    /// where it cannot be read.
    package mutating func residentBytes() -> ByteCount? {
        guard let count = try? HostKernel.readFromStart(statm, into: &text, name: "/proc/self/statm") else {
            return nil
        }
        return Self.residentPages(text.span.extracting(0..<count)).flatMap {
            HostLimits.pageSize.multiplied(by: $0)
        }
    }

    /// PSS by smaps_rollup, at a cost that grows with the mappings and pages of the process; nil where it cannot be
    /// read.
    package mutating func proportionalBytes() -> ByteCount? {
        guard let rollup,
            let count = try? HostKernel.readFromStart(rollup, into: &text, name: "/proc/self/smaps_rollup")
        else { return nil }
        return Self.pssKibibytes(text.span.extracting(0..<count)).flatMap { ByteCount(1024).multiplied(by: $0) }
    }

    /// The second number of `5061 1771 1563 2 0 161 0`; nil where there is none. Pure.
    static func residentPages(_ text: Span<UInt8>) -> Int? {
        var position = 0
        guard scanNumber(text, &position, radix: 10, until: " ") != nil else { return nil }
        return scanNumber(text, &position, radix: 10, until: " ").flatMap { Int(exactly: $0) }
    }

    /// The number of the line `Pss:      7263 kB`; nil where there is none. Pure.
    static func pssKibibytes(_ text: Span<UInt8>) -> Int? {
        var start = 0
        for end in text.indices where text[end] == UInt8(ascii: "\n") {
            if end - start > 4, text[start] == UInt8(ascii: "P"), text[start + 1] == UInt8(ascii: "s"),
                text[start + 2] == UInt8(ascii: "s"), text[start + 3] == UInt8(ascii: ":")
            {
                var position = start + 4
                while position < end, text[position] == UInt8(ascii: " ") { position += 1 }
                return scanNumber(text, &position, radix: 10, until: " ").flatMap { Int(exactly: $0) }
            }
            start = end + 1
        }
        return nil
    }
}
