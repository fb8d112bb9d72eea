import HostMemory
import VmemmapEmulator

/// Why a line is no statement.
struct PoolScriptError: Error, Hashable, Sendable {
    /// What was found.
    let found: String
    /// What could have stood there.
    let expected: String
}

/// Reads a line. Pure.
enum PoolScript {
    /// The statement of a line; nil for an empty line or a comment (`#` and a space).
    ///
    /// - Parameter sizes: those of the machine that it is for. A boot line names its own.
    static func parse(
        _ line: Substring, _ sizes: MachineSizes = .x86
    ) throws(PoolScriptError) -> PoolStatement? {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let first = words.first, first != "#" else { return nil }
        let arguments = Array(words.dropFirst().prefix { $0 != "#" })
        guard let parser = parsers[String(first)] else {
            throw PoolScriptError(
                found: quoted(first), expected: "one of \(parsers.keys.sorted().joined(separator: ", "))")
        }
        return try parser(arguments, sizes)
    }

    private typealias Parser = @Sendable ([Substring], MachineSizes) throws(PoolScriptError) -> PoolStatement

    private static let parsers: [String: Parser] = [
        "boot": { (words, _) throws(PoolScriptError) in try boot(words) },
        "sysctl": { (words, _) throws(PoolScriptError) in try sysctl(words) },
        "nr_hugepages": { (words, sizes) throws(PoolScriptError) in
            let (node, words) = try splitNode(words)
            let (size, count) = try sizeAndCount(words, of: sizes)
            return .pool(size, count, node: node)
        },
        "nr_overcommit_hugepages": { (words, sizes) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words, of: sizes)
            return .overcommit(size, count)
        },
        "alloc": { (words, sizes) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words, defaultCount: 1, of: sizes)
            return .allocate(size, count)
        },
        "reserve": { (words, sizes) throws(PoolScriptError) in
            let kind = words.count == 3 ? try choice(words[2], names(PoolMapping.allCases)) : .private
            let (size, count) = try sizeAndCount(Array(words.prefix(2) + words.dropFirst(3)), of: sizes)
            return .reserve(size, count, kind)
        },
        "unreserve": { (words, sizes) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words, of: sizes)
            return .unreserve(size, count)
        },
        "touch": { (words, sizes) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words, defaultCount: 1, of: sizes)
            return .touch(size, count)
        },
        "free": { (words, _) throws(PoolScriptError) in
            words == ["all"] ? .free(nil) : .free(try frame(words))
        },
        "poison": { (words, _) throws(PoolScriptError) in .poison(try frame(words)) },
        "dissolve": { (words, _) throws(PoolScriptError) in .dissolve(try frame(words)) },
        "demote": { (words, sizes) throws(PoolScriptError) in
            if words.count <= 1 { return .demote(try frame(words)) }
            let (node, words) = try splitNode(words)
            let (size, count) = try sizeAndCount(words, of: sizes)
            return .demotePages(size, count, node: node)
        },
        "demote_size": { (words, sizes) throws(PoolScriptError) in
            guard words.count == 2 else {
                throw PoolScriptError(
                    found: "\(words.count) words",
                    expected: "two sizes, the first demoted to the second: \(names(sizes))")
            }
            return .demoteSize(try size(words[0], sizes), to: try size(words[1], sizes))
        },
        "page": { (words, _) throws(PoolScriptError) in .page(try frame(words)) },
        "budget": { (words, _) throws(PoolScriptError) in
            if words == ["off"] { return .budget(nil, isShared: false) }
            let isShared = words.count == 2 && words[1] == "shared"
            let frames = try number(isShared ? [words[0]] : words, "a number of frames, with shared or without; or off")
            return .budget(PageCount(frames), isShared: isShared)
        },
        "cgroup": { (words, sizes) throws(PoolScriptError) in try cgroup(words, sizes) },
        "hotplug": { (words, _) throws(PoolScriptError) in
            let isSelfHosted = words.last == "memmap_on_memory"
            return .hotplug(try memory(isSelfHosted ? words.dropLast() : words), isSelfHosted: isSelfHosted)
        },
        "offline": { (words, _) throws(PoolScriptError) in
            let waits = words.last == "wait"
            let rest = waits ? words.dropLast() : words[...]
            return .offline(rest.isEmpty ? nil : try memory(Array(rest)), waitsForReaders: waits)
        },
        "walkers": { (words, _) throws(PoolScriptError) in try walkers(words) },
        "flush": { (words, _) throws(PoolScriptError) in try alone(words, .flush) },
        "meminfo": { (words, _) throws(PoolScriptError) in try alone(words, .meminfo) },
        "vmstat": { (words, _) throws(PoolScriptError) in try alone(words, .vmstat) },
        "expect": { (words, sizes) throws(PoolScriptError) in try expect(words, sizes) },
    ]

    // MARK: Statements

    private static func sysctl(_ words: [Substring]) throws(PoolScriptError) -> PoolStatement {
        let expected = "hugetlb_optimize_vmemmap=0 or =1"
        guard words.count == 1, let word = words.first else {
            throw PoolScriptError(found: "\(words.count) words", expected: expected)
        }
        switch word {
        case "hugetlb_optimize_vmemmap=0", "vm.hugetlb_optimize_vmemmap=0": return .optimize(false)
        case "hugetlb_optimize_vmemmap=1", "vm.hugetlb_optimize_vmemmap=1": return .optimize(true)
        default: throw PoolScriptError(found: quoted(word), expected: expected)
        }
    }

    private static func walkers(_ words: [Substring]) throws(PoolScriptError) -> PoolStatement {
        if words == ["off"] { return .stopWalking }
        let expected = "a number of walkers from 1 to 64, or off; sleeping behind the number, if they sleep"
        let isSleeping = words.last == "sleeping"
        let count = try number(isSleeping ? words.dropLast() : words, expected)
        guard (1...64).contains(count) else { throw PoolScriptError(found: "'\(count)'", expected: expected) }
        return .walk(count, isSleeping: isSleeping)
    }

    private static func cgroup(
        _ words: [Substring], _ sizes: MachineSizes
    ) throws(PoolScriptError) -> PoolStatement {
        let expected = "\(names(sizes)), and max=N or rsvd.max=N, with off for no limit"
        let parts = words.last?.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) ?? []
        guard words.count == 2, parts.count == 2, ["max", "rsvd.max"].contains(parts[0]) else {
            throw PoolScriptError(found: quoted(words.joined(separator: " ")), expected: expected)
        }
        let limit = parts[1] == "off" ? nil : HugePageCount(try number([parts[1]], expected))
        return .cgroup(try size(words[0], sizes), limit, isOfReservations: parts[0] == "rsvd.max")
    }

    private static func expect(
        _ words: [Substring], _ sizes: MachineSizes
    ) throws(PoolScriptError) -> PoolStatement {
        let outcomes = PoolLanguage.outcomes
        if words.count == 1, outcomes.contains(String(words[0])) { return .expectOutcome(String(words[0])) }
        let name = words.first.map(String.init) ?? "nothing"
        if PoolFigure.ofPools.contains(name), words.count == 3 {
            return .expect(.hugePages(name, try size(words[1], sizes)), try number([words[2]], "a number"))
        }
        if PoolFigure.ofNodes.contains(name), words.count == 4, let node = try node(words[2]) {
            return .expect(
                .nodePages(name, try size(words[1], sizes), node: node), try number([words[3]], "a number"))
        }
        if PoolFigure.ofMachine.contains(name), words.count == 2 {
            return .expect(.machine(name), try number([words[1]], "a number"))
        }
        throw PoolScriptError(
            found: quoted(words.joined(separator: " ")),
            expected: "\(PoolFigure.ofPools.joined(separator: ", ")) with a size and a number; "
                + "\(PoolFigure.ofNodes.joined(separator: ", ")) with node=0 or node=1 between them; "
                + "\(PoolFigure.ofMachine.joined(separator: ", ")) with a number; or "
                + "\(outcomes.joined(separator: ", "))"
        )
    }

    // MARK: Words

    /// What was found, for a message: on one line whatever it is, and its beginning alone where it is long.
    static func quoted(_ text: some StringProtocol) -> String {
        let most = 64
        let shown = text.unicodeScalars.prefix(most).reduce(into: "") { $0 += $1.escaped(asASCII: false) }
        let count = text.unicodeScalars.count
        return "'\(shown)'" + (count > most ? " and \(count - most) characters more" : "")
    }

    private static func alone(_ words: [Substring], _ statement: PoolStatement) throws(PoolScriptError) -> PoolStatement
    {
        guard let word = words.first else { return statement }
        throw PoolScriptError(found: quoted(word), expected: "the end of the line")
    }

    private static func sizeAndCount(
        _ words: [Substring], defaultCount: Int? = nil, of sizes: MachineSizes
    ) throws(PoolScriptError) -> (HugePageSize, HugePageCount) {
        guard let first = words.first, words.count <= 2 else {
            throw PoolScriptError(found: "\(words.count) words", expected: "\(names(sizes)), and a number")
        }
        let size = try size(first, sizes)
        if words.count == 1, let defaultCount { return (size, HugePageCount(defaultCount)) }
        return (size, HugePageCount(try number(Array(words.dropFirst()), "a number of huge pages")))
    }

    /// Takes `node=K` off the end.
    private static func splitNode(_ words: [Substring]) throws(PoolScriptError) -> (Int?, [Substring]) {
        guard words.count == 3, let node = try node(words[2]) else { return (nil, words) }
        return (node, Array(words.prefix(2)))
    }

    /// The node that `node=K` names; nil for another word.
    private static func node(_ word: Substring) throws(PoolScriptError) -> Int? {
        word.hasPrefix("node=") ? try choice(word.dropFirst(5), ["0": 0, "1": 1]) : nil
    }

    /// A size of huge page, one that the machine has.
    static func size(_ word: Substring, _ sizes: MachineSizes) throws(PoolScriptError) -> HugePageSize {
        try choice(word, Dictionary(uniqueKeysWithValues: sizes.hugePages.map { ($0.bytes.argument, $0) }))
    }

    /// The sizes that there are, for a message.
    private static func names(_ sizes: MachineSizes) -> String {
        sizes.hugePages.map(\.bytes.argument).joined(separator: " or ")
    }

    static func names<Value: RawRepresentable<String>>(_ values: [Value]) -> [String: Value] {
        Dictionary(uniqueKeysWithValues: values.map { ($0.rawValue, $0) })
    }

    static func choice<Value>(_ word: Substring, _ values: [String: Value]) throws(PoolScriptError) -> Value {
        if let value = values[String(word)] { return value }
        throw PoolScriptError(found: quoted(word), expected: values.keys.sorted().joined(separator: " or "))
    }

    static func number(
        _ words: [Substring], _ expected: String, from least: Int = 0
    ) throws(PoolScriptError) -> Int {
        guard words.count == 1, let number = Int(words[0]), number >= least else {
            throw PoolScriptError(found: quoted(words.joined(separator: " ")), expected: expected)
        }
        return number
    }

    private static func frame(_ words: [Substring]) throws(PoolScriptError) -> PoolFrame {
        let error = PoolScriptError(
            found: quoted(words.joined(separator: " ")),
            expected: "a frame: a number, or #N or #N+OFFSET for the N-th huge page allocated")
        guard words.count == 1, let word = words.first else { throw error }
        guard word.hasPrefix("#") else {
            let number = word.hasPrefix("0x") ? Int(word.dropFirst(2), radix: 16) : Int(word)
            guard let number, number >= 0 else { throw error }
            return .frame(PageFrameNumber(number))
        }
        let parts = word.dropFirst().split(separator: "+", omittingEmptySubsequences: false)
        guard let number = Int(parts[0]), number >= 1, parts.count <= 2 else { throw error }
        guard parts.count == 2 else { return .allocated(number, offset: 0) }
        guard let offset = Int(parts[1]), offset >= 0 else { throw error }
        return .allocated(number, offset: offset)
    }
}
