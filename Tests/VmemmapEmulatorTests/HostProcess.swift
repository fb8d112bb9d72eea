import Glibc
import HostMemory
import Testing

/// What an exit test does to its whole process.
enum HostProcess {
    /// vm.max_map_count.
    static let mappingLimit = (try? HostLimits.maxMapCount().rawValue) ?? 0

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

    /// What the address space grows by over `body`: the least of three tries. A thread that the runtime starts
    /// meanwhile maps its stack once; a leak shows every time.
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
