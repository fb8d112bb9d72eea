internal import ArgumentParser
internal import Experiments
internal import HostMemory
internal import Reports
internal import VmemmapEmulator

/// `vmemmap pool`.
struct PoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Run a script of HugeTLB pool operations on real memory, one a line.",
        discussion: """
            Example: vmemmap pool scripts/examples/surplus.pool

            Lines: boot memory=SIZE [hugepages=N] [hugepagesz=2M|1G] [hugetlb_free_vmemmap=on|off] [scheme=...] [backing=...];
            sysctl hugetlb_optimize_vmemmap=0|1; nr_hugepages SIZE N; nr_overcommit_hugepages SIZE N; alloc SIZE [N];
            free PFN|all; reserve SIZE N; unreserve SIZE N; poison PFN; dissolve PFN; demote PFN; budget FRAMES|off; flush;
            walkers N|off; meminfo; vmstat; page PFN; expect FIGURE VALUE; expect ok|ENOMEM|EBUSY|EINVAL|ENXIO.
            A PFN is a number, or #N+OFFSET in the N-th huge page allocated. "# " begins a comment.
            Exits with 2 if something is not as expected, with 64 at a line that is none: nothing after it runs.
            """)

    @Argument(help: ArgumentHelp("The script; - or nothing: standard input.", valueName: "FILE"))
    var file: String?

    @OptionGroup var terminal: TerminalOptions

    func run() throws {
        let terminal = terminal.terminal
        let name = file == nil || file == "-" ? "standard input" : file ?? ""
        let source = try ScriptSource(file)
        let session = PoolSession()
        var number = 0
        var violations = 0
        while let line = try source.nextLine() {
            number += 1
            let outcome: PoolOutcome?
            let start = HostKernel.monotonicNanoseconds()
            do throws(PoolSessionError) {
                outcome = try session.run(line[...])
            } catch {
                switch error {
                case .script(let error):
                    Output.error("\(name):\(number): found \(error.found), expected \(error.expected)")
                    throw ExitCode.validationFailure
                case .host(let error):
                    Output.error("\(name):\(number): \(ErrorText.line(error))")
                    throw ExitCode(error)
                }
            }
            let duration = HostKernel.monotonicNanoseconds() - start
            guard let outcome else { continue }
            try terminal.print {
                ["> \(line.trimmingSpaces)"] + $0.wrapped(PoolScriptReport.lines(outcome, nanoseconds: duration, $0))
            }
            if case .expected(let figure, let expected, let found) = outcome, expected != found {
                Output.error("\(name):\(number): \(figure) is \(found), not as expected: \(expected)")
                violations += 1
            }
            if case .walked(let seen) = outcome, seen.wrong > 0 {
                Output.error("\(name):\(number): walkers saw \(seen.wrong) wrong compound_heads")
                violations += 1
            }
        }
        if violations > 0 { throw ExitCode.violation }
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
