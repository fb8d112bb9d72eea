public import HostMemory

/// The size of an emulated huge page: a power of two.
public struct HugePageSize: Hashable, Sendable {
    /// The size in bytes.
    public let bytes: ByteCount

    /// 2 MiB: mapped by a PMD on x86-64 and arm64 with 4 KiB base pages.
    public static let twoMebibytes = HugePageSize(unchecked: .mebibytes(2))
    /// 1 GiB: mapped by a PUD. The kernel calls it gigantic.
    public static let oneGibibyte = HugePageSize(unchecked: .gibibytes(1))

    /// The largest that Linux has (arm64 with 64 KiB base pages, powerpc).
    public static let largest = HugePageSize(unchecked: .gibibytes(16))

    /// A huge page of `bytes`; nil unless that is a power of two, and no more than ``largest``.
    public init?(bytes: ByteCount) {
        guard bytes.isPowerOfTwo, bytes <= Self.largest.bytes else { return nil }
        self.bytes = bytes
    }

    private init(unchecked bytes: ByteCount) { self.bytes = bytes }
}
