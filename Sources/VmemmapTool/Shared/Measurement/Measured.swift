/// A figure that may not have been measurable on this host. Exported as the figure or as null, never as 0 in its place.
enum Measured<Value: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
    /// The figure.
    case value(Value)
    /// There is none.
    case notMeasured

    /// The figure, if there is one.
    var value: Value? {
        if case .value(let value) = self { value } else { nil }
    }

    /// The figure, or that there is none.
    init(_ value: Value?) { self = value.map { .value($0) } ?? .notMeasured }

    /// Reads the figure or null.
    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self = container.decodeNil() ? .notMeasured : .value(try container.decode(Value.self))
    }

    /// Writes the figure or null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .value(let value): try container.encode(value)
        case .notMeasured: try container.encodeNil()
        }
    }
}
