/// Numbers and counted things as people read them.
enum CountText {
    /// Digits in groups of three, by thin ASCII means: `12 345 678`.
    static func grouped(_ number: Int) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place).isMultiple(of: 3) { text += " " }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + text
    }

    /// `1 huge page`, `2 huge pages`.
    static func of(_ count: Int, _ thing: String) -> String {
        "\(grouped(count)) \(thing)\(count == 1 ? "" : "s")"
    }
}
