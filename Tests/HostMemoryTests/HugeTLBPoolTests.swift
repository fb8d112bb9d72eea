@testable import HostLab
import SystemPackage
import Testing

@testable import HostMemory

@Suite("The host's own huge pages")
struct HugeTLBPoolTests {
    private static let files = [
        "nr_hugepages": "512\n", "free_hugepages": "500\n", "resv_hugepages": "3\n", "surplus_hugepages": "2\n",
        "nr_overcommit_hugepages": "64\n",
    ]

    @Test("A pool is the files of its folder")
    func pool() throws {
        let pool = try #require(HugeTLBPool(pageSize: .mebibytes(2)) { Self.files[$0] })
        #expect(pool.pageSize == .mebibytes(2))
        #expect(pool.pages == HostHugePageCount(512) && pool.free == HostHugePageCount(500))
        #expect(pool.reserved == HostHugePageCount(3) && pool.surplus == HostHugePageCount(2))
        #expect(pool.overcommit == HostHugePageCount(64))
    }

    @Test("A file that is missing or holds something else hides its own count alone", arguments: files.keys.sorted())
    func damaged(_ file: String) throws {
        func counts(_ files: [String: String]) throws -> [HostHugePageCount?] {
            let pool = try #require(HugeTLBPool(pageSize: .mebibytes(2)) { files[$0] })
            return [pool.pages, pool.free, pool.reserved, pool.surplus, pool.overcommit]
        }
        let whole = try counts(Self.files)
        for text in [nil, "", "\n", "-1\n", "x\n", "1 2\n", "1.5\n", "99999999999999999999\n"] {
            var files = Self.files
            files[file] = text
            let damaged = try counts(files)
            #expect(damaged.count { $0 == nil } == 1, "\(file): \(text ?? "none")")
            #expect(zip(damaged, whole).allSatisfy { $0 == nil || $0 == $1 })
        }
    }

    @Test("Where there is no file there is no pool")
    func absent() { #expect(HugeTLBPool(pageSize: .mebibytes(2)) { _ in nil } == nil) }

    @Test("More huge pages than any memory holds are none")
    func tooMany() throws {
        var files = Self.files
        files["nr_hugepages"] = "\(Int.max)"
        let pool = try #require(HugeTLBPool(pageSize: .mebibytes(2)) { files[$0] })
        #expect(pool.pages == nil && pool.persistent == nil)
    }

    @Test("This host's pools are those it has folders for")
    func all() throws {
        // Its files are read one by one: root's tests of the pools, in another run, wait meanwhile.
        let lock =
            Privilege.isRoot
            ? try SettingLock(HugeTLBPool.lock, for: "the pools", patienceNanoseconds: 60_000_000_000) : nil
        defer { lock?.release() }
        let pools = try #require(try HugeTLBPool.all())
        for pool in pools {
            #expect(Self.hasFolder(pool.pageSize))
            #expect(try #require(pool.free) <= #require(pool.pages))
        }
        if let meminfo = try HugeTLBMeminfo.current() {
            #expect(pools.contains { $0.pageSize == meminfo.pageSize })
        }
        for size in [ByteCount.mebibytes(2), .gibibytes(1)] where Self.hasFolder(size) {
            #expect(pools.contains { $0.pageSize == size })
        }
    }

    @Test("Where /proc/meminfo tells of a pool and no folder does, the folders are hidden")
    func hidden() throws {
        let meminfo = try #require(HugeTLBMeminfo("Hugepagesize: 2048 kB\nHugePages_Total: 512\n"))
        #expect(HugeTLBPool.all([], meminfo) == nil)
        #expect(HugeTLBPool.all([], nil) == [])
        let pool = try #require(HugeTLBPool(pageSize: .mebibytes(2)) { _ in "0" })
        #expect(HugeTLBPool.all([pool], meminfo) == [pool])
    }

    private static func hasFolder(_ size: ByteCount) -> Bool {
        let name = "hugepages-\(size.rawValue / 1024)kB/nr_hugepages"
        return (try? HostKernel.readText(FilePath("/sys/kernel/mm/hugepages/\(name)"))) != nil
    }

    @Test(
        "Of several nodes the first is named, one alone is not",
        arguments: [
            ("0\n", nil), ("0-1\n", 0), ("0,2\n", 0), ("1-3,5\n", 1), ("3\n", nil), ("", nil), ("\n", nil),
            ("x-1", nil),
            ("99999999999999999999-100000000000000000000", nil),
        ] as [(String, Int?)])
    func nodes(_ list: String, _ node: Int?) {
        #expect(HugeTLBPool.firstOfSeveral(list) == node)
    }

    @Test("HugeTLB's lines of meminfo, with and without the memory of all pools")
    func meminfo() throws {
        let text = "MemTotal: 24684096 kB\nHugePages_Total:      64\nHugePages_Free: 64\nHugepagesize:       2048 kB\n"
        let old = try #require(HugeTLBMeminfo(text))
        #expect(old.pageSize == .mebibytes(2) && old.pages == HostHugePageCount(64) && old.memory == nil)
        #expect(HugeTLBMeminfo(text + "Hugetlb:          131072 kB\n")?.memory == .mebibytes(128))
        #expect(HugeTLBMeminfo("MemTotal: 24684096 kB\nAnonHugePages: 0 kB\n") == nil)
    }

    @Test("Pages of struct pages are counted since 6.11, and their sum is what falls")
    func memmap() throws {
        let counts = try #require(
            MemmapCounts("nr_free_pages 5915\nnr_memmap_pages 8864\nnr_memmap_boot_pages 89440\nballoon_inflate 0\n"))
        #expect(counts.memmap == PageCount(8864) && counts.memmapBoot == PageCount(89440))
        #expect(counts.total == PageCount(98304))
        for text in [
            "nr_free_pages 5915\n", "nr_memmap_pages 1\n", "nr_memmap_pages x\nnr_memmap_boot_pages 1\n",
            "nr_memmap_pages -1\nnr_memmap_boot_pages 1\n", "nr_memmap_pages \(Int.max)\nnr_memmap_boot_pages 1\n",
        ] {
            #expect(MemmapCounts(text) == nil, "\(text)")
        }
    }

    @Test(
        "The sysctl says that the kernel was built with it, and whether it is on",
        arguments: [("0\n", false), ("1\n", true)])
    func sysctl(_ text: String, _ isOn: Bool) {
        let found = HVOConfiguration(sysctl: text, bootConfig: "", hasCompressedConfig: true)
        #expect(found.isConfigured == true && found.source == .sysctl && found.isOn == isOn)
    }

    @Test(
        "Without it, the configuration in /boot does, and without that nothing",
        arguments: [
            ("CONFIG_HUGETLB_PAGE=y\nCONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP=y\n", true),
            ("CONFIG_HUGETLB_PAGE_FREE_VMEMMAP=y\n", true),
            ("# CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP is not set\n", false),
            ("CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP_DEFAULT_ON=y\n", false), ("", nil), ("\n# nothing\n", nil),
            (nil, nil),
        ] as [(String?, Bool?)])
    func bootConfig(_ text: String?, _ isConfigured: Bool?) {
        let found = HVOConfiguration(sysctl: nil, bootConfig: text, hasCompressedConfig: false)
        #expect(found.isConfigured == isConfigured && found.isOn == nil)
        #expect(found.source == (isConfigured == nil ? .none : .bootConfig))
        // The one beside the modules speaks where that in /boot does not.
        let beside = HVOConfiguration(
            sysctl: nil, bootConfig: text, modulesConfig: "# CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP is not set\n",
            hasCompressedConfig: false)
        #expect(beside.isConfigured == (isConfigured ?? false))
        #expect(beside.source == (isConfigured == nil ? .modulesConfig : .bootConfig))
    }
}

@Suite("The rule of a huge page's flags")
struct HugePageFlagsRuleTests {
    /// As Linux 6.18 shows a huge page of a pool, mapped: also uptodate, mmap and anon.
    private static let head: UInt64 = 0x2_9808
    private static let tail: UInt64 = 0x3_1808
    private static let kept = [head] + Array(repeating: tail, count: 511)

    @Test("The first is head and huge, all others tail and huge, whatever else they are")
    func keeps() {
        #expect(HugePageFlagsRule.violations(Self.kept).isEmpty)
        #expect(HugePageFlagsRule.violations([1 << 15 | 1 << 17, 1 << 16 | 1 << 17]).isEmpty)
    }

    @Test(
        "Any other first or later page breaks it",
        arguments: [
            (0, 0), (0, 1 << 15), (0, 1 << 17), (0, tail), (1, 0), (1, 1 << 16), (1, 1 << 17), (1, head),
            (511, head | tail),
        ] as [(Int, UInt64)])
    func breaks(_ page: Int, _ flags: UInt64) {
        var words = Self.kept
        words[page] = flags
        #expect(HugePageFlagsRule.violations(words) == [.init(page: page, flags: flags)])
        #expect("\(HugePageFlagsRule.Violation(page: page, flags: flags))".contains("page \(page) "))
    }

    @Test("A head where a vmemmap page starts is a fake one shown; anywhere else, or as the first, it is not")
    func fakeHeads() {
        var words = Self.kept
        for page in stride(from: 64, to: 512, by: 64) { words[page] = Self.head }
        let violations = HugePageFlagsRule.violations(words)
        #expect(violations.map(\.page) == [64, 128, 192, 256, 320, 384, 448])
        #expect(violations.allSatisfy { $0.isFakeHead(structPagesPerVmemmapPage: 64) })
        for (page, flags) in [(0, Self.head), (65, Self.head), (64, 1 << 17), (64, 0)] {
            #expect(!HugePageFlagsRule.Violation(page: page, flags: flags).isFakeHead(structPagesPerVmemmapPage: 64))
        }
    }
}
