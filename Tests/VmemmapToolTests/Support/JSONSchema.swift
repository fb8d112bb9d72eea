import FoundationEssentials

/// A value of JSON.
enum JSON: Decodable, Hashable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case array([JSON])
    case object([String: JSON])

    init(text: String) throws { self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8)) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    var elements: [JSON] { if case .array(let elements) = self { elements } else { [] } }
    var string: String? { if case .text(let text) = self { text } else { nil } }
    var double: Double? { if case .number(let number) = self { number } else { nil } }

    /// Every number, true (1) and false (0) inside, by the name that a column of it has: its key, and within another
    /// object that object's key and its own, the unit at the end (`on_nanoseconds`, `median`: `on_median_nanoseconds`).
    func figures(in parent: String = "", into found: inout [String: Set<Double>]) {
        switch self {
        case .object(let members):
            for (key, value) in members {
                let names = parent.isEmpty ? [key] : [key, Self.joined(parent, key)]
                let figure: Double? = if case .bool(let truth) = value { truth ? 1 : 0 } else { value.double }
                let isFigure = figure != nil || value == .null
                for name in names where isFigure { found[name, default: []].formUnion(figure.map { [$0] } ?? []) }
                value.figures(in: key, into: &found)
            }
        case .array(let elements): for element in elements { element.figures(into: &found) }
        default: break
        }
    }

    private static func joined(_ parent: String, _ key: String) -> String {
        if parent == "ratio" { return key + "_ratio" }
        let unit = ["_bytes", "_nanoseconds", "_ratio"].first(where: parent.hasSuffix) ?? ""
        return parent.dropLast(unit.count) + "_\(key)" + unit
    }
}

/// As much of JSON Schema as the exports' own schema uses. A keyword that it does not know is a mistake of the
/// schema's.
struct JSONSchema {
    private let root: JSON

    init(_ root: JSON) { self.root = root }

    /// What is wrong with a value by `#/$defs/NAME`; nil if nothing is.
    func mistake(in value: JSON, by definition: String) -> String? {
        mistake(value, .object(["$ref": .text("#/$defs/\(definition)")]), "")
    }

    private func mistake(_ value: JSON, _ schema: JSON, _ path: String) -> String? {
        guard case .object(let keywords) = schema else { return "\(path): the schema is no object" }
        for (keyword, argument) in keywords.sorted(by: { $0.key < $1.key }) {
            if let mistake = mistake(value, keyword, argument, keywords, path) { return mistake }
        }
        return nil
    }

    private func mistake(
        _ value: JSON, _ keyword: String, _ argument: JSON, _ schema: [String: JSON], _ path: String
    ) -> String? {
        switch keyword {
        case "description", "title", "$schema", "$defs": return nil
        case "$ref":
            guard let name = argument.string?.split(separator: "/").last, let target = root["$defs"]?[String(name)]
            else { return "\(path): the schema has no \(argument)" }
            return mistake(value, target, path)
        case "const": return value == argument ? nil : "\(path): not \(argument)"
        case "enum": return argument.elements.contains(value) ? nil : "\(path): none of \(argument)"
        case "type":
            let types = argument.string.map { [$0] } ?? argument.elements.compactMap(\.string)
            return types.contains { Self.has(value, $0) } ? nil : "\(path): \(value) is no \(types)"
        case "anyOf", "oneOf":
            let mistakes = argument.elements.map { mistake(value, $0, path) }
            let fitting = mistakes.count { $0 == nil }
            return fitting == 1 || (keyword == "anyOf" && fitting > 1) ? nil : "\(path): \(mistakes)"
        case "minimum":
            return argument.double.map { (value.double ?? $0) >= $0 } == true ? nil : "\(path): \(value) is too small"
        case "pattern":
            guard let text = value.string, let pattern = argument.string.flatMap({ try? Regex($0) }) else { return nil }
            return text.firstMatch(of: pattern) != nil ? nil : "\(path): \(text)"
        case "required":
            guard case .object(let members) = value else { return nil }
            return argument.elements.compactMap(\.string).first { members[$0] == nil }.map { "\(path): no \($0)" }
        case "properties", "additionalProperties":
            return keyword == "properties" || schema["properties"] == nil ? membersMistake(value, schema, path) : nil
        case "items":
            return value.elements.enumerated().lazy.compactMap { mistake($1, argument, "\(path)/\($0)") }.first
        case "minItems", "maxItems":
            guard case .array(let elements) = value, let bound = argument.double else { return nil }
            let isRight = keyword == "minItems" ? Double(elements.count) >= bound : Double(elements.count) <= bound
            return isRight ? nil : "\(path): \(elements.count) elements"
        default: return "\(path): the schema uses \(keyword)"
        }
    }

    private func membersMistake(_ value: JSON, _ schema: [String: JSON], _ path: String) -> String? {
        guard case .object(let members) = value else { return nil }
        for (key, member) in members.sorted(by: { $0.key < $1.key }) {
            if let known = schema["properties"]?[key] {
                if let mistake = mistake(member, known, "\(path)/\(key)") { return mistake }
            } else if let others = schema["additionalProperties"] {
                if others == .bool(false) { return "\(path): \(key) is not in the schema" }
                if case .object = others, let mistake = mistake(member, others, "\(path)/\(key)") { return mistake }
            }
        }
        return nil
    }

    private static func has(_ value: JSON, _ type: String) -> Bool {
        switch (value, type) {
        case (.null, "null"), (.bool, "boolean"), (.text, "string"), (.array, "array"), (.object, "object"): true
        case (.number(let number), "integer"): number == number.rounded()
        case (.number, "number"): true
        default: false
        }
    }
}
