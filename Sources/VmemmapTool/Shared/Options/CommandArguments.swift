import ArgumentParser

/// The words of the command line, as the parser gets them.
enum CommandArguments {
    /// The longest word that is taken, in bytes: what a path may have (PATH_MAX). No option has a longer value.
    static let longestWord = 4096

    /// Every negative number joined to the option before it: `--pages -3` becomes `--pages=-3`.
    ///
    /// The parser takes a word that begins with a dash for an option and says that the value is missing. Joined, it is
    /// the option's value, and the option says what may stand there.
    ///
    /// - Throws: a usage error for a word that is too long to be repeated in any message.
    static func prepared(_ words: some Sequence<String>) throws -> [String] {
        var prepared: [String] = []
        for (number, word) in words.enumerated() {
            guard word.utf8.count <= longestWord else {
                throw ValidationError(
                    "argument \(number + 1) has \(word.utf8.count) bytes: an argument has at most \(longestWord).")
            }
            if isNegativeNumber(word), let option = prepared.last, isOption(option) {
                prepared[prepared.count - 1] = "\(option)=\(word)"
            } else {
                prepared.append(word)
            }
        }
        return prepared
    }

    private static func isNegativeNumber(_ word: String) -> Bool {
        word.first == "-" && word.dropFirst().first?.isWholeNumber == true
    }

    private static func isOption(_ word: String) -> Bool { word.hasPrefix("--") && word != "--" && !word.contains("=") }
}
