import CSystemShims
import Glibc
package import HostMemory
import SystemPackage

extension HostKernel {
    /// A process that this one has started.
    struct StartedProcess {
        let processID: Int32
        /// The writing end of its standard input, close-on-exec.
        let input: FileDescriptor
        /// The reading end of its standard output, close-on-exec.
        let output: FileDescriptor
    }

    /// The signals that a process is started with.
    enum StartSignals {
        /// None blocked, as a shell would leave them.
        case none
        /// All blocked: only SIGKILL ends it.
        case allBlocked
        /// SIGINT and SIGQUIT blocked: a terminal's keys send them to the whole job, whose end the parent sees to.
        case keysBlocked
    }

    /// The number of the descriptor that a started process gets besides its standard streams.
    static let passedDescriptor: CInt = 3

    /// Starts `program`, with pipes for its standard input and output. The corresponding C functions are `pipe2` and
    /// `posix_spawn`.
    ///
    /// - Parameters:
    ///   - program: its file.
    ///   - arguments: without the program's own name.
    ///   - passed: a descriptor that it gets as ``passedDescriptor``.
    ///   - mergesErrors: whether what it writes to standard error goes where its standard output goes.
    static func start(
        _ program: FilePath, _ arguments: [String], passing passed: FileDescriptor? = nil,
        signals: StartSignals = .none, mergesErrors: Bool = false
    ) throws(HostError) -> StartedProcess {
        let input = try pipe()
        defer { try? close(input.readEnd) }
        do throws(HostError) {
            let output = try pipe()
            defer { try? close(output.writeEnd) }
            do throws(HostError) {
                var streams = [(input.readEnd.rawValue, STDIN_FILENO), (output.writeEnd.rawValue, STDOUT_FILENO)]
                if mergesErrors { streams.append((output.writeEnd.rawValue, STDERR_FILENO)) }
                if let passed { streams.append((passed.rawValue, passedDescriptor)) }
                let pid = try spawn(program, arguments, streams, signals)
                return StartedProcess(processID: pid, input: input.writeEnd, output: output.readEnd)
            } catch {
                try? close(output.readEnd)
                throw error
            }
        } catch {
            try? close(input.writeEnd)
            throw error
        }
    }

    private static func pipe() throws(HostError) -> (readEnd: FileDescriptor, writeEnd: FileDescriptor) {
        do {
            return try FileDescriptor.pipe(options: .closeOnExec)
        } catch {
            throw HostError(error, .open, .file("a pipe"))
        }
    }

    /// - Parameter streams: descriptors of this process's, each with its number in the new one, which is not yet taken
    ///   there by a later one.
    private static func spawn(
        _ program: FilePath, _ arguments: [String], _ streams: [(from: CInt, to: CInt)], _ signals: StartSignals
    ) throws(HostError) -> Int32 {
        var pid: pid_t = 0
        // SAFETY: strdup gives C strings of their own, freed below, and the array ends with nil.
        let strings = unsafe ([program.string] + arguments).map { unsafe strdup($0) } + [nil]
        // SAFETY: they are what strdup gave.
        defer { unsafe strings.forEach { unsafe free($0) } }
        // Its parent maps a stack for it, for a moment.
        _ = try mappingCall(.startProcess, .file(program.string)) {
            // SAFETY: here and below, the structures are this function's own, made before they are used and destroyed
            // after it; path and arguments are C strings that live for the call, and nobody in this process changes its
            // environment.
            var actions = unsafe posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
            var blocked = sigset_t()
            var all = sigset_t()
            unsafe posix_spawn_file_actions_init(&actions)
            unsafe posix_spawnattr_init(&attributes)
            defer {
                unsafe posix_spawn_file_actions_destroy(&actions)
                unsafe posix_spawnattr_destroy(&attributes)
            }
            unsafe sigfillset(&all)
            _ = unsafe signals == .allBlocked ? sigfillset(&blocked) : sigemptyset(&blocked)
            if signals == .keysBlocked { _ = unsafe (sigaddset(&blocked, SIGINT), sigaddset(&blocked, SIGQUIT)) }
            unsafe posix_spawnattr_setsigmask(&attributes, &blocked)
            unsafe posix_spawnattr_setsigdefault(&attributes, &all)
            unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
            for stream in streams {
                let error = unsafe posix_spawn_file_actions_adddup2(&actions, stream.from, stream.to)
                if error != 0 { return -Int64(error) }
            }
            return unsafe program.withPlatformString { path in
                -Int64(unsafe posix_spawn(&pid, path, &actions, &attributes, strings, vme_environment()))
            }
        }
        return pid
    }

    /// Has this process end when its parent does, however that ends: the thread that started it, to be exact. The
    /// corresponding C function is `prctl` with PR_SET_PDEATHSIG.
    package static func endWithParent() throws(HostError) {
        _ = try call(.startProcess, .process) { vme_end_with_parent() }
    }

    /// Whether a child has ended; then it is no zombie either. The corresponding C function is `waitpid` with WNOHANG.
    static func hasEnded(_ child: Int32) -> Bool {
        // ECHILD: the program that this is a part of has taken it in.
        waitpid(child, nil, WNOHANG) != 0 && errno != EINTR
    }

    /// Waits for the end of a child. Returns its exit code, or 128 and the number of the signal that ended it. The
    /// corresponding C function is `waitpid`.
    static func awaitExit(of child: Int32) throws(HostError) -> Int32 {
        var status: CInt = 0
        _ = try callThroughSignals(.wait, .process) {
            // SAFETY: the status is this function's own.
            unsafe waitpid(child, &status, 0) < 0 ? -Int64(errno) : 0
        }
        // WIFEXITED, WEXITSTATUS and WTERMSIG are macros with casts.
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
    }

    /// A process that has more mappings than `mappings`, this one aside; nil where /proc shows none.
    static func process(above mappings: Int) -> Int32? {
        let processes = ((try? names(in: "/proc")) ?? []).compactMap { Int32($0) }
        return processes.first { $0 != processID && hasMore(than: mappings, $0) }
    }

    private static func hasMore(than mappings: Int, _ process: Int32) -> Bool {
        let folder = FilePath("/proc/\(process)")
        // A mapping has a page at least, so that most processes need not be counted.
        guard let pages = try? readNumber(folder.appending("statm")), pages > mappings else { return false }
        var lines = 0
        // Of a process that ends meanwhile, what was read counts.
        try? ProcLines.forEach(folder.appending("maps"), until: { lines > mappings }) { (_) throws(HostError) in
            lines += 1
        }
        return lines > mappings
    }
}
