internal import ArgumentParser
internal import HostMemory
internal import Reports
internal import VmemmapEmulator

/// An amount of memory on the command line: a whole number and K, M, G or T.
struct MemorySize {
    /// More than any machine has, and little enough for every figure derived from it.
    private static let most = ByteCount(1 << 60)

    let bytes: ByteCount

    /// An amount, with an error that says what may stand there.
    static func parse(_ text: String) throws -> MemorySize {
        guard let bytes = ByteCount(text: text.uppercased()), bytes <= most else {
            throw ValidationError(
                "it must be a whole number of bytes, or of K, M, G or T, above 0 and at most \(most.rawValue >> 40)T")
        }
        return MemorySize(bytes: bytes)
    }

    /// Throws unless a huge page of `size` fits.
    func check(holds size: HugePageSize) throws {
        if bytes >= size.bytes { return }
        throw ValidationError(
            "--memory \(ByteText.short(bytes)) is less than one huge page of \(ByteText.short(size.bytes)): use at least "
                + "--memory \(size.defaultValueDescription).")
    }
}
