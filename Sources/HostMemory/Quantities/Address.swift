/// A place in this process's address space: a number that the kernel's page tables give a meaning, not a pointer.
///
/// Following it takes ``pointer(as:)``, and that is unsafe; handing it to a system call is not, since the kernel
/// checks.
public struct Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The virtual address.
    public let rawValue: UInt

    /// The virtual address `rawValue`.
    public init(_ rawValue: UInt) { self.rawValue = rawValue }

    /// Orders by position.
    public static func < (left: Address, right: Address) -> Bool { left.rawValue < right.rawValue }

    /// The address `bytes` further up.
    public static func + (left: Address, bytes: ByteCount) -> Address {
        Address(left.rawValue &+ UInt(bitPattern: bytes.rawValue))
    }

    /// The address `bytes` further down.
    public static func - (left: Address, bytes: ByteCount) -> Address {
        Address(left.rawValue &- UInt(bitPattern: bytes.rawValue))
    }

    /// The distance from `right` up to `left`.
    public static func - (left: Address, right: Address) -> ByteCount {
        ByteCount(Int(bitPattern: left.rawValue &- right.rawValue))
    }

    /// Hexadecimal with 0x, as in /proc/self/maps but for the prefix.
    public var description: String { "0x" + String(rawValue, radix: 16) }

    /// The address as a pointer to values of `type`.
    ///
    /// Nil at address 0. Whoever follows the pointer answers for the mapping under it.
    @unsafe public func pointer<Value>(as type: Value.Type) -> UnsafeMutablePointer<Value>? {
        unsafe UnsafeMutablePointer(bitPattern: rawValue)
    }

    /// The address as the C functions of system calls take it.
    @unsafe var pointer: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: rawValue) }
}

/// A stretch of address space.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    /// The first byte.
    public let start: Address
    /// The length in bytes.
    public let length: ByteCount

    /// `length` bytes from `start`.
    public init(start: Address, length: ByteCount) {
        self.start = start
        self.length = length
    }

    /// The first byte after the range.
    public var end: Address { start + length }

    /// Whether `address` lies inside.
    public func contains(_ address: Address) -> Bool { start <= address && address < end }

    /// Whether the two share a byte.
    public func overlaps(_ other: AddressRange) -> Bool { start < other.end && other.start < end }

    /// `0xstart-0xend`.
    public var description: String { "\(start)-\(end)" }
}
