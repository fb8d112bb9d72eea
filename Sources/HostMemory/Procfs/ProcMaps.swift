import SystemPackage

/// One mapping: a line of /proc/PID/maps.
package struct Mapping: Hashable, Sendable {
    /// The addresses it covers.
    package let range: AddressRange
    /// Whether it may be read.
    package let isReadable: Bool
    /// Whether it may be written.
    package let isWritable: Bool
    /// Whether it may be executed.
    package let isExecutable: Bool
    /// MAP_SHARED.
    package let isShared: Bool
    /// Where in the file it starts; 0 for anonymous memory.
    package let offset: ByteCount
    /// The file's device and inode; nil for anonymous memory.
    package let file: FileIdentity?

    /// A file, as the kernel tells files apart.
    package struct FileIdentity: Hashable, Sendable {
        /// major << 32 | minor.
        package let device: UInt64
        /// The inode number on it.
        package let inode: UInt64

        /// A file by its device and inode.
        package init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }

    /// Parses one line without its newline; nil if it does not have the form of `7f00-7f10 rw-s 00000000 00:01 42
    /// /memfd:x`.
    ///
    /// Allocates nothing: a process may have millions of these lines.
    package init?(_ line: Span<UInt8>) {
        var scan = 0
        guard let start = scanHexadecimal(line, &scan, until: "-"), let end = scanHexadecimal(line, &scan, until: " "),
            start < end, let read = scanByte(line, &scan), let write = scanByte(line, &scan),
            let execute = scanByte(line, &scan), let sharing = scanByte(line, &scan),
            scanByte(line, &scan) == UInt8(ascii: " "), let offset = scanHexadecimal(line, &scan, until: " "),
            let major = scanHexadecimal(line, &scan, until: ":"),
            let minor = scanHexadecimal(line, &scan, until: " "), major <= UInt32.max, minor <= UInt32.max,
            let inode = scanNumber(line, &scan, radix: 10, until: " "),
            let length = Int(exactly: end - start), let offset = Int(exactly: offset)
        else { return nil }
        self.range = AddressRange(start: Address(UInt(start)), length: ByteCount(length))
        self.isReadable = read == UInt8(ascii: "r")
        self.isWritable = write == UInt8(ascii: "w")
        self.isExecutable = execute == UInt8(ascii: "x")
        self.isShared = sharing == UInt8(ascii: "s")
        self.offset = ByteCount(offset)
        self.file = inode == 0 ? nil : FileIdentity(device: major << 32 | minor, inode: inode)
    }
}

extension Mapping {
    /// Where the name of a mapping starts in its line: the sixth field, which may have spaces in it. Nil if it has
    /// none.
    static func nameStart(_ line: Span<UInt8>) -> Int? {
        var fields = 0
        var isInField = false
        for place in 0..<line.count {
            let isSpace = line[place] == UInt8(ascii: " ")
            if !isSpace, !isInField {
                fields += 1
                if fields == 6 { return place }
            }
            isInField = !isSpace
        }
        return nil
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
func scanNumber(
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

/// Reads /proc/PID/maps: all mappings of a process, in order of address.
package enum ProcMaps {
    /// Calls `body` for each mapping that overlaps `range` (all of them if nil).
    ///
    /// The one line that is no mapping of the process, the vsyscall page of x86, is left out. Other threads may map
    /// and unmap meanwhile: each line is right for its moment, the whole is not one moment.
    package static func forEach(
        of process: ObservedProcess = .current, overlapping range: AddressRange? = nil,
        _ body: (Mapping) throws(HostError) -> Void
    ) throws(HostError) {
        // In order of address: what comes behind the range is not read.
        var isBehind = false
        try ProcLines.forEach(process.path("maps"), until: { isBehind }) { (line) throws(HostError) in
            guard !isBehind, let mapping = try mapping(line, process) else { return }
            if let range {
                isBehind = mapping.range.start >= range.end
                if !range.overlaps(mapping.range) { return }
            }
            try body(mapping)
        }
    }

    /// Calls `body` for each mapping of a process whose name contains `part`, with the name: a file's path, or what the
    /// kernel shows in its place (`[heap]`, `/memfd:x (deleted)`).
    ///
    /// - Parameter part: not empty.
    package static func forEachNamed(
        _ part: String, of process: ObservedProcess, _ body: (Mapping, String) throws(HostError) -> Void
    ) throws(HostError) {
        let part = Array(part.utf8)
        try forEachLine(of: process) { (line) throws(HostError) in
            guard let start = Mapping.nameStart(line), contains(line, from: start, part),
                let mapping = try mapping(line, process)
            else { return }
            let name = (start..<line.count).map { line[$0] }
            try body(mapping, String(decoding: name, as: UTF8.self))
        }
    }

    /// How many mappings overlap `range`, or how many the process has: what vm.max_map_count limits.
    package static func count(
        of process: ObservedProcess = .current, overlapping range: AddressRange? = nil
    ) throws(HostError) -> MappingCount {
        var count = 0
        try forEach(of: process, overlapping: range) { (_) throws(HostError) in count += 1 }
        return MappingCount(count)
    }

    /// The lines, as they stand, of the mappings that overlap `range`.
    package static func lines(overlapping range: AddressRange) throws(HostError) -> [String] {
        var lines: [String] = []
        try forEachLine(of: .current) { (line) throws(HostError) in
            guard let mapping = Mapping(line), mapping.range.overlaps(range) else { return }
            lines.append(String(decoding: (0..<line.count).map { line[$0] }, as: UTF8.self))
        }
        return lines
    }

    /// The mapping that a line describes; nil for the vsyscall page.
    static func mapping(_ line: Span<UInt8>, _ process: ObservedProcess) throws(HostError) -> Mapping? {
        guard let mapping = Mapping(line) else { throw HostError(unreadable: process.path("maps").string) }
        return mapping.range.start.rawValue >> 63 != 0 ? nil : mapping
    }

    private static func contains(_ line: Span<UInt8>, from start: Int, _ part: [UInt8]) -> Bool {
        guard line.count - start >= part.count else { return false }
        return (start...line.count - part.count).contains { place in
            part.indices.allSatisfy { line[place + $0] == part[$0] }
        }
    }

    private static func forEachLine(
        of process: ObservedProcess, _ body: (Span<UInt8>) throws(HostError) -> Void
    ) throws(HostError) {
        try ProcLines.forEach(process.path("maps"), body)
    }
}
