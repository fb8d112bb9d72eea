import HostMemory

/// Figures as people read them.
enum Format {
    /// Digits in groups of three: `12 345 678`.
    static func count(_ number: Int) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place).isMultiple(of: 3) { text += " " }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + text
    }

    /// `1 huge page`, `2 huge pages`.
    static func count(_ count: Int, _ thing: String) -> String {
        "\(self.count(count)) \(thing)\(count == 1 ? "" : "s")"
    }

    /// In the largest binary unit that leaves at least 1, with two decimals where they say something: `24 KiB`, `2.00
    /// MiB`.
    static func bytes(_ bytes: ByteCount) -> String { self.bytes(bytes, decimals: [2]) }

    /// The same in four digits at most, for a cell of a table: `281.7 MiB`, `1024 KiB`.
    static func briefBytes(_ bytes: ByteCount) -> String { self.bytes(bytes, decimals: [2, 1, 0]) }

    /// - Parameter decimals: to try; the first that takes no more than four digits, or the last.
    private static func bytes(_ bytes: ByteCount, decimals: [Int]) -> String {
        let magnitude = bytes.rawValue.magnitude
        guard let place = byteUnits.lastIndex(where: { magnitude >= $0.size }), place > 0 else {
            return "\(bytes.rawValue) B"
        }
        let (unit, name) = byteUnits[place]
        let isWholeKibibytes = place == 1 && magnitude.isMultiple(of: UInt(unit))
        let texts = (isWholeKibibytes ? [0] : decimals).map { decimal(Double(magnitude) / Double(unit), $0) }
        let text = texts.first { $0.count { $0.isNumber } <= 4 } ?? texts[texts.count - 1]
        let sign = bytes < .zero ? "-" : ""
        // What rounds to 1024 of a unit is 1 of the next.
        if place + 1 < byteUnits.count, Double(text) == 1024 { return "\(sign)1.00 \(byteUnits[place + 1].name)" }
        return sign + text + " " + name
    }

    /// B, KiB, MiB, GiB and TiB.
    static let byteUnits = ByteCount.units.map { (size: $0.size, name: $0.prefix.isEmpty ? "B" : $0.prefix + "iB") }

    /// In ns, us, ms or s, to a tenth of the unit; seconds below ten to a hundredth.
    static func duration(nanoseconds: Int) -> String {
        nanoseconds < 1000 ? "\(nanoseconds) ns" : longDuration(nanoseconds: Double(nanoseconds))
    }

    private static func longDuration(nanoseconds time: Double) -> String {
        switch time {
        // What rounds to 1000 of a unit is 1 of the next.
        case ..<999_950: decimal(time / 1e3, 1) + " us"
        case ..<999_950_000: decimal(time / 1e6, 1) + " ms"
        default: decimal(time / 1e9, time < 9_995_000_000 ? 2 : 1) + " s"
        }
    }

    /// The same of a mean or a median, below 100 ns to a hundredth; `-` for what is no number.
    static func duration(nanoseconds: Double) -> String {
        guard nanoseconds.isFinite, nanoseconds.magnitude < 1e18 else { return "-" }
        if nanoseconds < 0 { return "-" + duration(nanoseconds: -nanoseconds) }
        // Not to a whole number first: that would be rounded twice.
        return switch nanoseconds {
        case 0: "0 ns"
        case ..<99.995: decimal(nanoseconds, 2) + " ns"
        case ..<1000: duration(nanoseconds: Int(nanoseconds.rounded()))
        default: longDuration(nanoseconds: nanoseconds)
        }
    }

    /// With this many decimals, rounded; in powers of ten where that would be too long; `-` for what is no number.
    ///
    /// - Parameter isTrimmed: without zeros at the end.
    static func decimal(_ number: Double, _ decimals: Int, isTrimmed: Bool = false) -> String {
        guard number.isFinite else { return "-" }
        let unit = (0..<decimals).reduce(1) { unit, _ in unit * 10 }
        let scaled = (number * Double(unit)).rounded()
        guard scaled.magnitude < 1e15 else { return "\(number)" }
        let (whole, rest) = Int(scaled.magnitude).quotientAndRemainder(dividingBy: unit)
        var text = "\(whole)" + (decimals == 0 ? "" : "." + String(unit + rest).dropFirst())
        if isTrimmed, decimals > 0 {
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
        }
        return (scaled < 0 ? "-" : "") + text
    }

    /// A part of a whole in per cent: `99.95 %`.
    static func percent(_ share: Double) -> String { decimal(100 * share, 2) + " %" }

    /// As in the cover letter's manner: `2.4x`.
    static func times(_ value: Double) -> String { decimal(value, value < 0.95 ? 2 : 1) + "x" }

    /// `page_tables` and `distinctFrames` as words; what has spaces is text already.
    static func words(_ key: String) -> String {
        if key.contains(" ") { return key }
        return key.reduce(into: "") { words, character in
            if character == "_" || character == "-" && words.isEmpty {
                words.append(" ")
            } else if character.isUppercase, words.last?.isLowercase == true {
                words += " " + character.lowercased()
            } else {
                words.append(character)
            }
        }
    }

    /// Whole MiB, rounded up: for what must be enough.
    static func mebibytes(atLeast bytes: ByteCount) -> String {
        "\(count((bytes.rawValue - 1) / (1 << 20) + 1)) MiB"
    }

    /// The text with control characters spelled out: what a terminal would do as it is told by them is not what a
    /// script or a file name is to say.
    static func visible(_ text: some StringProtocol) -> String {
        text.unicodeScalars.reduce(into: "") { visible, scalar in
            if scalar.properties.generalCategory == .control, scalar != "\t" {
                visible += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                visible.unicodeScalars.append(scalar)
            }
        }
    }

    /// The text with a space that does not break a line wherever one stands between a digit and a group of three.
    static func unbroken(_ text: String) -> String {
        guard text.contains(" ") else { return text }
        var characters = Array(text)
        for place in characters.indices where characters[place] == " " && place > 0 {
            let group = characters[(place + 1)...].prefix(4)
            let isGroup =
                group.count >= 3 && group.prefix(3).allSatisfy(isDigit)
                && !(group.count == 4 && group.last.map(isDigit) == true)
            if isGroup, isDigit(characters[place - 1]) { characters[place] = "\u{a0}" }
        }
        return String(characters)
    }

    private static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }
}

extension String {
    /// With its first letter large, as a sentence starts.
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
