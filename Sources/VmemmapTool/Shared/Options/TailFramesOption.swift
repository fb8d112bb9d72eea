import ArgumentParser
import HostMemory
import VmemmapEmulator

/// A command, or a group of options, that has `--tail-frames`.
protocol TakesTailFrames: SendableMetatype {
    /// How many there are by default, as the help says it.
    static var defaultTailFrames: String { get }
    /// Whether the command can find the best number itself.
    static var findsTailFrames: Bool { get }
}

extension TakesTailFrames {
    static var defaultTailFrames: String { "1" }
    static var findsTailFrames: Bool { true }
}

/// How many frames serve the tails of a huge page.
struct TailFramesOption<Taker: TakesTailFrames>: ParsableArguments {
    @Option(name: .customLong("tail-frames"), help: Self.help, completion: Self.completion, transform: Self.parse)
    var given: TailFrames?

    /// As many as were asked for, or the kernel's one.
    var value: TailFrames { given ?? .frames(1) }

    private static var help: ArgumentHelp {
        let auto = Taker.findsTailFrames ? "; auto: as many as leave the most memory, net" : ""
        return ArgumentHelp(
            "How many frames serve the tails of a huge page\(auto) (default: \(Taker.defaultTailFrames)).",
            valueName: Taker.findsTailFrames ? "R|auto" : "R")
    }

    private static var completion: CompletionKind { Taker.findsTailFrames ? OptionHelp.auto : .default }

    private static var autoOr: String { Taker.findsTailFrames ? "auto or " : "" }

    /// A number of frames, or `auto`, with an error that says what may stand there.
    private static func parse(_ text: String) throws -> TailFrames {
        if Taker.findsTailFrames, text == "auto" { return .auto }
        guard let frames = Int(text), frames >= 1 else {
            throw ValidationError("it must be \(autoOr)a whole number of frames from 1 to \(Int.max)")
        }
        return .frames(PageCount(frames))
    }

    /// Throws where more are asked for than any of the schemes has with any of the sizes: all of them would be fewer.
    func check(
        for schemes: [Scheme], _ sizes: [HugePageSize], basePageSize: ByteCount = HostLimits.pageSize
    ) throws {
        guard case .frames(let asked) = given else { return }
        if asked > 1, !schemes.contains(where: \.takesTailFrames) {
            let names = schemes.map(\.rawValue).joined(separator: " and ")
            throw ValidationError(
                "--tail-frames \(asked.rawValue) is nothing for the \(names) scheme, whose tails show one page: use 1, "
                    + "or another scheme.")
        }
        guard let most = TailFrames.most(schemes, sizes, basePageSize: basePageSize), asked > most else { return }
        throw ValidationError(
            "--tail-frames must be \(Self.autoOr)\(most == 1 ? "1" : "from 1 to \(most.rawValue)") here, not "
                + "\(asked.rawValue).")
    }
}
