import ArgumentParser

/// One value, or every one there is.
enum OneOrAll<Value: ExpressibleByArgument & CaseIterable & Sendable>: ExpressibleByArgument, Sendable {
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
        case .all: Array(Value.allCases)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .one(let value): value.defaultValueDescription
        case .all: "all"
        }
    }

    static var allValueStrings: [String] { Value.allCases.map(\.defaultValueDescription) + ["all"] }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}
