import SystemPackage

/// The memory controller's limit on the cgroup this process is in and on those above it, cgroup v1 or v2.
enum CgroupMemory {
    /// What a limit leaves.
    struct Headroom: Equatable {
        let room: ByteCount
        let limit: ByteCount
    }

    /// The least room that any of them leaves; nil where none limits, or none can be read.
    static func headroom() -> Headroom? {
        guard let membership = try? HostKernel.readText("/proc/self/cgroup") else { return nil }
        return hierarchies(membership).compactMap { least(in: $0) { try? HostKernel.readText($0) } }
            .min { $0.room < $1.room }
    }

    /// A hierarchy with a memory controller: where it is mounted, this process's place in it, and what its files are
    /// called.
    struct Hierarchy: Equatable {
        let root: FilePath
        let path: FilePath
        let limit: String
        let used: String
        let reclaimable: String
    }

    /// The places that /proc/self/cgroup names: the `0::/path` line (v2) and the one of the controller `memory` (v1).
    /// Pure.
    static func hierarchies(_ membership: String) -> [Hierarchy] {
        membership.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2].hasPrefix("/") else { return nil }
            if parts[0] == "0", parts[1].isEmpty {
                let root: FilePath = "/sys/fs/cgroup"
                return Hierarchy(
                    root: root, path: root.appending(String(parts[2].dropFirst())), limit: "memory.max",
                    used: "memory.current", reclaimable: "inactive_file")
            }
            guard parts[1].split(separator: ",").contains("memory") else { return nil }
            let root: FilePath = "/sys/fs/cgroup/memory"
            return Hierarchy(
                root: root, path: root.appending(String(parts[2].dropFirst())), limit: "memory.limit_in_bytes",
                used: "memory.usage_in_bytes", reclaimable: "total_inactive_file")
        }
    }

    /// The least room in a hierarchy, from this process's place in it up to the root. Pure.
    ///
    /// - Parameter read: the text of a file; nil where there is none.
    static func least(in hierarchy: Hierarchy, read: (FilePath) -> String?) -> Headroom? {
        func number(_ file: String, in folder: FilePath) -> Int? {
            read(folder.appending(file)).flatMap { Int($0.split(whereSeparator: \.isWhitespace).first ?? "") }
        }
        var path = hierarchy.path
        var least: Headroom?
        while path.starts(with: hierarchy.root) {
            if let limit = number(hierarchy.limit, in: path), let used = number(hierarchy.used, in: path),
                let statistics = read(path.appending("memory.stat"))
            {
                // Clean page cache counts as used but gives way.
                let reclaimable = ProcFields(statistics).number(hierarchy.reclaimable) ?? 0
                let room = ByteCount(max(0, limit - max(0, used - reclaimable)))
                if room < least?.room ?? ByteCount(.max) { least = Headroom(room: room, limit: ByteCount(limit)) }
            }
            if !path.removeLastComponent() { break }
        }
        return least
    }
}
