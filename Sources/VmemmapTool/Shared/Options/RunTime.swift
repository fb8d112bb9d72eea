import ArgumentParser

/// A time on the command line: whole numbers of d, h, m, s and ms, the larger units first (`2h30m`, `1d`); seconds if
/// no unit follows. Every option that takes a time is read by this.
struct RunTime: ParsedArgument {
    let nanoseconds: Int

    /// How the help writes it.
    static let valueName = "TIME"
    /// What the help says of it once.
    static let help = "as 90s, 2h30m or 1d; seconds without a unit"

    private static let units = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000),
    ]

    /// A time, with an error that says what may stand there.
    static func parse(_ text: String) throws -> RunTime {
        guard let nanoseconds = Self.nanoseconds(text), nanoseconds > 0 else {
            throw ValidationError(
                "it must be whole numbers of d, h, m, s or ms, the larger first (2h30m, 1d; s if nothing follows), "
                    + "above 0 and 292 years at most")
        }
        return RunTime(nanoseconds: nanoseconds)
    }

    /// Nil where it is no time, or more than there is.
    private static func nanoseconds(_ text: String) -> Int? {
        var (rest, units, sum) = (text[...], Self.units[...], 0)
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            let word = rest.dropFirst(digits.count).prefix { !$0.isNumber }
            rest = rest.dropFirst(digits.count + word.count)
            let name = word.isEmpty ? "s" : String(word)
            guard let number = Int(digits), let unit = units.firstIndex(where: { $0.0 == name }),
                !word.isEmpty || sum == 0
            else { return nil }
            let (product, tooLong) = number.multipliedReportingOverflow(by: units[unit].1)
            let (total, isTooMuch) = sum.addingReportingOverflow(product)
            if tooLong || isTooMuch { return nil }
            sum = total
            units = units[(unit + 1)...]
        }
        return sum
    }

    /// Throws unless it lies in `range`, in nanoseconds.
    static func check(_ time: RunTime, of option: String, in range: ClosedRange<Int>) throws {
        if range.contains(time.nanoseconds) { return }
        let ends = [range.lowerBound, range.upperBound].map { Format.duration(nanoseconds: $0) }
        throw ValidationError(
            "\(option) must be from \(ends[0]) to \(ends[1]), not \(Format.duration(nanoseconds: time.nanoseconds)).")
    }
}
