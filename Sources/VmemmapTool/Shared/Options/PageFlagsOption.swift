import ArgumentParser
import HostMemory

/// The option that writes the emulated memory's flags for `page-types -F`.
struct PageFlagsOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write the flags of every emulated frame, optimized, as page-types -F reads them: 64 bits a frame.",
            valueName: "FILE"),
        completion: .file())
    var exportKpageflags: String?

    func validate() throws {
        if exportKpageflags == "-" {
            throw ValidationError("--export-kpageflags needs a file, not -: page-types reads it at positions.")
        }
    }

    /// Says on standard error, and exits with 2, if flags break the kernel's rule.
    static func check(_ tally: PageFlagsTally?) throws {
        guard let tally, tally.violations > 0 else { return }
        Output.error(
            "\(tally.violations) of \(tally.frames) emulated frames have flags that no huge page has: the first page "
                + "of each is a "
                + "head and huge, all others are tails and huge; please report it with the command")
        throw ExitCode.violation
    }
}
