public import HostMemory

/// A number of emulated huge pages.
public struct HugePageCount: Quantity {
    /// The number of huge pages.
    public let rawValue: Int

    /// `rawValue` huge pages.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `1 huge page`, `64 huge pages`.
    public var description: String { described("huge page") }
}

/// A place in a sequence, as opposed to a number of things. Its arithmetic traps on overflow like `Int`'s.
public protocol Position: RawRepresentable<Int>, Hashable, Strideable, Sendable, Codable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
where Stride == Int {
    /// The position `rawValue`.
    init(_ rawValue: Int)
}

extension Position {
    /// The position `rawValue`.
    public init(rawValue: Int) { self.init(rawValue) }

    /// The position that a literal names.
    public init(integerLiteral value: Int) { self.init(value) }

    /// Orders by place. Strideable's own `<` subtracts, and so traps where two places are too far apart.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// The number of steps up to `other`.
    public func distance(to other: Self) -> Int { other.rawValue - rawValue }

    /// The position `steps` further on.
    public func advanced(by steps: Int) -> Self { Self(rawValue + steps) }

    /// This place alone, for operations on several.
    package var alone: Range<Self> { self..<advanced(by: 1) }
}

extension Range where Bound: Position {
    /// The bare numbers, for text: `0..<8`.
    package var numbers: Range<Int> { lowerBound.rawValue..<upperBound.rawValue }
}

/// Which huge page of a region, from 0.
public struct HugePageIndex: Position {
    /// The index.
    public let rawValue: Int

    /// The huge page `rawValue`.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `huge page 3`.
    public var description: String { "huge page \(rawValue)" }
}

/// Which vmemmap page of a huge page, from 0 (the one with the head) to 7 (2 MiB) or 4095 (1 GiB).
package struct VmemmapPageIndex: Position {
    /// The index.
    package let rawValue: Int

    /// The vmemmap page `rawValue`.
    package init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `vmemmap page 7`.
    package var description: String { "vmemmap page \(rawValue)" }
}

/// An emulated page frame number: which base page of the emulated memory, from 0. Not a frame of the host.
public struct PageFrameNumber: Position {
    /// The number.
    public let rawValue: Int

    /// The frame `rawValue`.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// `pfn 512`.
    public var description: String { "pfn \(rawValue)" }
}
