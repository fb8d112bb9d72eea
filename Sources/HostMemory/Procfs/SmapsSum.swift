import SystemPackage

/// /proc/PID/smaps added up over a range of a process: what pmap and others report.
///
/// The sum of Pss is too low where mappings are small: each mapping's is rounded down to whole KiB, and a frame of 4
/// KiB that is mapped seven times rounds to 0 in each.
package struct SmapsSum: Hashable, Sendable {
    /// Mappings in the range.
    package private(set) var mappings = MappingCount.zero
    /// Page table entries that are present (Rss).
    package private(set) var rss = ByteCount.zero
    /// The same, each frame divided by its number of mappings and each mapping rounded down (Pss).
    package private(set) var pss = ByteCount.zero

    private let range: AddressRange
    private var isInRange = false

    /// Nothing yet of `range`.
    init(_ range: AddressRange) { self.range = range }

    /// Takes in one line: the first of a mapping, as in maps, or one of its fields.
    mutating func add(_ line: Span<UInt8>) {
        // A field's name starts with a capital letter, and an address is of small hexadecimal digits.
        if let first = line.count > 0 ? line[0] : nil, first >= UInt8(ascii: "A"), first <= UInt8(ascii: "Z") {
            guard isInRange else { return }
            if let bytes = Self.kibibytes(line, "Rss:") { rss += bytes }
            if let bytes = Self.kibibytes(line, "Pss:") { pss += bytes }
        } else if let mapping = Mapping(line) {
            isInRange = range.overlaps(mapping.range)
            if isInRange { mappings += MappingCount(1) }
        }
    }

    /// Adds up a range of a process.
    package static func of(_ process: ObservedProcess, in range: AddressRange) throws(HostError) -> SmapsSum {
        var sum = SmapsSum(range)
        try ProcLines.forEach(process.path("smaps")) { (line) throws(HostError) in sum.add(line) }
        return sum
    }

    /// The number of a `Key:   12 kB` line in bytes; nil for another key, and for no number.
    private static func kibibytes(_ line: Span<UInt8>, _ key: StaticString) -> ByteCount? {
        let length = key.utf8CodeUnitCount
        // SAFETY: the literal's bytes live as long as the program, and `place` is below their number.
        guard line.count > length, (0..<length).allSatisfy({ place in unsafe key.utf8Start[place] == line[place] })
        else {
            return nil
        }
        var number = 0
        var digits = 0
        for place in length..<line.count {
            switch line[place] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                number = number &* 10 &+ Int(line[place] - UInt8(ascii: "0"))
                digits += 1
            case UInt8(ascii: " ") where digits == 0: continue
            default: return digits == 0 || digits > 15 ? nil : .kibibytes(number)
            }
        }
        return nil
    }
}
