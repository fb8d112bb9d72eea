internal import Glibc
internal import SystemPackage

/// A limit of this process, lowered for a while: the host refuses for real.
public struct LoweredLimit: Sendable {
    /// Which limit.
    public enum Resource: Sendable {
        /// RLIMIT_AS: bytes of address space.
        case addressSpace
        /// RLIMIT_NOFILE: descriptors.
        case openFiles

        fileprivate var number: __rlimit_resource_t {
            switch self {
            case .addressSpace: __rlimit_resource_t(RLIMIT_AS.rawValue)
            case .openFiles: __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            }
        }
    }

    private let resource: Resource
    private let original: rlim_t

    /// Lowers a limit to `limit` or what it was, if that is less. The corresponding C functions are `getrlimit` and `setrlimit`.
    public init(_ resource: Resource, to limit: Int) throws(HostError) {
        var limits = rlimit()
        _ = try HostKernel.call(.limit, .process) {
            // SAFETY: the structure is this function's own.
            unsafe getrlimit(resource.number, &limits) == 0 ? 0 : -Int64(errno)
        }
        self.resource = resource
        original = limits.rlim_cur
        try Self.set(resource, min(limits.rlim_cur, rlim_t(max(0, limit))))
    }

    /// Puts it back.
    public func lift() throws(HostError) { try Self.set(resource, original) }

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
public enum OpenFiles {
    /// How many are open, and the lowest number that is above all of them. From /proc/self/fd.
    public static func current() throws(HostError) -> (count: Int, end: Int) {
        var count = 0
        var end = 0
        // SAFETY: the directory is closed below and used by nobody else; an entry is valid until the next is read.
        guard let directory = unsafe opendir("/proc/self/fd") else {
            throw HostError(Errno(rawValue: errno), .open, .file("/proc/self/fd"))
        }
        let own = unsafe Int(dirfd(directory))
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard let number = Int(name), number != own else { continue }
            count += 1
            end = max(end, number + 1)
        }
        unsafe closedir(directory)
        return (count, end)
    }
}
