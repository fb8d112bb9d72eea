import ArgumentParser

/// A manual page, drawn from what `--help` is drawn from.
struct ManualPage: Sendable {
    /// What the page is about, and what it is called.
    enum Subject: Sendable {
        /// A command; nil in the place of its parent: `vmemmap` itself.
        case command(CommandDescription, parent: String?)
        /// The language of `vmemmap pool`.
        case poolLanguage
    }

    let subject: Subject

    /// Every page there is.
    ///
    /// - Throws: a decoding error if the parser describes commands in another form.
    static func all() throws -> [ManualPage] {
        let whole = try CommandDescription.whole()
        let parts = whole.shownSubcommands.map { Subject.command($0, parent: whole.commandName) }
        return ([.command(whole, parent: nil)] + parts + [.poolLanguage]).map { ManualPage(subject: $0) }
    }

    /// As `man` knows it: `vmemmap-demo`.
    var name: String {
        switch subject {
        case .command(let command, let parent): (parent.map { "\($0)-" } ?? "") + command.commandName
        case .poolLanguage: "\(Tool.name)-pool"
        }
    }

    /// 1, commands, or 5, forms of files.
    var section: Int { if case .poolLanguage = subject { 5 } else { 1 } }

    /// The name of its file: `vmemmap-demo.1`.
    var fileName: String { "\(name).\(section)" }

    /// The page in the macros of man(7).
    ///
    /// - Parameter date: as year, month and day.
    func text(date: String) -> [String] {
        switch subject {
        case .command(let command, let parent): commandText(command, parent, date)
        case .poolLanguage: poolLanguageText(date)
        }
    }

    // MARK: Commands

    private func commandText(_ command: CommandDescription, _ parent: String?, _ date: String) -> [String] {
        var page = ManualText(name: name, section: section, date: date, title: "User Commands")
        page.section("Name")
        page.title(name, command.abstract ?? "")
        page.section("Synopsis")
        let line = (parent.map { "\($0) " } ?? "") + command.commandName
        let words = parent == nil ? [ManualText.italic("SUBCOMMAND")] : command.shownArguments.map(Self.synopsis)
        page.raw(([ManualText.bold(line)] + words).joined(separator: " "))

        let paragraphs = (command.discussion ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        page.section("Description")
        let prose = paragraphs.filter { !$0.hasPrefix(Self.example) && !$0.hasPrefix(ExitStatus.helpPrefix) }
            .joined(separator: "\n")
        page.text("\(command.abstract ?? "")\n\n\(prose)")
        if parent == nil { subcommands(command, &page) }
        options(command, &page)
        let examples = paragraphs.filter { $0.hasPrefix(Self.example) }.map { $0.dropFirst(Self.example.count) }
        if !examples.isEmpty { page.section("Examples") }
        for example in examples { page.example(example) }
        page.section("Exit status")
        for status in ExitStatus.all(of: parent == nil ? nil : command.commandName) {
            page.item(ManualText.bold(status.code), "\(status.meaning.capitalizedFirst).")
        }
        page.section("Environment")
        for variable in Style.variables { page.item(ManualText.bold(variable.name), variable.meaning) }
        page.section("See also")
        page.raw(seeAlso(command, parent))
        return page.lines
    }

    /// How a discussion begins an example.
    private static let example = "Example: "

    /// An argument as it stands in a synopsis.
    private static func synopsis(_ argument: CommandDescription.Argument) -> String {
        let name = argument.preferredName.map { ManualText.bold($0.written) } ?? ""
        let value = argument.kind == "flag" ? "" : ManualText.italic(argument.valueName ?? "")
        let words = [name, value].filter { !$0.isEmpty }.joined(separator: "\\ ")
        return (argument.isOptional ? "[\(words)]" : words) + (argument.isRepeating ? "..." : "")
    }

    private func subcommands(_ command: CommandDescription, _ page: inout ManualText) {
        page.section("Subcommands")
        for subcommand in command.shownSubcommands {
            page.item("\(ManualText.bold("\(name)-\(subcommand.commandName)"))(1)", subcommand.abstract ?? "")
        }
    }

    /// The options below the titles that the help has, those without a title first.
    private func options(_ command: CommandDescription, _ page: inout ManualText) {
        page.section("Options")
        var titles: [String?] = [nil]
        for argument in command.shownArguments where !titles.contains(argument.sectionTitle) {
            titles.append(argument.sectionTitle)
        }
        for title in titles {
            let arguments = command.shownArguments.filter { $0.sectionTitle == title }
            if let title, !arguments.isEmpty { page.subsection(title) }
            for argument in arguments { page.item(Self.term(argument), Self.meaning(argument)) }
        }
    }

    private static func term(_ argument: CommandDescription.Argument) -> String {
        let written = (argument.names ?? []).map(\.written).sorted { $0.count < $1.count }
        let names = written.map { ManualText.bold($0) }.joined(separator: ", ")
        let value = argument.kind == "flag" ? "" : ManualText.italic(argument.valueName ?? "")
        return [names, value].filter { !$0.isEmpty }.joined(separator: " ")
    }

    private static func meaning(_ argument: CommandDescription.Argument) -> String {
        var text = argument.abstract ?? ""
        if let values = argument.allValues, !values.isEmpty {
            text += "\nValues: \(values.joined(separator: ", "))."
        }
        if let value = argument.defaultValue { text += "\nDefault: \(value)." }
        return text
    }

    private func seeAlso(_ command: CommandDescription, _ parent: String?) -> String {
        var pages = parent.map { ["\(ManualText.bold($0))(1)"] } ?? []
        pages += command.shownSubcommands.map { "\(ManualText.bold("\(name)-\($0.commandName)"))(1)" }
        if command.commandName == "pool" || parent == nil { pages.append("\(ManualText.bold("\(Tool.name)-pool"))(5)") }
        return pages.joined(separator: ",\n")
    }

    // MARK: The language of pool scripts

    private func poolLanguageText(_ date: String) -> [String] {
        var page = ManualText(name: name, section: section, date: date, title: "File Formats")
        page.section("Name")
        page.title(name, "Scripts of HugeTLB pool operations.")
        page.section("Description")
        page.text(
            """
            What vmemmap pool runs: one operation a line, on an emulated machine with two zones of base pages, a pool \
            of 2 MiB and one of 1 GiB pages. \(PoolLanguage.rules)

            The command ends with 2 if something is not as expected, and with 64 at a line that cannot be read: \
            nothing after it is carried out.
            """)
        for (title, entries) in [
            ("Lines", PoolLanguage.lines), ("Words of boot", PoolLanguage.bootWords), ("Figures", PoolLanguage.figures),
        ] {
            page.section(title)
            if title == "Words of boot" { page.text("Of several values the first is the default.") }
            for entry in entries { page.item(ManualText.bold(entry.form), entry.meaning) }
        }
        page.section("Examples")
        for line in PoolLanguage.example { page.example(line) }
        page.section("See also")
        page.raw("\(ManualText.bold(name))(1)")
        return page.lines
    }
}
