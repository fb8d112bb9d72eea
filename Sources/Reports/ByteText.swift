public import HostMemory

/// Byte counts as people read them.
public enum ByteText {
    /// In the largest binary unit that leaves at least 1, with two decimals where they say something: `24 KiB`, `2.00
    /// MiB`.
    public static func short(_ bytes: ByteCount) -> String {
        let magnitude = bytes.rawValue.magnitude
        let units: [(UInt, String)] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")]
        for (unit, name) in units where magnitude >= unit {
            return decimal(bytes.rawValue, per: Int(unit)) + " " + name
        }
        if magnitude >= 1024, magnitude.isMultiple(of: 1024) { return "\(bytes.rawValue / 1024) KiB" }
        return magnitude >= 1024 ? decimal(bytes.rawValue, per: 1024) + " KiB" : "\(bytes.rawValue) B"
    }

    /// In whole KiB, as /proc shows them.
    public static func kibibytes(_ bytes: ByteCount) -> String { "\(bytes.rawValue / 1024)" }

    /// `amount / unit` with two decimals, rounded, in integers.
    private static func decimal(_ amount: Int, per unit: Int) -> String {
        let (whole, rest) = amount.magnitude.quotientAndRemainder(dividingBy: UInt(unit))
        let hundredths = (rest.multipliedFullWidth(by: 100).low + UInt(unit) / 2) / UInt(unit)
        let (carried, shown) = hundredths == 100 ? (whole + 1, 0) : (whole, hundredths)
        return (amount < 0 ? "-" : "") + "\(carried)." + (shown < 10 ? "0" : "") + "\(shown)"
    }
}

/// Durations as people read them.
public enum DurationText {
    /// In ns, us, ms or s, to a tenth of the unit.
    public static func short(nanoseconds: Int) -> String {
        switch nanoseconds {
        case ..<10_000: "\(nanoseconds) ns"
        case ..<1_000_000: tenths(nanoseconds, per: 1000) + " us"
        case ..<10_000_000_000: tenths(nanoseconds, per: 1_000_000) + " ms"
        default: tenths(nanoseconds, per: 1_000_000_000) + " s"
        }
    }

    private static func tenths(_ amount: Int, per unit: Int) -> String {
        let (whole, rest) = amount.quotientAndRemainder(dividingBy: unit)
        let tenths = (rest * 10 + unit / 2) / unit
        return tenths == 10 ? "\(whole + 1).0" : "\(whole).\(tenths)"
    }
}
