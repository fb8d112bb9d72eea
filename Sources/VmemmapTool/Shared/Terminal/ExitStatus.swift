import ArgumentParser

/// What commands end with, in words: manual pages, --help and the documentation have it from here.
struct ExitStatus: Hashable, Sendable {
    /// The code as it is written: a number, or `128+N`.
    let code: String
    /// What it means, as a part of a sentence.
    let meaning: String

    private init(_ code: String, _ meaning: String) {
        self.code = code
        self.meaning = meaning
    }

    private init(_ code: ExitCode, _ meaning: String) { self.init("\(code.rawValue)", meaning) }

    /// Those of every command that says nothing else.
    static let common = [
        ExitStatus(.success, "all is well, and all checks passed"), ExitStatus(.failure, "internal error"),
        ExitStatus(.violation, "a check failed"), ExitStatus(.shortage, "the host lacks a resource or refused"),
        ExitStatus(.notSupported, "not supported on this host, or not permitted"),
        ExitStatus(.validationFailure, "usage error"),
        ExitStatus(anySignal, "ended by signal N; settings of the host that were changed are put back"),
    ]

    private static let anySignal = "128+N"

    /// Codes that mean something else, or more, where a command is run.
    static let special: [(command: String, statuses: [ExitStatus])] = [
        ("demo", [ExitStatus(.violation, "a check failed; with --race, something went wrong under the right way")]),
        (
            "hold",
            [
                ExitStatus(.success, "ended by Enter or by SIGINT, SIGTERM or SIGHUP, and cleaned up"),
                ExitStatus(.violation, "a reader saw a wrong head, or a frame has flags that no huge page has"),
                ExitStatus(anySignal, "ended by another signal N, or while it was built"),
            ]
        ),
        (
            "inspect",
            [
                ExitStatus(.shortage, "no such process or region, or the host lacks a resource or refused"),
                ExitStatus(.notSupported, "the process belongs to somebody else, or not supported on this host"),
            ]
        ),
        (
            "pool",
            [
                ExitStatus(.violation, "something is not as expected, or the two that are compared differ"),
                ExitStatus(
                    .notSupported,
                    "not supported on this host, not permitted, or the host's pools are not empty (--beside-kernel)"),
                ExitStatus(.validationFailure, "usage error, or a line that cannot be read: nothing after it is run"),
            ]
        ),
        ("plan", [ExitStatus(.success, "all is well")]),
        (
            "bench",
            [
                ExitStatus(
                    .violation,
                    "a reader saw a wrong head (--walkers), or the kernel loses memory (--peers kernel)"),
                ExitStatus(.shortage, "nothing fits, or the host lacks a resource or refused"),
                ExitStatus(
                    anySignal,
                    "ended by signal N with the pairs that there are, by a second one at once; settings are put back"),
            ]
        ),
        ("kernel", [ExitStatus(.violation, "the kernel loses memory, or a check failed")]),
        (
            "stress",
            [
                ExitStatus(.success, "all checks passed, also if SIGINT, SIGTERM or SIGHUP ended the run early"),
                ExitStatus(anySignal, "ended at once by a second signal N"),
            ]
        ),
        (
            "compare",
            [
                ExitStatus(.success, "compared; with --fail-above, nothing is worse"),
                ExitStatus(
                    .violation,
                    "with --fail-above: something is worse or missing, or the two were not asked for the same"),
                ExitStatus(.validationFailure, "usage error, or what cannot be compared"),
            ]
        ),
    ]

    /// Commands that check nothing.
    private static let withoutChecks = ["plan"]

    /// Every code that a command ends with, in order; nil: those that commands have in common.
    static func all(of command: String?) -> [ExitStatus] {
        let own = special.first { $0.command == command }?.statuses ?? []
        return common.compactMap { status in
            if status.code == "\(ExitCode.violation.rawValue)", withoutChecks.contains(command ?? "") { return nil }
            return own.first { $0.code == status.code } ?? status
        }
    }

    /// How a paragraph of a help begins that has them.
    static let helpPrefix = "Exit codes: "

    /// The same in one paragraph.
    static func help(_ command: String?) -> String {
        helpPrefix + all(of: command).map { "\($0.code) \($0.meaning)" }.joined(separator: "; ") + "."
    }
}
