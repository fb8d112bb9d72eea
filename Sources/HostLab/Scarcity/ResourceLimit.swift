import Glibc
package import HostMemory
import SystemPackage

/// A limit of this process, lowered until it is lifted or nobody holds it any more: the host refuses for real.
package final class LoweredLimit: Sendable {
    private enum Resource {
        case addressSpace
        case openFiles

        var number: __rlimit_resource_t {
            switch self {
            case .addressSpace: __rlimit_resource_t(RLIMIT_AS.rawValue)
            case .openFiles: __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            }
        }
    }

    private let resource: Resource
    /// Nil once it is put back.
    private let original: Guarded<rlim_t?>

    /// Fills ``HeapReserve``, and then lowers RLIMIT_AS until only `room` more can be mapped.
    package static func addressSpace(leaving room: ByteCount) throws(HostError) -> LoweredLimit {
        HeapReserve.fill()
        let used = try Statm.current().size.bytes(pageSize: HostLimits.pageSize)
        return try LoweredLimit(.addressSpace, to: used.adding(room)?.rawValue ?? .max)
    }

    /// Lowers RLIMIT_NOFILE to `count`, or 0 if that is below it. What is open stays open.
    package static func openFiles(to count: Int) throws(HostError) -> LoweredLimit {
        try LoweredLimit(.openFiles, to: count)
    }

    /// Lowers a limit to `limit` or what it was, if that is less. The corresponding C functions are `getrlimit` and
    /// `setrlimit`.
    private init(_ resource: Resource, to limit: Int) throws(HostError) {
        var limits = rlimit()
        _ = try HostKernel.call(.limit, .process) {
            // SAFETY: the structure is this function's own.
            unsafe getrlimit(resource.number, &limits) == 0 ? 0 : -Int64(errno)
        }
        self.resource = resource
        original = Guarded(limits.rlim_cur)
        try Self.set(resource, min(limits.rlim_cur, rlim_t(max(0, limit))))
    }

    deinit { try? lift() }

    /// Puts it back, unless that is done.
    package func lift() throws(HostError) {
        try original.withLock { (original) throws(HostError) in
            guard let limit = original else { return }
            try Self.set(resource, limit)
            original = nil
        }
    }

    private static func set(_ resource: Resource, _ limit: rlim_t) throws(HostError) {
        var limits = rlimit()
        _ = try HostKernel.call(.limit, .process) {
            // SAFETY: the structure is this function's own.
            unsafe getrlimit(resource.number, &limits) == 0 ? 0 : -Int64(errno)
        }
        limits.rlim_cur = limit
        _ = try HostKernel.call(.limit, .process) {
            // SAFETY: as above.
            unsafe setrlimit(resource.number, &limits) == 0 ? 0 : -Int64(errno)
        }
    }
}

/// The descriptors of this process.
package enum OpenFiles {
    /// Whether a descriptor is one that Dispatch opens and closes when it likes, and nothing here does: it would pass
    /// for one lost or found. Event queues and timers, and /proc/THREAD/stat, by which Dispatch sees once a second
    /// whether its threads are at work.
    static func isRuntimesOwn(_ target: String) -> Bool {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 4, parts[0] == "", parts[1] == "proc", parts[3] == "stat" { return Int(parts[2]) != nil }
        return ["anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[timerfd]"].contains(target)
    }

    /// How many are open, what the runtime opens for itself left out. From /proc/self/fd.
    package static func count() throws(HostError) -> Int {
        let folder: FilePath = "/proc/self/fd"
        var count = 0
        for number in try HostKernel.names(in: folder) where number.allSatisfy(\.isNumber) {
            do throws(HostError) {
                if try !isRuntimesOwn(HostKernel.readLink(folder.appending(number))) { count += 1 }
            } catch {
                // Closed since: at least the one that the folder was read by.
                guard error.errno == .noSuchFileOrDirectory else { throw error }
            }
        }
        return count
    }
}
