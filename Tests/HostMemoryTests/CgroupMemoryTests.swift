import SystemPackage
import Testing

@testable import HostMemory

@Suite("Membership of cgroups")
struct CgroupMemoryTests {
    @Test("The one line of version 2 gives the place in the unified hierarchy")
    func version2() throws {
        let hierarchies = CgroupMemory.hierarchies("0::/user.slice/user-1000.slice/session-2.scope\n")
        let found = try #require(hierarchies.first)
        #expect(hierarchies.count == 1)
        #expect(found.root == "/sys/fs/cgroup")
        #expect(found.path == "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope")
        #expect((found.limit, found.used, found.reclaimable) == ("memory.max", "memory.current", "inactive_file"))
    }

    @Test("Version 1 gives the place of the memory controller, alone or among others")
    func version1() throws {
        for controllers in ["memory", "cpu,memory", "memory,hugetlb"] {
            let hierarchies = CgroupMemory.hierarchies(
                "12:pids:/a\n4:\(controllers):/docker/4f2\n1:name=systemd:/init\n")
            let found = try #require(hierarchies.first)
            #expect(hierarchies.count == 1)
            #expect(found.path == "/sys/fs/cgroup/memory/docker/4f2")
            #expect(found.limit == "memory.limit_in_bytes")
            #expect(found.reclaimable == "total_inactive_file")
        }
    }

    @Test("A hybrid host has both")
    func hybrid() {
        let hierarchies = CgroupMemory.hierarchies("9:memory:/x\n0::/y\n")
        #expect(hierarchies.map(\.path) == ["/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/y"])
    }

    @Test("The root cgroup is its hierarchy's root")
    func root() throws {
        let found = try #require(CgroupMemory.hierarchies("0::/\n").first)
        #expect(found.path == found.root)
        #expect(found.path.starts(with: found.root))
    }

    @Test("A path may have colons and spaces in it")
    func oddPath() throws {
        let found = try #require(CgroupMemory.hierarchies("0::/a:b c/d::e\n").first)
        #expect(found.path == "/sys/fs/cgroup/a:b c/d::e")
    }

    @Test(
        "Lines of another form are passed over",
        arguments: [
            "", "\n", "0", "0:", "0::", "0:::", "0::relative", "4:memory", "4:memory:", "1:memoryx:/a", "::/", "0 :: /",
            "5:cpu,cpuacct:/a",
        ])
    func malformed(text: String) {
        #expect(CgroupMemory.hierarchies(text).isEmpty)
    }

    private func headroom(_ hierarchy: CgroupMemory.Hierarchy, _ files: [String: String]) -> CgroupMemory.Headroom? {
        CgroupMemory.least(in: hierarchy) { path in files[path.string] }
    }

    @Test("The limit that is told is the one that leaves the least room, not the lowest")
    func limit() throws {
        let hierarchy = try #require(CgroupMemory.hierarchies("0::/a/b\n").first)
        let files = level("/a/b", "1000", 100).merging(level("/a", "5000", 4900)) { $1 }
        let found = headroom(hierarchy, files)
        #expect(found == CgroupMemory.Headroom(room: ByteCount(100), limit: ByteCount(5000)))
    }

    /// The room that files with these texts leave in `0::/a/b`.
    private func room(_ files: [String: String]) throws -> ByteCount? {
        let hierarchy = try #require(CgroupMemory.hierarchies("0::/a/b\n").first)
        return headroom(hierarchy, files)?.room
    }

    private func level(_ path: String, _ limit: String, _ used: Int, inactive: Int = 0) -> [String: String] {
        let folder = "/sys/fs/cgroup" + path
        let statistics = "anon 9\nfile 9\nactive_file 9\ninactive_file \(inactive)\ntotal_inactive_file 9\n"
        return [
            "\(folder)/memory.max": "\(limit)\n", "\(folder)/memory.current": "\(used)\n",
            "\(folder)/memory.stat": statistics,
        ]
    }

    @Test("The room is what the tightest of a cgroup and those above it leaves, clean page cache counted as free")
    func least() throws {
        let inner = level("/a/b", "1000", 600, inactive: 250)
        #expect(try room(inner) == ByteCount(650))
        #expect(try room(inner.merging(level("/a", "2000", 1900)) { $1 }) == ByteCount(100))
        #expect(try room(inner.merging(level("/a", "9000", 1900)) { $1 }) == ByteCount(650))
        #expect(try room(inner.merging(level("", "700", 699)) { $1 }) == ByteCount(1))
        // One without a limit, and one beside the path.
        #expect(try room(inner.merging(level("/a", "max", 1900)) { $1 }) == ByteCount(650))
        #expect(try room(inner.merging(level("/c", "10", 10)) { $1 }) == ByteCount(650))
    }

    @Test("More used than there may be leaves nothing, and a cache larger than what is used no more than the limit")
    func bounds() throws {
        #expect(try room(level("/a/b", "1000", 1500)) == .zero)
        #expect(try room(level("/a/b", "1000", 100, inactive: 500)) == ByteCount(1000))
    }

    @Test("Without a limit, or without one of its files, a level limits nothing")
    func unlimited() throws {
        #expect(try room([:]) == nil)
        #expect(try room(level("/a/b", "max", 100)) == nil)
        for missing in ["memory.max", "memory.current", "memory.stat"] {
            #expect(try room(level("/a/b", "1000", 100).filter { !$0.key.hasSuffix(missing) }) == nil)
        }
    }
}
