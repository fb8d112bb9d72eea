/// Numbers that do not break across lines: `4 096` with a space that keeps it whole.
enum DigitGroups {
    /// The text with those spaces that stand between a digit and a group of three.
    static func joined(_ text: String) -> String {
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
