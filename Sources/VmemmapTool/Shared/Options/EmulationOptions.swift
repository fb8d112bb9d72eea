public import ArgumentParser
import HostMemory
public import VmemmapEmulator

/// What is said of the options that several commands have, once. Where one takes all schemes or backings, or has no
/// default, its type is another.
enum OptionHelp {
    static let pageSize = ArgumentHelp("Huge page size.", valueName: "SIZE")
    static let pageSizes = "a power of two, usually one of \(HugePageSize.usual.joined(separator: ", "))"
    static let hugeTLBScheme = scheme(of: Scheme.ofHugeTLB)
    static let backing: ArgumentHelp =
        "What the region consists of: anonymous memory with a file for shared frames, or one memfd."
    static let raiseMapLimit: ArgumentHelp =
        "Raise vm.max_map_count if a plan needs it, and put it back on every way out (root)."

    /// What a shell offers where a number or auto may stand.
    static let auto = CompletionKind.list(["auto"])

    static func scheme(of schemes: [Scheme]) -> ArgumentHelp {
        let texts = schemes.map { scheme in
            let limits = scheme.isRemapped ? "" : ", built so and never restored: \(Scheme.commandsWithoutRemapping)"
            return "\(scheme.rawValue) (\(scheme.origin)\(limits))"
        }
        return ArgumentHelp("How their vmemmap is shared: \(texts.joined(separator: ", ")).")
    }
}

/// A command that emulates huge pages under one of several schemes.
protocol TakesScheme: SendableMetatype {
    /// Those that its help and a shell name. Any other is for the command to refuse.
    static var schemes: [Scheme] { get }
}

extension TakesScheme {
    static var schemes: [Scheme] { Scheme.allCases }
}

/// `--scheme` of such a command.
struct SchemeChoice<Taker: TakesScheme>: ExpressibleByArgument, Sendable {
    var scheme = Scheme.firstTail

    init() {}

    init?(argument: String) {
        guard let scheme = Scheme(argument: argument) else { return nil }
        self.scheme = scheme
    }

    var defaultValueDescription: String { scheme.defaultValueDescription }

    static var allValueStrings: [String] { Taker.schemes.map(\.defaultValueDescription) }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

/// The options that say what kind of huge pages a command emulates.
struct HugePageOptions<Taker: TakesScheme>: ParsableArguments, TakesTailFrames {
    @OptionGroup var geometry: GeometryOptions

    @Option(name: .customLong("scheme"), help: OptionHelp.scheme(of: Taker.schemes))
    var choice = SchemeChoice<Taker>()

    @Option(help: OptionHelp.backing)
    var backing = Backing.anonymous

    @OptionGroup var tailFrames: TailFramesOption<Self>

    @Flag(help: "Map the region by PMDs, 2 MiB each; optimizing splits them, restoring 1 GiB pages merges them again.")
    var pmdMapped = false

    /// How their vmemmap is shared.
    var scheme: Scheme { choice.scheme }

    /// Their size.
    var pageSize: HugePageSize { geometry.hugePageSize([scheme]) }

    /// So many of them.
    func memory(_ pages: HugePageCount) -> EmulatedMemory {
        EmulatedMemory(
            pages: pages, pageSize: pageSize, basePageSize: geometry.basePageSize, scheme: scheme, backing: backing,
            tailFrames: tailFrames.value, mapping: pmdMapped ? .pmd : .pte)
    }

    func validate() throws {
        try tailFrames.check(for: [scheme], [pageSize], basePageSize: geometry.basePageSize)
        try geometry.check(frees: [scheme])
    }
}

/// The options that say which huge pages a command runs on.
struct EmulationOptions<Taker: TakesScheme>: ParsableArguments, TakesPages {
    private static var pagesByDefault: HugePageCount { 512 }
    static var pagesHelp: String { "How many huge pages (default: \(pagesByDefault.rawValue))." }

    @OptionGroup var pages: PagesOption<Self>
    @OptionGroup var kind: HugePageOptions<Taker>

    /// The huge pages asked for.
    var memory: EmulatedMemory { kind.memory(pages.count ?? Self.pagesByDefault) }
}

/// How much memory in huge pages: by its size, or by their number.
struct AmountOptions: ParsableArguments, TakesPages {
    static let pagesHelp = "How many huge pages, in place of --memory."

    @Option(
        help: ArgumentHelp("Memory, all of it in huge pages, as 400G or 1.3T.", valueName: "SIZE"),
        transform: MemorySize.parse)
    var memory: MemorySize?

    @OptionGroup var pages: PagesOption<Self>

    /// The memory in huge pages of a size; nil where neither was given. Throws unless it is a whole number of them.
    ///
    /// - Parameter saysRest: see ``MemorySize/check(holds:saysRest:)``.
    func bytes(_ size: HugePageSize, saysRest: Bool = false) throws -> ByteCount? {
        guard let pages = pages.number else {
            try memory?.check(holds: size, saysRest: saysRest)
            return memory?.bytes
        }
        guard let bytes = size.bytes.multiplied(by: pages), bytes <= MemorySize.most else {
            let most = MemorySize.most.rawValue / size.bytes.rawValue
            throw ValidationError("--pages must be from 1 to \(most) here, not \(pages).")
        }
        return bytes
    }

    /// The same as a number of huge pages.
    func hugePages(_ size: HugePageSize) throws -> HugePageCount? {
        try bytes(size).map { HugePageCount($0.rawValue / size.bytes.rawValue) }
    }

    func validate() throws {
        try OptionRule.check("--pages", isGiven: pages.number != nil, excludes: "--memory", isOtherGiven: memory != nil)
    }
}

/// The option that has the region built optimized.
struct AtBootOption: ParsableArguments {
    @Flag(
        help: "Build the huge pages optimized, as the kernel does at boot (pre-HVO): tail frames are never allocated.")
    var atBoot = false

    /// The same huge pages, built as asked for.
    func applied(to memory: EmulatedMemory) -> EmulatedMemory {
        var memory = memory
        memory.construction = atBoot ? .optimized : memory.scheme.construction
        return memory
    }

    /// Throws where the options exclude each other.
    func check(_ kind: HugePageOptions<some TakesScheme>) throws {
        if kind.pmdMapped, atBoot || !kind.scheme.isRemapped {
            let cause = atBoot ? "--at-boot" : "--scheme \(kind.scheme.rawValue)"
            throw ValidationError("\(cause) has no frames to fill the PMDs of --pmd-mapped with: use one of the two.")
        }
    }
}

extension HugePageSize: ExpressibleByArgument {
    /// `2M` or `1G`.
    public init?(argument: String) {
        switch argument.uppercased() {
        case "2M": self = .twoMebibytes
        case "1G": self = .oneGibibyte
        default: return nil
        }
    }

    /// As it is written on the command line.
    public var defaultValueDescription: String { bytes.argument }

    /// Those of x86-64, which the pool and the benchmark have.
    static let ofBench: [HugePageSize] = [.twoMebibytes, .oneGibibyte]

    /// Those of x86-64.
    public static var allValueStrings: [String] { ofBench.map(\.defaultValueDescription) }

    /// What a shell offers: the same.
    public static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

extension Scheme: ExpressibleByArgument, Choice {
    /// All that a command which optimizes and restores can run.
    static var choices: [Scheme] { ofHugeTLB }

    /// What schemes are for that are never remapped.
    static let commandsWithoutRemapping = "hold, inspect, plan and savings"

    /// Whether optimizing frees anything of huge pages of a size.
    func frees(of size: HugePageSize, basePageSize: ByteCount) -> Bool {
        Geometry(basePageSize: basePageSize, hugePageSize: size).map { freedPages($0) > .zero } ?? false
    }

    /// Throws where one of them is never remapped, and nothing else is to be done.
    static func check(areRemapped schemes: [Scheme]) throws {
        guard let other = schemes.first(where: { !$0.isRemapped }) else { return }
        throw ValidationError(
            "The \(other.rawValue) scheme is built optimized and never restored: use it with "
                + "\(commandsWithoutRemapping).")
    }
}

extension Backing: ExpressibleByArgument, Choice {
    static var choices: [Backing] { allCases }
}
