import ArgumentParser
import FoundationEssentials
import HostMemory
import SystemPackage

/// An export that was read again.
struct Export: Sendable {
    /// The file it was read from.
    let file: String
    /// The subcommand that made it.
    let command: String
    /// What it was asked for.
    let configuration: [String: JSONValue]
    /// Where it comes from.
    let source: ComparisonResult.Source
    /// Its tables.
    let tables: [ExportTable]

    /// What every export says of itself.
    private struct Envelope: Decodable {
        let tool: String
        let schemaVersion: Int
        let command: String
        let host: HostBlock
        let run: RunDescription?
        let holds: Bool?
        let configuration: [String: JSONValue]?
    }

    /// Reads a file.
    ///
    /// - Throws: a usage error where it cannot be read, or is no export of this version.
    init(_ file: String) throws {
        let data: Data
        do throws(HostError) {
            data = Data(try HostKernel.readBytes(FilePath(file), upTo: Self.largest))
        } catch {
            throw ValidationError("cannot compare \(file): \(error)")
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            let envelope = try decoder.decode(Envelope.self, from: data)
            guard envelope.tool == Tool.name, envelope.schemaVersion == Tool.schemaVersion,
                let types = Self.types[envelope.command]
            else { throw ValidationError("") }
            self.file = file
            command = envelope.command
            configuration = envelope.configuration ?? [:]
            source = ComparisonResult.Source(
                file: file, run: Measured(envelope.run), host: envelope.host,
                holds: Measured(envelope.holds))
            tables = try Self.tables(data, decoder, types)
        } catch {
            throw ValidationError(
                "cannot compare \(file): it is not what --export-json of this version writes, of "
                    + Self.types.keys.sorted().joined(separator: ", ") + ".")
        }
    }

    /// More than any export has.
    private static let largest = 256 << 20

    /// What a command exports; `inspect` has two forms.
    private static let types: [String: [any (ExportableResult & Decodable).Type]] = [
        DemoResult.command: [DemoResult.self], RaceResult.command: [RaceResult.self],
        PlanResult.command: [PlanResult.self], SavingsResult.command: [SavingsResult.self],
        InspectResult.command: [InspectResult.self, InspectNodesResult.self],
        BenchResult.command: [BenchResult.self], ReaderCostResult.command: [ReaderCostResult.self],
        KernelResult.command: [KernelResult.self],
        PoolResult.command: [PoolResult.self], StressResult.command: [StressResult.self],
    ]

    /// The tables of the first form that the text has.
    private static func tables(
        _ data: Data, _ decoder: JSONDecoder, _ types: [any (ExportableResult & Decodable).Type]
    ) throws -> [ExportTable] {
        for type in types.dropLast() {
            if let result = try? type.decoded(data, decoder) { return result.allTables }
        }
        return try types.last?.decoded(data, decoder).allTables ?? []
    }
}

extension ExportableResult where Self: Decodable {
    fileprivate static func decoded(_ data: Data, _ decoder: JSONDecoder) throws -> any ExportableResult {
        try decoder.decode(Self.self, from: data)
    }
}

/// Any JSON value, for what is compared and not understood.
enum JSONValue: Hashable, Sendable, Decodable {
    case null
    case truth(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let truth = try? container.decode(Bool.self) {
            self = .truth(truth)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([JSONValue].self) {
            self = .list(list)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// What an object is made of, by names such as `memory.pages`.
    var members: [String: JSONValue] {
        guard case .object(let object) = self else { return [:] }
        return object.reduce(into: [:]) { all, member in
            guard case .object = member.value else { return all[member.key] = member.value }
            for (key, value) in member.value.members { all["\(member.key).\(key)"] = value }
        }
    }

    /// As a few words.
    var text: String {
        switch self {
        case .null: "null"
        case .truth(let truth): "\(truth)"
        case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
        case .text(let text): text
        case .list(let list): "[" + list.map(\.text).joined(separator: ", ") + "]"
        case .object(let object):
            "{" + object.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }
}
