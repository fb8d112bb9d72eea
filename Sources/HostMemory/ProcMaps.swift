internal import SystemPackage

/// One mapping: a line of /proc/PID/maps.
public struct Mapping: Hashable, Sendable {
    /// The addresses it covers.
    public let range: AddressRange
    /// Whether it may be read.
    public let isReadable: Bool
    /// Whether it may be written.
    public let isWritable: Bool
    /// MAP_SHARED.
    public let isShared: Bool
    /// Where in the file it starts; 0 for anonymous memory.
    public let offset: ByteCount
    /// The file's device and inode; nil for anonymous memory.
    public let file: FileIdentity?

    /// A file, as the kernel tells files apart.
    public struct FileIdentity: Hashable, Sendable {
        /// major << 32 | minor.
        public let device: UInt64
        /// The inode number on it.
        public let inode: UInt64
    }

    /// Parses one line without its newline; nil if it does not have the form of `7f00-7f10 rw-s 00000000 00:01 42
    /// /memfd:x`.
    ///
    /// Allocates nothing: a process may have millions of these lines.
    public init?(_ line: Span<UInt8>) {
        var scan = 0
        guard let start = scanHexadecimal(line, &scan, until: "-"), let end = scanHexadecimal(line, &scan, until: " "),
            start < end, let read = scanByte(line, &scan), let write = scanByte(line, &scan),
            scanByte(line, &scan) != nil, let sharing = scanByte(line, &scan),
            scanByte(line, &scan) == UInt8(ascii: " "), let offset = scanHexadecimal(line, &scan, until: " "),
            let major = scanHexadecimal(line, &scan, until: ":"),
            let minor = scanHexadecimal(line, &scan, until: " "), major <= UInt32.max, minor <= UInt32.max,
            let inode = scanNumber(line, &scan, radix: 10, until: " "),
            let length = Int(exactly: end - start), let offset = Int(exactly: offset)
        else { return nil }
        self.range = AddressRange(start: Address(UInt(start)), length: ByteCount(length))
        self.isReadable = read == UInt8(ascii: "r")
        self.isWritable = write == UInt8(ascii: "w")
        self.isShared = sharing == UInt8(ascii: "s")
        self.offset = ByteCount(offset)
        self.file = inode == 0 ? nil : FileIdentity(device: major << 32 | minor, inode: inode)
    }
}

private func scanByte(_ line: Span<UInt8>, _ position: inout Int) -> UInt8? {
    guard position < line.count else { return nil }
    defer { position += 1 }
    return line[position]
}

private func scanHexadecimal(_ line: Span<UInt8>, _ position: inout Int, until end: Unicode.Scalar) -> UInt64? {
    scanNumber(line, &position, radix: 16, until: end)
}

/// A number that fits 64 bits, up to `end` or the end of the line. No digit at all is no number.
private func scanNumber(
    _ line: Span<UInt8>, _ position: inout Int, radix: UInt64, until end: Unicode.Scalar
) -> UInt64? {
    var value: UInt64 = 0
    var digits = 0
    while let byte = scanByte(line, &position), byte != UInt8(ascii: end) {
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        default: return nil
        }
        let (product, tooLarge) = value.multipliedReportingOverflow(by: radix)
        let (sum, carries) = product.addingReportingOverflow(UInt64(digit))
        if UInt64(digit) >= radix || tooLarge || carries { return nil }
        value = sum
        digits += 1
    }
    return digits == 0 ? nil : value
}

/// Reads /proc/self/maps: all mappings of this process, in order of address.
public enum ProcMaps {
    /// Calls `body` for each mapping that overlaps `range` (all of them if nil).
    ///
    /// The one line that is no mapping of the process, the vsyscall page of x86, is left out. Other threads may map
    /// and unmap meanwhile: each line is right for its moment, the whole is not one moment.
    public static func forEach(
        overlapping range: AddressRange? = nil, _ body: (Mapping) throws(HostError) -> Void
    ) throws(HostError) {
        try forEachLine { (line) throws(HostError) in
            guard let mapping = Mapping(line) else { throw HostError(unreadable: path.string) }
            if mapping.range.start.rawValue >> 63 != 0 { return }
            if let range, !range.overlaps(mapping.range) { return }
            try body(mapping)
        }
    }

    /// How many mappings overlap `range`, or how many the process has: what vm.max_map_count limits.
    public static func count(overlapping range: AddressRange? = nil) throws(HostError) -> MappingCount {
        var count = 0
        try forEach(overlapping: range) { (_) throws(HostError) in count += 1 }
        return MappingCount(count)
    }

    private static let path: FilePath = "/proc/self/maps"

    private static func forEachLine(_ body: (Span<UInt8>) throws(HostError) -> Void) throws(HostError) {
        let file = try HostKernel.open(path, .readOnly)
        do {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            var carried: [UInt8] = []
            while true {
                let count = try HostKernel.read(file, into: &chunk, name: path.string)
                if count == 0 { break }
                var start = 0
                for end in 0..<count where chunk[end] == UInt8(ascii: "\n") {
                    if carried.isEmpty {
                        try body(chunk.span.extracting(start..<end))
                    } else {
                        carried += chunk[start..<end]
                        try body(carried.span)
                        carried.removeAll(keepingCapacity: true)
                    }
                    start = end + 1
                }
                carried += chunk[start..<count]
            }
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
    }
}
