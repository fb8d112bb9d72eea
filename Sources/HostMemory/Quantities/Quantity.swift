/// A whole number with a unit. Bytes, pages and mappings are different types, so that one cannot be taken for another.
///
/// Arithmetic traps on overflow like `Int`'s: sizes that come from outside are checked where they enter
/// (``ByteCount/multiplied(by:)`` and ``ByteCount/adding(_:)`` answer nil), and everything after that is known to fit.
public protocol Quantity: RawRepresentable<Int>, Hashable, Comparable, Sendable, Codable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    /// Makes a quantity of `rawValue` units.
    init(_ rawValue: Int)
}

extension Quantity {
    /// Makes a quantity of `rawValue` units.
    public init(rawValue: Int) { self.init(rawValue) }

    /// Makes a quantity of so many units.
    public init(integerLiteral value: Int) { self.init(value) }

    /// No units.
    public static var zero: Self { Self(0) }

    /// Orders by the number of units.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// The sum.
    public static func + (left: Self, right: Self) -> Self { Self(left.rawValue + right.rawValue) }

    /// The difference, which may be negative.
    public static func - (left: Self, right: Self) -> Self { Self(left.rawValue - right.rawValue) }

    /// Adds in place.
    public static func += (left: inout Self, right: Self) { left = left + right }

    /// Subtracts in place.
    public static func -= (left: inout Self, right: Self) { left = left - right }

    /// `left` times as much.
    public static func * (left: Self, right: Int) -> Self { Self(left.rawValue * right) }

    /// The number with its unit: `1 page`, `64 pages`. Text that people or programs read later has the ``rawValue``.
    package func described(_ unit: String) -> String { "\(rawValue) \(unit)\(rawValue == 1 ? "" : "s")" }
}

/// A number of bytes.
public struct ByteCount: Quantity {
    /// The number of bytes.
    public let rawValue: Int

    /// `rawValue` bytes.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// An amount written as people do: a number above 0 and K, M, G or T, with or without iB, or whole bytes: 64G,
    /// 400GiB, 1.1T. What is left of a fraction is less than a byte and dropped. Nil for anything else, and for what
    /// does not fit.
    public init?(text: some StringProtocol) {
        let text = String(text)
        let short = text.lowercased().hasSuffix("ib") ? text.dropLast(2) : text[...]
        let unit = short.last.flatMap { last in Self.units.last { $0.prefix == "\(last)" } }
        if unit == nil, short.count < text.count { return nil }
        let parts = (unit == nil ? short : short.dropLast()).split(separator: ".", omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? parts[1] : ""
        // 10 to the 18th is the largest that fits.
        guard parts.count == 1 || parts.count == 2 && unit != nil && (1...18).contains(decimals.count),
            let number = Int(parts[0] + decimals), decimals.allSatisfy(\.isNumber)
        else { return nil }
        let divisor = decimals.reduce(1) { divisor, _ in divisor * 10 }
        guard let bytes = Int(exactly: Int128(number) * Int128(unit?.size ?? 1) / Int128(divisor)), bytes > 0
        else { return nil }
        self = ByteCount(bytes)
    }

    /// The binary units: 1, K, M, G and T.
    package static let units = ["", "K", "M", "G", "T"].enumerated().map { place, prefix in
        (size: 1 << (10 * place), prefix: prefix)
    }

    /// The largest unit that divides it.
    private var wholeUnit: (size: Int, prefix: String) {
        Self.units.last { rawValue != 0 && rawValue.isMultiple(of: $0.size) } ?? Self.units[0]
    }

    /// As a size is written in command lines, scripts and names, exactly: `2M`, `24K`.
    package var argument: String { "\(rawValue / wholeUnit.size)\(wholeUnit.prefix)" }

    /// Exactly, in the largest unit that divides it: `24 KiB`, `1 B`.
    public var description: String {
        "\(rawValue / wholeUnit.size) \(wholeUnit.prefix)\(wholeUnit.prefix.isEmpty ? "" : "i")B"
    }

    /// `count` times 1024 bytes, the unit of /proc.
    public static func kibibytes(_ count: Int) -> ByteCount { ByteCount(1 << 10) * count }

    /// `count` times 1024² bytes.
    public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(1 << 20) * count }

    /// `count` times 1024³ bytes.
    public static func gibibytes(_ count: Int) -> ByteCount { ByteCount(1 << 30) * count }

    /// The product, or nil where it does not fit: for counts that come from outside.
    public func multiplied(by count: Int) -> ByteCount? {
        let (product, overflow) = rawValue.multipliedReportingOverflow(by: count)
        return overflow ? nil : ByteCount(product)
    }

    /// The sum, or nil where it does not fit: for sizes that come from outside.
    public func adding(_ other: ByteCount) -> ByteCount? {
        let (sum, overflow) = rawValue.addingReportingOverflow(other.rawValue)
        return overflow ? nil : ByteCount(sum)
    }
}

/// A number of pages, or of the frames under them: the host's, or where it is said emulated base pages.
public struct PageCount: Quantity {
    /// The number of pages.
    public let rawValue: Int

    /// `rawValue` pages.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `1 page`, `64 pages`.
    public var description: String { described("page") }

    /// The bytes in this many pages of `pageSize` each.
    public func bytes(pageSize: ByteCount) -> ByteCount { pageSize * rawValue }
}

/// A number of mappings: the host's vm_area_structs, lines of /proc/self/maps.
public struct MappingCount: Quantity {
    /// The number of mappings.
    public let rawValue: Int

    /// `rawValue` mappings.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `1 mapping`, `64 mappings`.
    public var description: String { described("mapping") }
}
