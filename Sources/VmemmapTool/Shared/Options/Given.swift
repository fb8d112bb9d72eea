import ArgumentParser

/// What an option's text can be read as, with an error that says what may stand there.
protocol ParsedArgument: Sendable {
    static func parse(_ text: String) throws -> Self
}

/// A value with a default that the parser shows. What is wrong with the text is said by ``check(_:)``, in words: the
/// parser itself would say only that it is invalid.
struct Given<Value: ParsedArgument>: ExpressibleByArgument, Sendable {
    let defaultValueDescription: String
    private let outcome: Result<Value, any Error>

    init(argument text: String) {
        defaultValueDescription = text
        outcome = Result { try Value.parse(text) }
    }

    /// A default, as it is written on the command line.
    init(_ text: String) { self.init(argument: text) }

    /// Throws a usage error unless there is a value.
    ///
    /// - Parameter option: with the name of its value, as the help has it.
    func check(_ option: String) throws {
        do {
            _ = try outcome.get()
        } catch {
            throw ValidationError("The value '\(defaultValueDescription)' is invalid for '\(option)': \(error)")
        }
    }

    /// The value, which has been checked.
    var value: Value {
        guard case .success(let value) = outcome else { preconditionFailure("not checked: \(defaultValueDescription)") }
        return value
    }
}

extension Int: ParsedArgument {
    /// A whole number, negative ones included: ``WholeNumber/check(_:of:in:)`` says what is wrong with those.
    static func parse(_ text: String) throws -> Int {
        if let number = Int(text) { return number }
        let isNumber = !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber }
        throw ValidationError(isNumber ? "it is larger than \(Int.max)" : "it is not a whole number")
    }
}

/// Numbers on the command line, with errors that say what may stand there.
enum WholeNumber {
    static func parse(_ text: String) throws -> Int { try Int.parse(text) }

    /// Throws unless `number` lies in `range`.
    static func check(_ number: Int, of option: String, in range: ClosedRange<Int>) throws {
        if range.contains(number) { return }
        let limits =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
        throw ValidationError("\(option) must be \(limits), not \(number).")
    }

    /// Throws unless it is a number that lies in `range`.
    static func check(_ number: Given<Int>, of option: String, in range: ClosedRange<Int>) throws {
        try number.check("\(option) <N>")
        try check(number.value, of: option, in: range)
    }
}

/// A number that what is drawn follows from.
enum Seed {
    static func parse(_ text: String) throws -> UInt64 {
        guard let seed = UInt64(text) else {
            throw ValidationError("it must be a whole number from 0 to \(UInt64.max)")
        }
        return seed
    }
}

/// Options that mean something only beside another one. Alone they are refused: nothing that is asked for is ignored.
enum OptionRule {
    /// Throws if `option` was given without the one that it belongs to.
    static func check(_ option: String, isGiven: Bool, belongsTo other: String, isOtherGiven: Bool) throws {
        if isGiven, !isOtherGiven {
            throw ValidationError("\(option) is for \(other): use it with \(other), or leave it out.")
        }
    }

    /// Throws if both were given and one of them would be ignored.
    static func check(_ option: String, isGiven: Bool, excludes other: String, isOtherGiven: Bool) throws {
        if isGiven, isOtherGiven { throw ValidationError("\(option) is not for \(other): use one of the two.") }
    }
}
