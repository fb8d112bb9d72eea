import HostMemory

/// Byte counts as people read them.
enum ByteText {
    /// In the largest binary unit that leaves at least 1, with two decimals where they say something: `24 KiB`, `2.00
    /// MiB`.
    static func short(_ bytes: ByteCount) -> String { text(bytes, places: [2]) }

    /// The same in four digits at most, for a cell of a table: `281.7 MiB`, `1024 KiB`.
    static func brief(_ bytes: ByteCount) -> String { text(bytes, places: [2, 1, 0]) }

    /// - Parameter places: decimals to try; the first that takes no more than four digits, or the last.
    private static func text(_ bytes: ByteCount, places: [Int]) -> String {
        let magnitude = bytes.rawValue.magnitude
        let units: [(UInt, String)] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        guard let (unit, name) = units.first(where: { magnitude >= $0.0 }) else { return "\(bytes.rawValue) B" }
        let isWholeKibibytes = unit == 1 << 10 && magnitude.isMultiple(of: unit)
        let texts = (isWholeKibibytes ? [0] : places).map { decimal(magnitude, per: unit, $0) }
        let text = texts.first { $0.count { $0.isNumber } <= 4 } ?? texts[texts.count - 1]
        return (bytes < .zero ? "-" : "") + text + " " + name
    }

    /// In whole KiB, as /proc shows them.
    static func kibibytes(_ bytes: ByteCount) -> String { "\(bytes.rawValue / 1024)" }

    /// `amount / unit` with so many decimals, two at most, rounded, in integers.
    private static func decimal(_ amount: UInt, per unit: UInt, _ places: Int) -> String {
        let scale: UInt = places == 2 ? 100 : places == 1 ? 10 : 1
        let (whole, rest) = amount.quotientAndRemainder(dividingBy: unit)
        let parts = (rest * scale + unit / 2) / unit
        let (carried, shown) = parts == scale ? (whole + 1, 0) : (whole, parts)
        let digits = places == 0 ? "" : String(shown)
        return "\(carried)" + (places == 0 ? "" : "." + String(repeating: "0", count: places - digits.count) + digits)
    }
}

/// Durations as people read them.
enum DurationText {
    /// In ns, us, ms or s, to a tenth of the unit; seconds below ten to a hundredth.
    static func short(nanoseconds: Int) -> String {
        switch nanoseconds {
        case ..<10_000: "\(nanoseconds) ns"
        case ..<1_000_000: tenths(nanoseconds, per: 1000) + " us"
        case ..<1_000_000_000: tenths(nanoseconds, per: 1_000_000) + " ms"
        case ..<9_995_000_000: hundredths(nanoseconds, per: 1_000_000_000) + " s"
        default: tenths(nanoseconds, per: 1_000_000_000) + " s"
        }
    }

    private static func hundredths(_ amount: Int, per unit: Int) -> String {
        let (whole, rest) = ((amount + unit / 200) / (unit / 100)).quotientAndRemainder(dividingBy: 100)
        return "\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }

    private static func tenths(_ amount: Int, per unit: Int) -> String {
        let (whole, rest) = amount.quotientAndRemainder(dividingBy: unit)
        let tenths = (rest * 10 + unit / 2) / unit
        return tenths == 10 ? "\(whole + 1).0" : "\(whole).\(tenths)"
    }
}
