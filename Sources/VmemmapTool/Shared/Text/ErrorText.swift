import HostMemory
import VmemmapEmulator

/// Why a command did not do what was asked: what happened, the figure, the limit, the way out, in one line.
enum ErrorText {
    /// How a command is told how much it is to do.
    enum Sizing: Hashable, Sendable {
        /// `--pages N`
        case pages
        /// The same, of a command with --nodes.
        case pagesOfNodes
        /// The same, of a command without --tail-frames.
        case pagesAlone
        /// `--memory SIZE`, of a command with --nodes.
        case memory
        /// A script's `boot memory=SIZE`
        case script

        /// Whether the command can divide huge pages among processes.
        var hasNodes: Bool { self == .pagesOfNodes || self == .memory }
    }

    /// The line for an error.
    ///
    /// - Parameter sizing: what the user has to change where less would fit.
    static func line(_ error: ExperimentError, _ sizing: Sizing = .pages) -> String {
        switch error {
        case .shortage(let shortage): ShortageText.line(shortage, sizing)
        case .mapLimit(let refusal): ShortageText.line(refusal, sizing)
        case .notSupported(let reason): "not supported here: \(reason)"
        case .notFound(let reason): reason
        case .notPermitted(let reason): "not permitted: \(reason)"
        case .inUse(let settings): "\(settings)"
        case .host(let error): "the host refused: \(error)" + advice(error)
        case .refused(let reason): "the host refused: \(reason)"
        case .vmemmap(let error):
            switch error.cause {
            case .host(let cause): "the host refused: \(error)" + advice(cause)
            default: "\(error)" + ShortageText.wayOut(of: error)
            }
        case .node(let failure): "\(failure)"
        case .signal(let number): "ended by signal \(number)"
        case .setting(let error): "\(error)"
        case .brokenKernel(let trial): trial.text
        case .unexpected(let reason): "internal error: \(reason); please report it with the command"
        }
    }

    /// What to do about a refusal, in the same line.
    static func advice(_ error: HostError) -> String {
        switch HostRefusal(error) {
        case .memory:
            "; free memory, take fewer huge pages, or raise a limit: ulimit -v, ulimit -d, its cgroup's, or "
                + "vm.max_map_count (the kernel does not tell which it is)"
        case .fileSystem: "; free memory or take fewer huge pages"
        case .fileSize: "; take fewer huge pages or raise the limit (ulimit -f)"
        case .descriptors: "; close files or raise the limit (ulimit -n)"
        case .threads:
            "; raise the limit on threads (ulimit -u, or pids.max of its cgroup), or on memory for their stacks "
                + "(ulimit -v), or take fewer"
        case .permission: "; run it as root, or where the sandbox allows the call"
        case .support: "; this kernel lacks it: see the limits in the documentation"
        case .unreadable:
            "; this kernel lacks it, or something hides it: run vmemmap where /proc and /sys are the kernel's own"
        case .other: ""
        case .misuse: "; please report it with the command"
        }
    }
}
