import ArgumentParser
import VmemmapEmulator

/// A command, or a group of options, that has `--pages`.
protocol TakesPages: SendableMetatype {
    /// What the number is of, and what it is by default.
    static var pagesHelp: String { get }
    /// The fewest that will do.
    static var fewestPages: Int { get }
}

extension TakesPages {
    static var fewestPages: Int { 1 }
}

/// How many huge pages.
struct PagesOption<Taker: TakesPages>: ParsableArguments {
    @Option(
        name: .customLong("pages"), help: ArgumentHelp(Taker.pagesHelp, valueName: "N"), transform: WholeNumber.parse)
    var number: Int?

    /// So many; nil where it was not given.
    var count: HugePageCount? { number.map { HugePageCount($0) } }

    func validate() throws {
        if let number { try WholeNumber.check(number, of: "--pages", in: Taker.fewestPages...Int.max) }
    }
}
