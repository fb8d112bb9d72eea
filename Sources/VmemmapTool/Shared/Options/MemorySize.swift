import ArgumentParser
import HostMemory
import VmemmapEmulator

/// An amount of memory on the command line: a whole number and K, M, G or T.
struct MemorySize {
    /// More than any machine has, and little enough for every figure derived from it.
    static let most = ByteCount(1 << 60)

    let bytes: ByteCount

    /// An amount, with an error that says what may stand there.
    static func parse(_ text: String) throws -> MemorySize {
        guard let bytes = ByteCount(text: text.uppercased()), bytes <= most else {
            throw ValidationError(
                "it must be a number of bytes, or of K, M, G or T, above 0 and at most \(most.argument)")
        }
        return MemorySize(bytes: bytes)
    }

    /// Throws unless it is a whole number of huge pages of `size`: the rest would be dropped without a word.
    func check(holds size: HugePageSize) throws {
        let pages = bytes.rawValue / size.bytes.rawValue
        if pages == 0 {
            throw ValidationError(
                "--memory \(Format.bytes(bytes)) is less than one huge page of \(Format.bytes(size.bytes)): use at "
                    + "least --memory \(size.bytes.argument).")
        }
        if size.bytes * pages == bytes { return }
        throw ValidationError(
            "--memory \(bytes.rawValue) bytes is no whole number of huge pages of \(Format.bytes(size.bytes)): use "
                + "--memory \((size.bytes * pages).argument) or --memory \((size.bytes * (pages + 1)).argument).")
    }
}
