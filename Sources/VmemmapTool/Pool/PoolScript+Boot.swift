import HostMemory
import VmemmapEmulator

/// The `boot` line, as the kernel reads its command line: from left to right, sizes before the pages they are of.
extension PoolScript {
    static func boot(_ words: [Substring]) throws(PoolScriptError) -> PoolStatement {
        var boot = PoolBoot(configuration: MachineConfiguration(memory: .zero))
        // Sizes are its, wherever it stands.
        let sizes = try words.first { $0.hasPrefix("arch=") }.map { (word) throws(PoolScriptError) in
            try self.sizes(word.dropFirst("arch=".count))
        }
        boot.configuration.sizes = sizes ?? .x86
        boot.defaultSize = boot.configuration.sizes.block
        // The size that a `hugepages=` is of, while it follows one.
        var size: HugePageSize?
        var keys: Set<Substring> = []
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let (key, value) = (parts[0], parts.count == 2 ? parts[1] : "")
            guard keys.insert(key).inserted || ["hugepages", "hugepagesz"].contains(key) else {
                throw PoolScriptError(found: "\(quoted(key))= twice", expected: "each of them once")
            }
            switch key {
            case "hugepagesz", "default_hugepagesz":
                if size != nil { throw withoutPages }
                size = try self.size(value, boot.configuration.sizes)
                if key == "default_hugepagesz" {
                    boot.defaultSize = size ?? boot.defaultSize
                    // It may stand alone.
                    size = nil
                }
            case "arch": break
            case "hugepages":
                try add(value, size ?? boot.defaultSize, &boot)
                size = nil
            default: try set(key, value, word, &boot.configuration)
            }
        }
        guard keys.contains("memory") else {
            let least = boot.configuration.sizes.block.bytes.argument
            throw PoolScriptError(found: "no memory", expected: "memory=SIZE of at least \(least)")
        }
        if size != nil { throw withoutPages }
        boot.configuration.memory = try withPluggable(boot.configuration)
        try check(boot)
        return .boot(boot)
    }

    private static var withoutPages: PoolScriptError {
        PoolScriptError(found: "hugepagesz= alone", expected: "hugepages=N with it")
    }

    /// Adds pools of a size: a number, or one for each node, as in `0:4,1:4`.
    private static func add(
        _ value: Substring, _ size: HugePageSize, _ boot: inout PoolBoot
    ) throws(PoolScriptError) {
        if boot.pools.contains(where: { $0.size == size }) {
            throw PoolScriptError(
                found: "hugepages= twice for pages of \(size.defaultValueDescription)",
                expected: "hugepages= once for each size, after its hugepagesz=")
        }
        for part in value.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 2 || !value.contains(",") else {
                throw PoolScriptError(found: quoted(value), expected: "a number, or one for each node: 0:4,1:4")
            }
            let node = words.count == 2 ? try choice(words[0], ["0": 0, "1": 1]) : nil
            let count = try number([words[words.count - 1]], "a number of huge pages")
            boot.pools.append(PoolBoot.Pool(size: size, node: node, count: HugePageCount(count)))
        }
    }

    private static func set(
        _ key: Substring, _ value: Substring, _ word: Substring, _ configuration: inout MachineConfiguration
    ) throws(PoolScriptError) {
        switch key {
        case "memory": configuration.memory = try memory(value)
        case "nodes": configuration.nodes = try choice(value, ["1": 1, "2": 2])
        case "hotplug": configuration.pluggable = try memory(value)
        case "zone_border": configuration.zoneBorder = try memory(value)
        case "reserved": configuration.reserved = try ranges(value)
        // Exactly on or off, as v5 patch 17 has it.
        case "hugetlb_free_vmemmap": configuration.optimizesAtBoot = try choice(value, ["on": true, "off": false])
        case "scheme": configuration.scheme = try choice(value, names(Scheme.ofHugeTLB))
        case "backing": configuration.backing = try choice(value, names(Backing.allCases))
        case "release": configuration.release = try choice(value, names(MachineConfiguration.Release.allCases))
        case "restore_failure":
            configuration.restoreFailure = try choice(value, names(MachineConfiguration.RestoreFailure.allCases))
        case "policy": configuration.policy = try choice(value, names(MachineConfiguration.Policy.allCases))
        case "keep_pages": configuration.keepsPages = try choice(value, ["on": true, "off": false])
        case "pmd_mapped": configuration.mapping = try choice(value, ["on": .pmd, "off": .pte])
        case "tail_frames":
            configuration.tailFrames =
                value == "auto" ? .auto : .frames(PageCount(try number([value], tailFrames, from: 1)))
        case "struct_page_size": configuration.structPageSize = try structPageSize(value)
        default:
            throw PoolScriptError(
                found: quoted(word),
                expected: PoolLanguage.bootWords.dropLast().map { "\($0.name)=" }.joined(separator: ", ")
                    + " or \(PoolLanguage.bootWords.last?.name ?? "")=")
        }
    }

    private static let tailFrames = "a number of frames from 1, or auto"

    /// Nothing that is asked for is rounded, cut short or left out.
    private static func check(_ boot: PoolBoot) throws(PoolScriptError) {
        let configuration = boot.configuration
        let sizes = configuration.sizes
        let (block, basePage) = (sizes.block.bytes.argument, sizes.basePage.argument)
        guard configuration.memory.rawValue.isMultiple(of: sizes.basePage.rawValue),
            configuration.memory >= sizes.block.bytes
        else {
            throw PoolScriptError(
                found: "memory=\(configuration.memory.rawValue)",
                expected: "at least \(block), and a multiple of \(basePage)")
        }
        if configuration.nodes > 1, configuration.pluggable > .zero {
            throw PoolScriptError(found: "hotplug= with nodes=\(configuration.nodes)", expected: "one of them alone")
        }
        if configuration.mapping == .pmd, configuration.pluggable > .zero, sizes.basePage > .kibibytes(4) {
            throw PoolScriptError(
                found: "hotplug= with pmd_mapped=on",
                expected: "one of them alone: with base pages of \(basePage) a memory block has less than 2M of vmemmap"
            )
        }
        let least = (sizes.gigantic ?? sizes.block).bytes * 2
        if configuration.nodes > 1, configuration.memory < least {
            throw PoolScriptError(
                found: "nodes=\(configuration.nodes)",
                expected: "memory= of at least \(least.argument) for two nodes")
        }
        if let node = boot.pools.compactMap(\.node).first(where: { $0 >= configuration.nodes }) {
            throw PoolScriptError(found: "hugepages= on node \(node)", expected: "nodes=2 with it")
        }
        for reserved in configuration.reserved
        where reserved.upperBound > configuration.memory - configuration.pluggable {
            throw PoolScriptError(
                found: "reserved= up to \(reserved.upperBound.rawValue)", expected: "a range within the memory")
        }
        if let border = configuration.zoneBorder {
            guard configuration.nodes == 1, border < configuration.memory - configuration.pluggable,
                border.rawValue.isMultiple(of: sizes.block.bytes.rawValue)
            else {
                throw PoolScriptError(
                    found: "zone_border=\(border.rawValue)",
                    expected: "a multiple of \(block) within the memory of a single node")
            }
        }
        try checkTailFrames(configuration)
    }

    /// All the memory that there can be.
    private static func withPluggable(_ configuration: MachineConfiguration) throws(PoolScriptError) -> ByteCount {
        let size = configuration.sizes.memoryBlock
        let block = size.rawValue
        if configuration.pluggable == .zero { return configuration.memory }
        guard configuration.memory.rawValue.isMultiple(of: block),
            configuration.pluggable.rawValue.isMultiple(of: block)
        else {
            throw PoolScriptError(
                found: "memory=\(configuration.memory.rawValue) hotplug=\(configuration.pluggable.rawValue)",
                expected: "multiples of a memory block of \(size.argument)")
        }
        let (sum, isTooMuch) = configuration.memory.rawValue.addingReportingOverflow(configuration.pluggable.rawValue)
        guard !isTooMuch else {
            throw PoolScriptError(found: "hotplug=\(configuration.pluggable.rawValue)", expected: "less memory")
        }
        return ByteCount(sum)
    }

    private static func checkTailFrames(_ configuration: MachineConfiguration) throws(PoolScriptError) {
        guard case .frames(let asked) = configuration.tailFrames else { return }
        let sizes = configuration.sizes
        let most = TailFrames.most(
            [configuration.scheme], sizes.hugePages.filter { $0.bytes <= configuration.memory },
            basePageSize: sizes.basePage, structPageSize: configuration.structPageSize)
        if let most, asked > most {
            throw PoolScriptError(
                found: "tail_frames=\(asked.rawValue)",
                expected: "at most \(most.rawValue) in the \(configuration.scheme.rawValue) scheme")
        }
    }

    // MARK: Values

    /// The sizes of an architecture, by its name, and those of them that are asked for: `arm64-4k:2M,32M`.
    private static func sizes(_ value: Substring) throws(PoolScriptError) -> MachineSizes {
        let name = value.prefix { $0 != ":" }
        let architecture = try choice(name, names(Architecture.allCases))
        guard let usual = architecture.machineSizes, usual.basePage >= HostLimits.pageSize else {
            throw PoolScriptError(
                found: "arch=\(name)",
                expected: "an architecture with base pages of this host's \(HostLimits.pageSize.argument), or larger")
        }
        if name.endIndex == value.endIndex { return usual }
        var chosen: [HugePageSize?] = []
        for word in value[name.endIndex...].dropFirst().split(separator: ",", omittingEmptySubsequences: false) {
            chosen.append(HugePageSize(bytes: try memory(word)))
        }
        guard let sizes = architecture.machineSizes(chosen.compactMap(\.self)), sizes.hugePages == chosen else {
            let known = architecture.hugePageSizes.map(\.bytes.argument).joined(separator: ", ")
            throw PoolScriptError(
                found: quoted(value), expected: "one or two of \(name)'s sizes \(known), the smaller first")
        }
        return sizes
    }

    /// Ranges of memory such as `512M-640M`, several with commas between them.
    private static func ranges(_ value: Substring) throws(PoolScriptError) -> [Range<ByteCount>] {
        var ranges: [Range<ByteCount>] = []
        for text in value.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            let first = ends.first == "0" ? .zero : try memory(ends.first ?? "")
            guard ends.count == 2, first < (try memory(ends[1])) else {
                throw PoolScriptError(found: quoted(text), expected: "a range such as 512M-640M")
            }
            ranges.append(first..<(try memory(ends[1])))
        }
        return ranges
    }

    /// A size of memory that stands alone.
    static func memory(_ words: [Substring]) throws(PoolScriptError) -> ByteCount {
        guard let word = words.first, words.count == 1 else {
            throw PoolScriptError(found: "\(words.count) words", expected: "a size such as 512M or 4G")
        }
        return try memory(word)
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
}
