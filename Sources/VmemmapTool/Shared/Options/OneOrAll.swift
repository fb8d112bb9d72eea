import ArgumentParser

/// What `all` on the command line stands for.
protocol Choice: ExpressibleByArgument, Sendable {
    static var choices: [Self] { get }
}

/// One value, or every one there is.
enum OneOrAll<Value: Choice>: ExpressibleByArgument, Sendable {
    case one(Value)
    case all

    init?(argument: String) {
        if argument == "all" {
            self = .all
        } else if let value = Value(argument: argument) {
            self = .one(value)
        } else {
            return nil
        }
    }

    var values: [Value] {
        switch self {
        case .one(let value): [value]
        case .all: Value.choices
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .one(let value): value.defaultValueDescription
        case .all: "all"
        }
    }

    static var allValueStrings: [String] { Value.choices.map(\.defaultValueDescription) + ["all"] }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
