public import ArgumentParser
import HostMemory
public import VmemmapEmulator

/// The options that say which huge pages a command runs on.
struct EmulationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("How many huge pages (default: 512).", valueName: "N"),
        transform: WholeNumber.parse)
    var pages = 512

    @Option(help: "Their size: 2M or 1G.")
    var pageSize = HugePageSize.twoMebibytes

    @Option(
        help: "How their vmemmap is shared: first-tail (the v5 series), head (Linux 5.18 to 7.0) or shared-tail (7.1).")
    var scheme = Scheme.firstTail

    @Option(help: "What the region consists of: anonymous memory with a file for shared frames, or one memfd.")
    var backing = Backing.anonymous

    @Option(
        help: ArgumentHelp(
            "How many frames in a row serve the tails (default: 1); auto: least net memory.", valueName: "R|auto"),
        transform: TailFrames.parse)
    var tailFrames = TailFrames.frames(PageCount(1))

    /// The huge pages asked for.
    var memory: EmulatedMemory {
        EmulatedMemory(
            pages: HugePageCount(pages), pageSize: pageSize, scheme: scheme, backing: backing, tailFrames: tailFrames)
    }

    func validate() throws {
        try WholeNumber.check(pages, of: "--pages", in: 1...Int.max)
        try TailFrames.check(tailFrames, for: [scheme], [pageSize])
    }
}

/// Numbers on the command line, with errors that say what may stand there.
enum WholeNumber {
    /// A whole number, negative ones included: ``check(_:of:in:)`` says what is wrong with those.
    static func parse(_ text: String) throws -> Int {
        if let number = Int(text) { return number }
        let isNumber = !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber }
        throw ValidationError(isNumber ? "it is larger than \(Int.max)" : "it is not a whole number")
    }

    /// Throws unless `number` lies in `range`.
    static func check(_ number: Int, of option: String, in range: ClosedRange<Int>) throws {
        if range.contains(number) { return }
        let limits =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
        throw ValidationError("\(option) must be \(limits), not \(number).")
    }
}

/// Options that mean something only beside another one. Alone they are refused: nothing that is asked for is ignored.
enum OptionRule {
    /// Throws if `option` was given without the one that it belongs to.
    static func check(_ option: String, isGiven: Bool, belongsTo other: String, isOtherGiven: Bool) throws {
        if isGiven, !isOtherGiven {
            throw ValidationError("\(option) is for \(other): use it with \(other), or leave it out.")
        }
    }

    /// Throws if both were given and one of them would be ignored.
    static func check(_ option: String, isGiven: Bool, excludes other: String, isOtherGiven: Bool) throws {
        if isGiven, isOtherGiven { throw ValidationError("\(option) is not for \(other): use one of the two.") }
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
    public var defaultValueDescription: String { self == .oneGibibyte ? "1G" : "2M" }

    /// Every size there is.
    public static var allValueStrings: [String] { ["2M", "1G"] }
}

extension Scheme: ExpressibleByArgument {}

extension Backing: ExpressibleByArgument {}

extension TailFrames {
    /// A number of frames, or `auto`, with an error that says what may stand there.
    static func parse(_ text: String) throws -> TailFrames {
        if text == "auto" { return .auto }
        guard let frames = Int(text), frames >= 1 else {
            throw ValidationError("it must be auto or a whole number of frames from 1 to \(Int.max)")
        }
        return .frames(PageCount(frames))
    }

    /// Throws where a run is asked for that is longer than any of the schemes has with any of the sizes: it would be
    /// cut short.
    ///
    /// - Parameter isAutoTaken: whether the option takes auto, too.
    static func check(
        _ run: TailFrames, for schemes: [Scheme], _ sizes: [HugePageSize], isAutoTaken: Bool = true
    ) throws {
        guard case .frames(let asked) = run else { return }
        if schemes == [.head], asked > PageCount(1) {
            throw ValidationError(
                "--tail-frames \(asked) is nothing for the head scheme, whose tails show one page: use 1, or another scheme."
            )
        }
        let longest = schemes.flatMap { scheme in sizes.compactMap { TailFrames.longest(scheme, $0) } }.max()
        guard let longest, asked > longest else { return }
        throw ValidationError(
            "--tail-frames must be \(isAutoTaken ? "auto or " : "")from 1 to \(longest) here, not \(asked).")
    }
}
