import Glibc
import HostMemory
import Testing

/// What an exit test does to its whole process.
enum HostProcess {
    /// Whether frame numbers are shown to this process.
    static let seesFrames = (try? PageMap.showsFrameNumbers()) ?? false

    /// Whether this host maps by PMDs and tells what it does: transparent huge pages, and Linux 6.7.
    static let mapsByPmds: Bool = {
        do throws(HostError) {
            guard try TransparentHugePages.size() == .mebibytes(2) else { return false }
            let page = try HostKernel.mapAnonymous(length: HostLimits.pageSize)
            defer { try? HostKernel.unmap(page) }
            return try TransparentHugePages.pmdMapped(in: page).isEmpty
        } catch {
            return false
        }
    }()

    /// Lowers RLIMIT_AS so that only `room` more can be mapped, or with nil raises it again as far as it goes.
    static func limitAddressSpace(room: ByteCount?) throws {
        let pageSize = HostLimits.pageSize
        var limit = rlimit()
        // SAFETY: the structure is this function's own.
        let isRead = unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0
        try #require(isRead)
        limit.rlim_cur = limit.rlim_max
        if let room {
            HeapReserve.fill()
            limit.rlim_cur = rlim_t((try Statm.current().size.bytes(pageSize: pageSize) + room).rawValue)
        }
        // SAFETY: as above.
        let isSet = unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0
        try #require(isSet)
    }

    /// What the address space grows by over `body`: the least of three tries. A thread that the runtime starts meanwhile maps
    /// its stack once; a leak shows every time.
    static func addressSpaceGrowth(over body: () throws -> Void) throws -> PageCount {
        var least = PageCount(.max)
        for _ in 0..<3 {
            let before = try Statm.current().size
            try body()
            least = min(least, try Statm.current().size - before)
        }
        return least
    }

    /// Repeats `attempt` until it returns true; false if it never did within a minute. For what a busy host may not let
    /// happen the first time.
    static func eventually(_ attempt: () throws -> Bool) rethrows -> Bool {
        let end = HostKernel.monotonicNanoseconds() + 60_000_000_000
        repeat {
            if try attempt() { return true }
        } while HostKernel.monotonicNanoseconds() < end
        return false
    }

    /// Open descriptors of regions' memory files. (Others come and go with the threads of the test library.)
    static func openFiles() -> Int {
        (0..<1024).count { number in
            var name = [UInt8](repeating: 0, count: 256)
            // SAFETY: readlink writes at most the buffer's own length into it.
            let length = unsafe name.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe readlink("/proc/self/fd/\(number)", start, buffer.count)
            }
            return length > 0 && String(decoding: name[..<length], as: UTF8.self).hasPrefix("/memfd:vmemmap")
        }
    }
}

/// Mappings that are only there to use the process's allowance up.
struct Ballast {
    private let area: AddressRange

    /// Maps until no more than `free` mappings are left below vm.max_map_count.
    init(leavingFree free: Int) throws {
        HeapReserve.fill()
        let pageSize = HostLimits.pageSize
        let limit = try HostLimits.maxMapCount().rawValue
        area = try HostKernel.mapAnonymous(length: pageSize * (limit + 4))
        var page = 1
        while true {
            let missing = limit - free - (try ProcMaps.count().rawValue)
            if missing <= 1 { break }
            // Every page with another protection than its neighbours makes two mappings more.
            for _ in 0..<max(1, missing / 2) {
                try HostKernel.protect(
                    AddressRange(start: area.start + pageSize * page, length: pageSize), .none)
                page += 2
            }
        }
    }

    func remove() throws { try HostKernel.unmap(area) }
}
