import ArgumentParser
import FoundationEssentials

/// A command as the argument parser describes it: what `--help` is drawn from.
struct CommandDescription: Decodable, Sendable {
    /// An argument, option or flag.
    struct Argument: Decodable, Sendable {
        /// One of the names of an option.
        struct Name: Decodable, Sendable {
            let kind: String
            let name: String

            /// As it is written.
            var written: String { kind == "long" ? "--\(name)" : "-\(name)" }
        }

        let kind: String
        let shouldDisplay: Bool
        let sectionTitle: String?
        let isOptional: Bool
        let isRepeating: Bool
        let names: [Name]?
        let preferredName: Name?
        let valueName: String?
        let defaultValue: String?
        let allValues: [String]?
        let abstract: String?
    }

    private struct Dump: Decodable {
        let command: CommandDescription
    }

    let commandName: String
    let abstract: String?
    let discussion: String?
    let shouldDisplay: Bool
    let subcommands: [CommandDescription]?
    let arguments: [Argument]?

    /// That of `vmemmap`, with its subcommands.
    ///
    /// - Throws: a decoding error if the parser describes it in another form.
    static func whole() throws -> CommandDescription {
        try JSONDecoder().decode(Dump.self, from: Data(VmemmapCommand._dumpHelp().utf8)).command
    }

    /// The arguments that the help shows.
    var shownArguments: [Argument] { (arguments ?? []).filter(\.shouldDisplay) }
    /// The subcommands that it shows, without `help`.
    var shownSubcommands: [CommandDescription] {
        (subcommands ?? []).filter { $0.shouldDisplay && $0.commandName != "help" }
    }
}
