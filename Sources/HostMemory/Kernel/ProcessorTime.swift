import CSystemShims
import Glibc

/// Time that this process has spent on processors, all its threads together.
package struct ProcessorTime: Hashable, Sendable {
    /// In its own code, in nanoseconds; the kernel tells whole microseconds.
    package let userNanoseconds: Int
    /// In the kernel on its behalf.
    package let systemNanoseconds: Int

    /// Time spent so far. The corresponding C function is `getrusage` with RUSAGE_SELF.
    package static func current() throws(HostError) -> ProcessorTime {
        var usage = rusage()
        _ = try HostKernel.call(.usage, .process) {
            // SAFETY: the result is this function's own.
            unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0 ? 0 : -Int64(errno)
        }
        return ProcessorTime(
            userNanoseconds: nanoseconds(usage.ru_utime), systemNanoseconds: nanoseconds(usage.ru_stime))
    }

    /// What has been spent since `earlier`.
    package static func - (later: ProcessorTime, earlier: ProcessorTime) -> ProcessorTime {
        ProcessorTime(
            userNanoseconds: later.userNanoseconds - earlier.userNanoseconds,
            systemNanoseconds: later.systemNanoseconds - earlier.systemNanoseconds)
    }

    private init(userNanoseconds: Int, systemNanoseconds: Int) {
        self.userNanoseconds = userNanoseconds
        self.systemNanoseconds = systemNanoseconds
    }

    private static func nanoseconds(_ time: timeval) -> Int { time.tv_sec * 1_000_000_000 + time.tv_usec * 1000 }
}
