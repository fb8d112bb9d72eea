import Glibc
import SystemPackage

/// The limits of this process's own memory (ulimit), and what is left of them.
package enum ProcessLimits {
    /// RLIMIT_AS less the address space that is mapped; nil where there is no limit.
    package static func addressSpaceLeft() throws(HostError) -> ByteCount? {
        guard let limit = try limit(RLIMIT_AS) else { return nil }
        return max(.zero, limit - (try Statm.current().size.bytes(pageSize: HostLimits.pageSize)))
    }

    /// RLIMIT_DATA less the private writable memory that is mapped (VmData); nil where there is no limit.
    package static func privateMemoryLeft() throws(HostError) -> ByteCount? {
        guard let limit = try limit(RLIMIT_DATA) else { return nil }
        let path: FilePath = "/proc/self/status"
        guard let used = ProcFields(try HostKernel.readText(path)).kibibytes("VmData") else {
            throw HostError(unreadable: path.string)
        }
        return max(.zero, limit - used)
    }

    /// Whether the process's memory has a limit of its own: RLIMIT_AS or RLIMIT_DATA.
    package static func limitMemory() throws(HostError) -> Bool {
        let limits = [try limit(RLIMIT_AS), try limit(RLIMIT_DATA)]
        return limits.contains { $0 != nil }
    }

    /// RLIMIT_STACK; nil where there is no limit.
    package static func stack() throws(HostError) -> ByteCount? { try limit(RLIMIT_STACK) }

    /// The address space of a new thread's stack, its guard included: RLIMIT_STACK, or where there is none what glibc
    /// takes instead.
    package static func threadStack() throws(HostError) -> ByteCount {
        (try stack() ?? .mebibytes(2)) + HostLimits.pageSize
    }

    /// Whether the process's own limits leave no room for the stack of a new thread.
    static func refuseThreadStack() -> Bool {
        guard let stack = try? threadStack() else { return false }
        let left = [try? addressSpaceLeft(), try? privateMemoryLeft()].compactMap { $0 ?? nil }
        return left.contains { $0 < stack }
    }

    /// The corresponding C function is `getrlimit`.
    private static func limit(_ resource: __rlimit_resource) throws(HostError) -> ByteCount? {
        var limits = rlimit()
        _ = try HostKernel.call(.limit, .process) {
            // SAFETY: the structure is this function's own.
            unsafe getrlimit(__rlimit_resource_t(resource.rawValue), &limits) == 0 ? 0 : -Int64(errno)
        }
        // RLIM_INFINITY, and whatever else is no bound for an address space.
        return Int(exactly: limits.rlim_cur).map { ByteCount($0) }
    }
}
