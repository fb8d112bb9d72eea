/// Ratios as people read them.
enum RatioText {
    /// With `decimals` of them, rounded: `0.984`; `-` for what is no number.
    static func of(_ value: Double, decimals: Int = 3) -> String {
        let unit = (0..<decimals).reduce(1) { unit, _ in unit * 10 }
        guard value.isFinite, value.magnitude < 1e12 else { return "-" }
        let (whole, rest) = Int((value.magnitude * Double(unit)).rounded()).quotientAndRemainder(dividingBy: unit)
        let digits = String(rest)
        let fraction = decimals == 0 ? "" : "." + String(repeating: "0", count: decimals - digits.count) + digits
        return (value < 0 ? "-" : "") + "\(whole)" + fraction
    }

    /// As in the cover letter's manner: `2.4x`.
    static func times(_ value: Double) -> String { of(value, decimals: value < 0.95 ? 2 : 1) + "x" }

    /// A duration given in fractions of a nanosecond.
    static func duration(nanoseconds: Double) -> String {
        // As many digits as a small figure needs.
        guard nanoseconds.isFinite else { return "-" }
        return nanoseconds >= 1000 && nanoseconds < 10_000
            ? of(nanoseconds / 1000, decimals: 1) + " us" : DurationText.short(nanoseconds: Int(nanoseconds.rounded()))
    }
}
