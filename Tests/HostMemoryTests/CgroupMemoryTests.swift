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

    @Test("On this host the headroom reads, or nothing limits")
    func headroom() {
        if let headroom = CgroupMemory.headroom() { #expect(headroom >= .zero) }
    }
}
