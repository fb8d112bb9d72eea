public import ArgumentParser
import HostMemory
public import VmemmapEmulator

/// What is said of the options that several commands have, once. Where one takes all schemes or backings, or has no
/// default, its type is another.
enum OptionHelp {
    static let pageSize: ArgumentHelp = "Huge page size."
    static let hugeTLBScheme = ArgumentHelp(
        "How their vmemmap is shared: first-tail (the v5 series), head (Linux 5.18 to 7.0) or shared-tail (7.1).")
    static let scheme = ArgumentHelp(
        "How their vmemmap is shared: first-tail (the v5 series), head (Linux 5.18 to 7.0), shared-tail (7.1), or "
            + "device-dax, which is built so and never restored (hold, inspect, plan, savings).")
    static let backing: ArgumentHelp =
        "What the region consists of: anonymous memory with a file for shared frames, or one memfd."
    static let tailFrames = ArgumentHelp(
        "How many frames serve the tails of a huge page; auto: as many as leave the most memory, net.",
        valueName: "R|auto")
    static let raiseMapLimit: ArgumentHelp =
        "Raise vm.max_map_count if a plan needs it, and put it back on every way out (root)."

    /// What a shell offers where a number or auto may stand.
    static let auto = CompletionKind.list(["auto"])

    static func pages(_ text: String = "How many huge pages.") -> ArgumentHelp { ArgumentHelp(text, valueName: "N") }
}

/// The options that say what kind of huge pages a command emulates.
struct HugePageOptions: ParsableArguments {
    @OptionGroup var geometry: GeometryOptions

    @Option(help: OptionHelp.scheme)
    var scheme = Scheme.firstTail

    @Option(help: OptionHelp.backing)
    var backing = Backing.anonymous

    @Option(help: OptionHelp.tailFrames, completion: OptionHelp.auto)
    var tailFrames = Given<TailFrames>("1")

    @Flag(help: "Map the region by PMDs, 2 MiB each; optimizing splits them, restoring 1 GiB pages merges them again.")
    var pmdMapped = false

    /// Their size.
    var pageSize: HugePageSize { geometry.hugePageSize([scheme]) }

    /// So many of them.
    func memory(_ pages: HugePageCount) -> EmulatedMemory {
        EmulatedMemory(
            pages: pages, pageSize: pageSize, basePageSize: geometry.basePageSize, scheme: scheme, backing: backing,
            tailFrames: tailFrames.value, mapping: pmdMapped ? .pmd : .pte)
    }

    func validate() throws {
        try TailFrames.check(tailFrames, for: [scheme], [pageSize], basePageSize: geometry.basePageSize)
        try geometry.check(frees: [scheme])
    }
}

/// The options that say which huge pages a command runs on.
struct EmulationOptions: ParsableArguments {
    @Option(help: OptionHelp.pages())
    var pages = Given<Int>("512")

    @OptionGroup var kind: HugePageOptions

    /// The huge pages asked for.
    var memory: EmulatedMemory { kind.memory(HugePageCount(pages.value)) }

    func validate() throws { try WholeNumber.check(pages, of: "--pages", in: 1...Int.max) }
}

/// How much memory in huge pages: by its size, or by their number.
struct AmountOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Memory, all of it in huge pages.", valueName: "SIZE[K|M|G|T]"),
        transform: MemorySize.parse)
    var memory: MemorySize?

    @Option(help: OptionHelp.pages("How many huge pages, in place of --memory."), transform: WholeNumber.parse)
    var pages: Int?

    /// The memory in huge pages of a size; nil where neither was given. Throws unless it is a whole number of them.
    func bytes(_ size: HugePageSize) throws -> ByteCount? {
        guard let pages else {
            try memory?.check(holds: size)
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
        try OptionRule.check("--pages", isGiven: pages != nil, excludes: "--memory", isOtherGiven: memory != nil)
        if let pages { try WholeNumber.check(pages, of: "--pages", in: 1...Int.max) }
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
        memory.construction = atBoot || !memory.scheme.isRemapped ? .optimized : .populated
        return memory
    }

    /// Throws where the options exclude each other.
    func check(_ kind: HugePageOptions) throws {
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

extension ByteCount {
    /// As a size of page, or a few of them, is written on the command line and in a script.
    var argument: String {
        let kibibytes = rawValue >> 10
        for (unit, shift) in [("G", 20), ("M", 10)] where kibibytes >> shift > 0 {
            return "\(kibibytes >> shift)\(unit)"
        }
        return "\(kibibytes)K"
    }
}

extension Scheme: ExpressibleByArgument {
    /// Those of HugeTLB, and device DAX.
    public static var allValueStrings: [String] { (allCases + [.deviceDax]).map(\.rawValue) }

    /// Whether optimizing frees anything of huge pages of a size.
    func frees(of size: HugePageSize, basePageSize: ByteCount) -> Bool {
        Geometry(basePageSize: basePageSize, hugePageSize: size).map { freedPages($0) > .zero } ?? false
    }

    /// Throws where one of them is never remapped, and nothing else is to be done.
    static func check(areRemapped schemes: [Scheme]) throws {
        guard let other = schemes.first(where: { !$0.isRemapped }) else { return }
        throw ValidationError(
            "The \(other.rawValue) scheme is built so and never remapped: it is for hold, inspect, plan and savings.")
    }
}

extension Backing: ExpressibleByArgument {}

extension TailFrames: ParsedArgument {
    /// A number of frames, or `auto`, with an error that says what may stand there.
    static func parse(_ text: String) throws -> TailFrames {
        if text == "auto" { return .auto }
        guard let frames = Int(text), frames >= 1 else {
            throw ValidationError("it must be auto or a whole number of frames from 1 to \(Int.max)")
        }
        return .frames(PageCount(frames))
    }

    /// The same, of what may be neither.
    static func check(
        _ run: Given<TailFrames>, for schemes: [Scheme], _ sizes: [HugePageSize],
        basePageSize: ByteCount = HostLimits.pageSize
    ) throws {
        try run.check("--tail-frames <R|auto>")
        try check(run.value, for: schemes, sizes, basePageSize: basePageSize)
    }

    /// Throws where a run is asked for that is longer than any of the schemes has with any of the sizes: it would be
    /// cut short.
    ///
    /// - Parameters:
    ///   - run: the run.
    ///   - schemes: the schemes.
    ///   - sizes: the sizes of huge page.
    ///   - basePageSize: the base page.
    ///   - isAutoTaken: whether the option takes auto, too.
    static func check(
        _ run: TailFrames, for schemes: [Scheme], _ sizes: [HugePageSize],
        basePageSize: ByteCount = HostLimits.pageSize, isAutoTaken: Bool = true
    ) throws {
        guard case .frames(let asked) = run else { return }
        if schemes == [.head], asked > PageCount(1) {
            throw ValidationError(
                "--tail-frames \(asked) is nothing for the head scheme, whose tails show one page: use 1, or another "
                    + "scheme."
            )
        }
        let longest = schemes.flatMap { scheme in
            sizes.compactMap { TailFrames.longest(scheme, $0, basePageSize: basePageSize) }
        }.max()
        guard let longest, asked > longest else { return }
        throw ValidationError(
            "--tail-frames must be \(isAutoTaken ? "auto or " : "")from 1 to \(longest) here, not \(asked).")
    }
}
