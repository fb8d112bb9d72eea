import ArgumentParser

/// Into how many emulated NUMA nodes huge pages are divided.
enum NodeCount: Hashable, Sendable, ParsedArgument {
    /// So many.
    case number(Int)
    /// As few as vm.max_map_count allows.
    case auto

    /// The number, or `auto`.
    var text: String {
        switch self {
        case .number(let number): "\(number)"
        case .auto: "auto"
        }
    }

    /// As many as Linux has at most (MAX_NUMNODES, x86-64).
    static let most = 1024

    /// A number, or `auto`, with an error that says what may stand there.
    static func parse(_ text: String) throws -> NodeCount {
        if text == "auto" { return .auto }
        guard let number = Int(text), (1...most).contains(number) else {
            throw ValidationError("it must be auto or a whole number of nodes from 1 to \(most)")
        }
        return .number(number)
    }

    /// Throws a usage error unless each node gets some of what is divided.
    ///
    /// - Parameters:
    ///   - amount: how much there is of it.
    ///   - things: what it is: huge pages, say.
    ///   - least: the smallest share.
    func check(divides amount: Int, _ things: String, atLeast least: Int = 1) throws {
        guard case .number(let number) = self, amount / least < number else { return }
        throw ValidationError(
            "--nodes \(number) is too many for \(amount) \(things): each takes \(least) at least, so use --nodes "
                + "\(max(1, amount / least)) at most.")
    }

    /// `amount` divided as evenly as can be among `nodes`, the larger shares first.
    static func shares(of amount: Int, among nodes: Int) -> [Int] {
        (0..<nodes).map { amount / nodes + ($0 < amount % nodes ? 1 : 0) }
    }
}

/// The option that has a process for each emulated NUMA node.
struct NodeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Divide the huge pages among N emulated NUMA nodes, a process each; auto: as few as vm.max_map_count "
                + "allows.", valueName: "N|auto"),
        completion: OptionHelp.auto)
    var nodes: Given<NodeCount>?

    /// What was asked for; nil: one process, this one.
    var count: NodeCount? { nodes?.value }

    func validate() throws { try nodes?.check("--nodes <N|auto>") }
}

/// The option that the processes of emulated nodes are started with.
struct NodeFlag: ParsableArguments {
    @Flag(help: ArgumentHelp("Be one of the nodes of another process.", visibility: .hidden))
    var asNode = false
}
