import ArgumentParser

/// `vmemmap manual`: what scripts/install makes the manual pages with. No user needs it.
struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Print a manual page, or the names of all.", shouldDisplay: false)

    @Argument(help: ArgumentHelp("A page, such as vmemmap-demo.1 (default: their names).", valueName: "PAGE"))
    var page: String?

    @Option(help: ArgumentHelp("The date in the page.", valueName: "YYYY-MM-DD"))
    var date = ""

    func run() throws {
        let pages = try ManualPage.all()
        guard let name = page else { return Output.print(pages.map(\.fileName)) }
        guard let page = pages.first(where: { $0.fileName == name }) else {
            let names = pages.map(\.fileName).joined(separator: ", ")
            throw ValidationError("there is no page \(PoolScript.quoted(name)): one of \(names).")
        }
        Output.print(page.text(date: date))
    }
}
