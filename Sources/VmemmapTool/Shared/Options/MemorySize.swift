import ArgumentParser
import HostMemory
import VmemmapEmulator

/// An amount of memory on the command line: a number and K, M, G or T.
struct MemorySize {
    /// More than any machine has, and little enough for every figure derived from it.
    static let most = ByteCount(1 << 60)

    let bytes: ByteCount
    /// Whether it was written with a decimal point: nobody who writes 1.3T means so many bytes exactly.
    let isFraction: Bool

    /// An amount, with an error that says what may stand there.
    static func parse(_ text: String) throws -> MemorySize {
        guard let bytes = ByteCount(text: text.uppercased()), bytes <= most else {
            throw ValidationError(
                decimalUnit(text)
                    ?? "it must be a number of bytes, or of K, M, G or T, above 0 and at most \(most.argument)")
        }
        return MemorySize(bytes: bytes, isFraction: text.contains("."))
    }

    /// Why GB is not taken; nil where the text is something else.
    static func decimalUnit(_ text: String) -> String? {
        let unit = text.suffix(2).uppercased()
        let prefix = unit.prefix(1)
        let binary = "\(text.dropLast(2))\(prefix)"
        guard ["KB", "MB", "GB", "TB"].contains(unit), ByteCount(text: binary) != nil else { return nil }
        return "\(unit) is not a unit here, as it is a power of 10 elsewhere: \(prefix)iB or \(prefix) is meant, as in "
            + binary
    }

    /// Throws unless it is a whole number of huge pages of `size`: the rest would be dropped without a word.
    ///
    /// - Parameter saysRest: that the command says what of a fraction is left over, so that one may be.
    func check(holds size: HugePageSize, saysRest: Bool) throws {
        let pages = bytes.rawValue / size.bytes.rawValue
        if pages == 0 {
            throw ValidationError(
                "--memory \(Format.bytes(bytes)) is less than one huge page of \(Format.bytes(size.bytes)): use at "
                    + "least --memory \(size.bytes.argument).")
        }
        if size.bytes * pages == bytes || isFraction && saysRest { return }
        throw ValidationError(
            "--memory \(bytes.rawValue) bytes is no whole number of huge pages of \(Format.bytes(size.bytes)): use "
                + "--memory \((size.bytes * pages).argument) or --memory \((size.bytes * (pages + 1)).argument).")
    }
}

extension HugePageSize {
    /// Every size that some architecture has, the smallest first.
    static let usual = Set(Architecture.allCases.flatMap(\.hugePageSizes)).sorted { $0.bytes < $1.bytes }
        .map(\.defaultValueDescription)

    /// Any power of two that Linux has huge pages of, with an error that says what may stand there.
    static func parse(_ text: String) throws -> HugePageSize {
        guard let size = (try? MemorySize.parse(text)).flatMap({ HugePageSize(bytes: $0.bytes) }) else {
            throw ValidationError(
                MemorySize.decimalUnit(text) ?? "it must be a power of two of bytes, or of K, M or G, at most 16G")
        }
        return size
    }
}
