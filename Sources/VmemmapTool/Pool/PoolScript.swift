import HostMemory
import VmemmapEmulator

/// One line of a pool script.
enum PoolStatement: Hashable, Sendable {
    /// Boots a machine, and sizes a pool as the kernel's command line would.
    case boot(MachineConfiguration, pool: HugePageSize, hugePages: HugePageCount)
    /// vm.hugetlb_optimize_vmemmap.
    case optimize(Bool)
    /// Writes nr_hugepages.
    case pool(HugePageSize, HugePageCount)
    /// Writes nr_overcommit_hugepages.
    case overcommit(HugePageSize, HugePageCount)
    /// Allocates huge pages; each gets the next number.
    case allocate(HugePageSize, HugePageCount)
    /// Frees an allocated huge page, or all of them.
    case free(PoolFrame?)
    /// Reserves huge pages.
    case reserve(HugePageSize, HugePageCount)
    /// Takes reservations back.
    case unreserve(HugePageSize, HugePageCount)
    /// A memory error.
    case poison(PoolFrame)
    /// Dissolves the free huge page around a frame.
    case dissolve(PoolFrame)
    /// Demotes the free 1 GiB page around a frame.
    case demote(PoolFrame)
    /// Limits the frames that restores may take.
    case budget(PageCount?)
    /// Waits for the deferred work.
    case flush
    /// Shows what /proc/meminfo would.
    case meminfo
    /// Shows what /proc/vmstat would.
    case vmstat
    /// Shows a struct page.
    case page(PoolFrame)
    /// Starts threads that read compound_head while huge pages come and go.
    case walk(Int)
    /// Stops them, and holds what they saw against what they may see.
    case stopWalking
    /// Holds a figure against a value.
    case expect(PoolFigure, Int)
    /// Holds the last operation's outcome against an errno's name, or `ok`.
    case expectOutcome(String)
}

/// A frame in a script: by its number, or counted from the n-th huge page that was allocated.
enum PoolFrame: Hashable, Sendable {
    /// The frame itself.
    case frame(PageFrameNumber)
    /// `#N+OFFSET`: a frame of the N-th huge page allocated, from 1.
    case allocated(Int, offset: Int)
}

/// A figure that a script can hold against a value.
enum PoolFigure: Hashable, Sendable {
    /// HugePages_Total, HugePages_Free, HugePages_Rsvd, HugePages_Surp, or Optimized, of a size.
    case hugePages(String, HugePageSize)
    /// nr_memmap_pages, nr_memmap_boot_pages, the sum of both, split_page_tables, or the distinct frames of the host.
    case machine(String)

    /// The names that come with a size.
    static let ofPools = [
        "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp", "HugePages_Optimized",
    ]
    /// The names that stand alone.
    static let ofMachine = [
        "nr_memmap_pages", "nr_memmap_boot_pages", "nr_memmap_sum", "split_page_tables", "free_pages",
        "distinct_frames",
    ]
}

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
    static func parse(_ line: Substring) throws(PoolScriptError) -> PoolStatement? {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let first = words.first, first != "#" else { return nil }
        let arguments = Array(words.dropFirst().prefix { $0 != "#" })
        guard let parser = parsers[String(first)] else {
            throw PoolScriptError(
                found: quoted(first), expected: "one of \(parsers.keys.sorted().joined(separator: ", "))")
        }
        return try parser(arguments)
    }

    private typealias Parser = @Sendable ([Substring]) throws(PoolScriptError) -> PoolStatement

    private static let parsers: [String: Parser] = [
        "boot": { (words) throws(PoolScriptError) in try boot(words) },
        "sysctl": { (words) throws(PoolScriptError) in try sysctl(words) },
        "nr_hugepages": { (words) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words)
            return .pool(size, count)
        },
        "nr_overcommit_hugepages": { (words) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words)
            return .overcommit(size, count)
        },
        "alloc": { (words) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words, defaultCount: 1)
            return .allocate(size, count)
        },
        "reserve": { (words) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words)
            return .reserve(size, count)
        },
        "unreserve": { (words) throws(PoolScriptError) in
            let (size, count) = try sizeAndCount(words)
            return .unreserve(size, count)
        },
        "free": { (words) throws(PoolScriptError) in
            words == ["all"] ? .free(nil) : .free(try frame(words))
        },
        "poison": { (words) throws(PoolScriptError) in .poison(try frame(words)) },
        "dissolve": { (words) throws(PoolScriptError) in .dissolve(try frame(words)) },
        "demote": { (words) throws(PoolScriptError) in .demote(try frame(words)) },
        "page": { (words) throws(PoolScriptError) in .page(try frame(words)) },
        "budget": { (words) throws(PoolScriptError) in
            if words == ["off"] { return .budget(nil) }
            return .budget(PageCount(try number(words, "a number of frames, or off")))
        },
        "walkers": { (words) throws(PoolScriptError) in try walkers(words) },
        "flush": { (words) throws(PoolScriptError) in try alone(words, .flush) },
        "meminfo": { (words) throws(PoolScriptError) in try alone(words, .meminfo) },
        "vmstat": { (words) throws(PoolScriptError) in try alone(words, .vmstat) },
        "expect": { (words) throws(PoolScriptError) in try expect(words) },
    ]

    // MARK: Statements

    private static func boot(_ words: [Substring]) throws(PoolScriptError) -> PoolStatement {
        var configuration = MachineConfiguration(memory: .zero)
        var size = HugePageSize.twoMebibytes
        var pages = 0
        var keys: Set<Substring> = []
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? parts[1] : ""
            guard keys.insert(parts[0]).inserted else {
                throw PoolScriptError(found: "\(quoted(parts[0]))= twice", expected: "each of them once")
            }
            switch parts[0] {
            case "memory": configuration.memory = try memory(value)
            case "hugepages": pages = try number([value], "a number of huge pages")
            case "hugepagesz": size = try self.size(value)
            // Exactly on or off, as v5 patch 17 has it.
            case "hugetlb_free_vmemmap": configuration.optimizesAtBoot = try choice(value, ["on": true, "off": false])
            case "scheme": configuration.scheme = try choice(value, names(Scheme.self))
            case "backing": configuration.backing = try choice(value, names(Backing.self))
            case "release": configuration.release = try choice(value, names(MachineConfiguration.Release.self))
            case "restore_failure":
                configuration.restoreFailure = try choice(value, names(MachineConfiguration.RestoreFailure.self))
            case "policy": configuration.policy = try choice(value, names(MachineConfiguration.Policy.self))
            case "keep_pages": configuration.keepsPages = try choice(value, ["on": true, "off": false])
            case "pmd_mapped": configuration.mapping = try choice(value, ["on": .pmd, "off": .pte])
            case "tail_frames":
                configuration.tailFrames =
                    value == "auto" ? .auto : .frames(PageCount(try number([value], tailFrames, from: 1)))
            case "struct_page_size": configuration.structPageSize = try structPageSize(value)
            default:
                throw PoolScriptError(
                    found: quoted(word),
                    expected:
                        "memory=, hugepages=, hugepagesz=, hugetlb_free_vmemmap=, scheme=, backing=, tail_frames=, "
                        + "release=, "
                        + "restore_failure=, policy=, keep_pages=, pmd_mapped= or struct_page_size=")
            }
        }
        guard keys.contains("memory") else {
            throw PoolScriptError(found: "no memory", expected: "memory=SIZE of at least 2M")
        }
        if keys.contains("hugepagesz"), !keys.contains("hugepages") {
            throw PoolScriptError(found: "hugepagesz= alone", expected: "hugepages=N with it")
        }
        try check(configuration)
        return .boot(configuration, pool: size, hugePages: HugePageCount(pages))
    }

    private static let tailFrames = "a number of frames from 1, or auto"

    /// Nothing that is asked for is rounded or cut short.
    private static func check(_ configuration: MachineConfiguration) throws(PoolScriptError) {
        let block = HugePageSize.twoMebibytes.bytes
        guard configuration.memory.rawValue.isMultiple(of: block.rawValue) else {
            throw PoolScriptError(found: "memory=\(configuration.memory)", expected: "a multiple of 2M")
        }
        guard case .frames(let asked) = configuration.tailFrames else { return }
        let longest = [HugePageSize.twoMebibytes, .oneGibibyte].filter { $0.bytes <= configuration.memory }.compactMap {
            TailFrames.longest(configuration.scheme, $0, structPageSize: configuration.structPageSize)
        }.max()
        if let longest, asked > longest {
            throw PoolScriptError(
                found: "tail_frames=\(asked)",
                expected: "at most \(longest) in the \(configuration.scheme.rawValue) scheme")
        }
    }

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
        let expected = "a number of walkers from 1 to 64, or off"
        let count = try number(words, expected)
        guard (1...64).contains(count) else { throw PoolScriptError(found: "'\(count)'", expected: expected) }
        return .walk(count)
    }

    private static func expect(_ words: [Substring]) throws(PoolScriptError) -> PoolStatement {
        let outcomes = ["ok", "ENOMEM", "EBUSY", "EINVAL", "ENXIO"]
        if words.count == 1, outcomes.contains(String(words[0])) { return .expectOutcome(String(words[0])) }
        let name = words.first.map(String.init) ?? "nothing"
        if PoolFigure.ofPools.contains(name), words.count == 3 {
            return .expect(.hugePages(name, try size(words[1])), try number([words[2]], "a number"))
        }
        if PoolFigure.ofMachine.contains(name), words.count == 2 {
            return .expect(.machine(name), try number([words[1]], "a number"))
        }
        throw PoolScriptError(
            found: quoted(words.joined(separator: " ")),
            expected: "\(PoolFigure.ofPools.joined(separator: ", ")) with a size and a number; "
                + "\(PoolFigure.ofMachine.joined(separator: ", ")) with a number; or "
                + "\(outcomes.joined(separator: ", "))"
        )
    }

    // MARK: Words

    /// What was found, for a message: on one line whatever it is, and its beginning alone where it is long.
    private static func quoted(_ text: some StringProtocol) -> String {
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
        _ words: [Substring], defaultCount: Int? = nil
    ) throws(PoolScriptError) -> (HugePageSize, HugePageCount) {
        guard let first = words.first, words.count <= 2 else {
            throw PoolScriptError(found: "\(words.count) words", expected: "2M or 1G, and a number")
        }
        let size = try size(first)
        if words.count == 1, let defaultCount { return (size, HugePageCount(defaultCount)) }
        return (size, HugePageCount(try number(Array(words.dropFirst()), "a number of huge pages")))
    }

    private static func size(_ word: Substring) throws(PoolScriptError) -> HugePageSize {
        try choice(word, ["2M": .twoMebibytes, "1G": .oneGibibyte])
    }

    private static func names<Value: RawRepresentable<String> & CaseIterable>(_ type: Value.Type) -> [String: Value] {
        Dictionary(uniqueKeysWithValues: type.allCases.map { ($0.rawValue, $0) })
    }

    private static func choice<Value>(_ word: Substring, _ values: [String: Value]) throws(PoolScriptError) -> Value {
        if let value = values[String(word)] { return value }
        throw PoolScriptError(found: quoted(word), expected: values.keys.sorted().joined(separator: " or "))
    }

    private static func number(
        _ words: [Substring], _ expected: String, from least: Int = 0
    ) throws(PoolScriptError) -> Int {
        guard words.count == 1, let number = Int(words[0]), number >= least else {
            throw PoolScriptError(found: quoted(words.joined(separator: " ")), expected: expected)
        }
        return number
    }

    private static func memory(_ word: Substring) throws(PoolScriptError) -> ByteCount {
        // The kernel takes bare bytes; here a forgotten unit is a mistake.
        guard word.last?.isNumber == false, let bytes = ByteCount(text: word)
        else { throw PoolScriptError(found: quoted(word), expected: "a size such as 512M or 4G") }
        return bytes
    }

    private static func structPageSize(_ word: Substring) throws(PoolScriptError) -> ByteCount {
        let sizes = Geometry.structPageSizes.map(\.rawValue)
        guard let size = Int(word), sizes.contains(size) else {
            throw PoolScriptError(
                found: quoted(word),
                expected: "sizeof(struct page): one of \(sizes.map(String.init).joined(separator: ", "))")
        }
        return ByteCount(size)
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
