import HostMemory
import VmemmapEmulator

/// Why a command did not do what was asked: what happened, the figure, the limit, the way out, in one line.
enum ErrorText {
    /// How a command is told how much it is to do.
    enum Sizing: Hashable, Sendable {
        /// `--pages N`
        case pages
        /// `--memory SIZE`
        case memory
        /// A script's `boot memory=SIZE`
        case script
    }

    /// The line for an error.
    ///
    /// - Parameter sizing: what the user has to change where less would fit.
    static func line(_ error: ExperimentError, _ sizing: Sizing = .pages) -> String {
        switch error {
        case .shortage(let shortage): line(shortage, sizing)
        case .notSupported(let reason): "not supported here: \(reason)"
        case .notFound(let reason): reason
        case .notPermitted(let reason): "not permitted: \(reason)"
        case .inUse(let settings): "\(settings)"
        case .host(let error): "the host refused: \(error)" + advice(error)
        case .refused(let reason): "the host refused: \(reason)"
        case .vmemmap(let error):
            if case .host(let cause) = error.cause { "the host refused: \(error)" + advice(cause) } else { "\(error)" }
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

    /// What the user would have to write instead.
    private static func largest(_ shortage: Shortage, _ sizing: Sizing) -> String {
        let memory = shortage.pageSize.bytes * shortage.largest.rawValue
        return switch sizing {
        case .pages: "--pages \(shortage.largest.rawValue)"
        case .memory: "--memory \(memory.argument)"
        case .script: "memory=\(memory.argument)"
        }
    }

    /// What vm.max_map_count would have to be, with room for what the process maps meanwhile.
    private static func limit(_ shortage: Shortage) -> Int? {
        guard let needed = shortage.needed else { return nil }
        let (sum, overflow) = needed.addingReportingOverflow(
            shortage.limit - shortage.available + HostRoom.mappingGrowth.rawValue)
        return overflow ? nil : sum
    }

    private static func raise(_ shortage: Shortage) -> String {
        "raise that limit" + (shortage.lacking.map { " by \(Format.mebibytes(atLeast: $0))" } ?? "")
    }

    private static func line(_ shortage: Shortage, _ sizing: Sizing) -> String {
        let isOne = shortage.asked == HugePageCount(1)
        let asked =
            "\(Format.count(shortage.asked.rawValue, "huge page")) of \(Format.bytes(shortage.pageSize.bytes))"
        let need = "\(asked) \(isOne ? "needs" : "need")"
        let (fits, or) =
            shortage.largest > HugePageCount(0)
            ? ("\(shortage.largest.rawValue) fit: use \(largest(shortage, sizing))", ", or") : ("not one fits", ";")
        switch shortage.resource {
        case .mappings:
            let needed = shortage.needed.map { Format.count($0) } ?? "more than can be counted"
            let most = Int(Int32.max)
            let limit = limit(shortage)
            let wayOut =
                if let limit, limit <= most {
                    "\(or) raise it (as root: sysctl vm.max_map_count=\(limit), or --raise-map-limit of savings"
                        + (HugePageSize.ofBench.contains(shortage.pageSize) ? " and bench)" : ")")
                } else {
                    "; it cannot be raised so far, the most is \(most)"
                }
            let atMost = shortage.limit >= most ? "at most " : ""
            return "\(need) \(needed) mappings, but vm.max_map_count is \(atMost)\(shortage.limit), "
                + "\(shortage.available) of them free; \(fits)\(wayOut)"
        case .memory(let source):
            let needed = shortage.needed.map { Format.bytes(ByteCount($0)) } ?? "more memory than can be counted"
            return "\(need) \(needed), but \(source) leaves \(Format.bytes(ByteCount(shortage.available))); "
                + "\(fits)\(or) \(source.contains("limit") ? raise(shortage) : "free memory")"
        case .contiguousMemory:
            return
                "\(asked) \(isOne ? "is" : "are") to be allocated by the host in one piece each, and it found not one, "
                + "with \(Format.bytes(ByteCount(shortage.available))) of memory available in smaller pieces (as root: "
                + "sysctl vm.compact_memory=1, or reserve them at boot: "
                + "hugepagesz=\(shortage.pageSize.bytes.argument) "
                + "hugepages=\(shortage.asked.rawValue))"
        }
    }
}
