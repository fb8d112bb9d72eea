import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("Pool scripts")
struct PoolScriptTests {
    @Test(
        "Lines are read as they are meant",
        arguments: [
            ("nr_hugepages 2M 512", .pool(.twoMebibytes, HugePageCount(512), node: nil)),
            ("  nr_hugepages   1G 0  # none", .pool(.oneGibibyte, HugePageCount(0), node: nil)),
            ("nr_hugepages 2M 5 node=1", .pool(.twoMebibytes, HugePageCount(5), node: 1)),
            ("nr_overcommit_hugepages 2M 3", .overcommit(.twoMebibytes, HugePageCount(3))),
            ("alloc 2M", .allocate(.twoMebibytes, HugePageCount(1))),
            ("alloc 1G 2", .allocate(.oneGibibyte, HugePageCount(2))),
            ("free all", .free(nil)), ("free 512", .free(.frame(PageFrameNumber(512)))),
            ("poison 0x1ff", .poison(.frame(PageFrameNumber(511)))),
            ("poison #2+7", .poison(.allocated(2, offset: 7))), ("dissolve #1", .dissolve(.allocated(1, offset: 0))),
            ("demote 0", .demote(.frame(PageFrameNumber(0)))), ("budget off", .budget(nil, isShared: false)),
            ("budget 100", .budget(PageCount(100), isShared: false)),
            ("budget 100 shared", .budget(PageCount(100), isShared: true)),
            ("demote 1G 2", .demotePages(.oneGibibyte, HugePageCount(2), node: nil)),
            ("demote 1G 2 node=0", .demotePages(.oneGibibyte, HugePageCount(2), node: 0)),
            ("demote_size 1G 2M", .demoteSize(.oneGibibyte, to: .twoMebibytes)),
            ("cgroup 2M max=3", .cgroup(.twoMebibytes, 3, isOfReservations: false)),
            ("cgroup 1G rsvd.max=off", .cgroup(.oneGibibyte, nil, isOfReservations: true)),
            ("touch 2M 3", .touch(.twoMebibytes, HugePageCount(3))), ("touch 1G", .touch(.oneGibibyte, 1)),
            ("hotplug 256M", .hotplug(.mebibytes(256), isSelfHosted: false)),
            ("hotplug 1G memmap_on_memory", .hotplug(.gibibytes(1), isSelfHosted: true)),
            ("offline", .offline(nil, waitsForReaders: false)),
            ("offline 128M wait", .offline(.mebibytes(128), waitsForReaders: true)),
            ("offline wait", .offline(nil, waitsForReaders: true)),
            ("walkers 2", .walk(2, isSleeping: false)), ("walkers 8 sleeping", .walk(8, isSleeping: true)),
            ("flush", .flush), ("meminfo", .meminfo), ("vmstat", .vmstat),
            ("page 3", .page(.frame(PageFrameNumber(3)))), ("sysctl vm.hugetlb_optimize_vmemmap=1", .optimize(true)),
            ("reserve 2M 4", .reserve(.twoMebibytes, HugePageCount(4), .private)),
            ("reserve 2M 4 shared", .reserve(.twoMebibytes, HugePageCount(4), .shared)),
            ("unreserve 2M 4", .unreserve(.twoMebibytes, HugePageCount(4))),
            ("expect HugePages_Surp 2M 1", .expect(.hugePages("HugePages_Surp", .twoMebibytes), 1)),
            ("expect nr_memmap_pages 60", .expect(.machine("nr_memmap_pages"), 60)),
            ("expect HugePages_Free 2M node=1 3", .expect(.nodePages("HugePages_Free", .twoMebibytes, node: 1), 3)),
            ("expect EBUSY", .expectOutcome("EBUSY")), ("expect SIGBUS", .expectOutcome("SIGBUS")),
            ("expect EHWPOISON", .expectOutcome("EHWPOISON")),
            (
                "boot memory=4G hugepages=1024",
                .boot(
                    PoolBoot(
                        configuration: MachineConfiguration(memory: .gibibytes(4)),
                        pools: [PoolBoot.Pool(size: .twoMebibytes, node: nil, count: 1024)]))
            ),
            (
                "boot memory=2M hugetlb_free_vmemmap=on scheme=head backing=memfd release=deferred",
                .boot(
                    PoolBoot(
                        configuration: MachineConfiguration(
                            memory: .mebibytes(2), scheme: .head, backing: .memfd, optimizesAtBoot: true,
                            release: .deferred)))
            ),
            (
                "boot memory=257M default_hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=8",
                .boot(
                    PoolBoot(
                        configuration: MachineConfiguration(memory: .mebibytes(257)), defaultSize: .oneGibibyte,
                        pools: [
                            PoolBoot.Pool(size: .oneGibibyte, node: nil, count: 1),
                            PoolBoot.Pool(size: .twoMebibytes, node: nil, count: 8),
                        ]))
            ),
        ] as [(String, PoolStatement)])
    func statements(_ line: String, _ statement: PoolStatement) throws {
        #expect(try PoolScript.parse(line[...]) == statement)
    }

    @Test("Empty lines and comments say nothing", arguments: ["", "   ", "# boot memory=4G", "  # x"])
    func nothing(_ line: String) throws {
        #expect(try PoolScript.parse(line[...]) == nil)
    }

    @Test(
        "What is no statement is refused with what could have stood there",
        arguments: [
            ("frobnicate", "one of alloc, boot"), ("nr_hugepages", "2M or 1G, and a number"),
            ("nr_hugepages 3M 1", "1G or 2M"), ("nr_hugepages 2M -1", "a number of huge pages"),
            ("nr_hugepages 2M 1 2", "2M or 1G, and a number"), ("boot", "memory=SIZE of at least 2M"),
            ("boot memory=4", "a size such as"), ("boot memory=4G hugetlb_free_vmemmap=1", "off or on"),
            ("boot memory=4G hugetlb_free_vmemmap=ON", "off or on"), ("boot memory=4G x=1", "hugepagesz="),
            ("boot memory=99999999999999999999G", "a size such as"), ("sysctl x=1", "hugetlb_optimize_vmemmap=0"),
            ("poison", "a frame"), ("poison #0", "a frame"), ("poison #1+", "a frame"), ("poison -1", "a frame"),
            ("flush now", "the end of the line"), ("budget -1", "off"), ("expect", "HugePages_Total"),
            ("expect HugePages_Total 2M", "HugePages_Total"), ("expect EPERM", "ENOMEM"),
            ("boot memory=4G struct_page_size=100", "one of 56, 64, 72"),
            ("boot memory=4G struct_page_size=", "one of 56"),
            ("hotplug", "a size such as"), ("hotplug 128M x", "a size such as"), ("hotplug memmap_on_memory", "a size"),
            ("offline now", "a size such as"), ("walkers 2 awake", "sleeping behind the number"),
            ("boot memory=130M hotplug=128M", "a memory block of 128M"),
            ("boot memory=256M hotplug=64M", "a memory block of 128M"),
            ("boot memory=2G nodes=2 hotplug=128M", "one of them alone"),
            ("boot memory=256M hotplug=128M reserved=256M-257M", "within the memory"),
            ("boot memory=2G zone_border=3M", "a multiple of 2M"),
            ("boot memory=2G zone_border=2G", "within the memory"),
            ("boot memory=2G nodes=2 zone_border=512M", "of a single node"),
            ("boot memory=8589934591G hotplug=8589934591G", "less memory"),
            ("boot memory=1M", "at least 2M"), ("boot memory=2049K", "a multiple of 4K"),
            ("boot memory=1G memory=2G", "each of them once"),
            ("boot memory=1G tail_frames=0", "a number of frames from 1"),
            ("boot memory=512M tail_frames=7", "at most 6 in the first-tail scheme"),
            ("boot memory=512M scheme=shared-tail tail_frames=8", "at most 7 in the shared-tail scheme"),
            ("boot memory=1G tail_frames=4095", "at most 4094"),
            ("boot memory=1G scheme=head tail_frames=2", "at most 1"),
            ("boot memory=1G hugepagesz=1G", "hugepages=N with it"),
            ("boot memory=1G hugepagesz=1G hugepagesz=2M hugepages=2", "hugepages=N with it"),
            ("boot memory=1G hugepages=1 hugepages=2", "once for each size"),
            ("boot memory=1G hugepages=0:x", "a number"), ("boot memory=4G hugepages=0:1,1:2", "nodes=2 with it"),
            ("boot memory=4G nodes=2 hugepages=0:1,2", "one for each node"),
            ("boot memory=4G nodes=2 hugepages=2:1", "0 or 1"), ("boot memory=1G nodes=2", "at least 2G"),
            ("boot memory=1G reserved=5M", "such as 512M-640M"), ("boot memory=1G reserved=6M-5M", "such as 512M-640M"),
            ("boot memory=1G reserved=1G-2G", "within the memory"),
            ("boot memory=1G default_hugepagesz=3M", "1G or 2M"),
            ("budget 3 alone", "with shared or without"), ("demote 1G", "a frame"), ("demote_size 1G", "2M"),
            ("cgroup 2M", "max=N or rsvd.max=N"), ("cgroup 2M max=x", "max=N"),
            ("reserve 2M 1 mine", "private or shared"), ("nr_hugepages 2M 1 node=2", "0 or 1"),
            ("expect HugePages_Rsvd 2M node=1 3", "HugePages_Total"),
            ("walkers 0", "from 1 to 64, or off"), ("walkers", "from 1 to 64, or off"), ("walkers off off", "or off"),
            ("boot memory=4G arch=arm64", "arm64-16k or arm64-4k or arm64-64k"), ("boot memory=4G arch=", "s390"),
            ("boot memory=4G arch=s390 arch=s390", "each of them once"),
            ("boot memory=4G arch=arm64-4k:", "a size such as 512M"),
            ("boot memory=4G arch=arm64-4k:32M,2M", "sizes 64K, 2M, 32M, 1G, the smaller first"),
            ("boot memory=4G arch=arm64-4k:4M", "one or two of arm64-4k's sizes"),
            ("boot memory=4G arch=arm64-4k:64K,2M,1G", "one or two of arm64-4k's sizes"),
            ("boot memory=4G arch=arm64-4k:2M,3M", "one or two of arm64-4k's sizes"),
            ("boot arch=arm64-64k", "memory=SIZE of at least 512M"),
            ("boot memory=256M arch=arm64-64k", "at least 512M, and a multiple of 64K"),
            ("boot memory=524304K arch=arm64-64k", "at least 512M, and a multiple of 64K"),
            ("boot memory=4G arch=arm64-64k hugepagesz=2M hugepages=1", "16G or 512M"),
            ("boot memory=4G hugepagesz=32M hugepages=1 arch=s390", "1M or 2G"),
            ("boot memory=4G arch=loongarch-16k default_hugepagesz=1G", "32M"),
            ("boot arch=arm64-16k memory=256M hotplug=64M", "a memory block of 128M"),
            ("boot arch=arm64-64k memory=512M hotplug=128M", "a memory block of 512M"),
            ("boot arch=arm64-64k memory=1G hotplug=512M pmd_mapped=on", "one of them alone"),
            ("boot arch=arm64-64k memory=16G nodes=2", "at least 32G"),
            ("boot arch=arm64-64k memory=4G zone_border=2M", "a multiple of 512M"),
            ("boot arch=arm64-64k memory=4G tail_frames=7", "at most 6"),
            ("boot arch=powerpc-64k memory=512M tail_frames=2", "at most 1"),
        ])
    func errors(_ line: String, _ expected: String) {
        let error = #expect(throws: PoolScriptError.self) { _ = try PoolScript.parse(line[...]) }
        #expect(error?.expected.contains(expected) == true, "\(String(describing: error))")
    }

    @Test("A boot line's sizes are its architecture's, wherever that stands, and so are those of every line after it")
    func architectures() throws {
        let sizes = try #require(Architecture.arm64With64K.machineSizes)
        let gigantic = try #require(sizes.gigantic)
        var configuration = MachineConfiguration(memory: .gibibytes(32))
        configuration.sizes = sizes
        let boot = PoolBoot(
            configuration: configuration, defaultSize: sizes.block,
            pools: [
                PoolBoot.Pool(size: gigantic, node: nil, count: 1),
                PoolBoot.Pool(size: sizes.block, node: nil, count: 2),
            ])
        for line in ["arch=arm64-64k hugepagesz=16G hugepages=1", "hugepagesz=16G hugepages=1 arch=arm64-64k"] {
            let line = "boot memory=32G \(line) hugepagesz=512M hugepages=2"
            #expect(try PoolScript.parse(line[...]) == .boot(boot))
        }
        #expect(try PoolScript.parse("alloc 512M 3", sizes) == .allocate(sizes.block, 3))
        #expect(try PoolScript.parse("demote 16G 1", sizes) == .demotePages(gigantic, 1, node: nil))
        #expect(
            try PoolScript.parse("expect HugePages_Free 512M 1", sizes)
                == .expect(.hugePages("HugePages_Free", sizes.block), 1))
        let lines = [
            "nr_hugepages 2M 1", "alloc 1G", "reserve 2M 1", "unreserve 2M 1", "touch 1G", "demote 1G 1",
            "demote_size 1G 2M", "cgroup 2M max=1", "expect HugePages_Free 2M 1", "nr_overcommit_hugepages 32M 1",
            "expect HugePages_Free 2M node=0 1",
        ]
        for line in lines {
            let error = #expect(throws: PoolScriptError.self) { try PoolScript.parse(line[...], sizes) }
            #expect(error?.expected == "16G or 512M", "\(line): \(String(describing: error))")
        }
    }

    @Test("Each architecture has the size that a PMD maps and the largest, and on this host that boots")
    func machineSizes() throws {
        let all: [Architecture: [Int]] = [
            .x86: [2, 1024], .arm64With4K: [2, 1024], .arm64With16K: [32, 1024], .arm64With64K: [512, 16384],
            .powerpc: [2, 1024], .s390: [1, 2048], .loongarch: [32], .riscv: [2, 1024],
        ]
        for architecture in Architecture.allCases {
            let sizes = try #require(architecture.machineSizes)
            #expect(sizes.hugePages.map { $0.bytes.rawValue >> 20 } == all[architecture])
            #expect(sizes.basePage == architecture.basePageSize)
            guard sizes.basePage >= HostLimits.pageSize else { continue }
            let session = PoolSession()
            let size = sizes.block.bytes.argument
            _ = try session.run("boot arch=\(architecture.rawValue) memory=1G hugetlb_free_vmemmap=on")
            for line in [
                "nr_hugepages \(size) 2", "alloc \(size)", "poison #1+3", "free all", "nr_hugepages \(size) 0",
            ] {
                let outcome = try #require(try session.run(line[...]))
                #expect(outcome.refusal == nil && outcome.remark == nil, "\(architecture) \(line): \(outcome)")
            }
        }
    }

    @Test("A long word is shortened in the message, and what would break the line is written out")
    func quoting() throws {
        let long = String(repeating: "x", count: 1 << 20)
        for line in [long, "nr_hugepages 2M \(long)", "boot memory=\(long)", "expect \(long)", "poison \(long)"] {
            let error = try #require(throws: PoolScriptError.self) { _ = try PoolScript.parse(line[...]) }
            #expect(
                error.found.utf8.count < 120 && error.found.contains("characters more"), "\(error.found.prefix(200))")
        }
        let error = try #require(throws: PoolScriptError.self) { _ = try PoolScript.parse("x\u{1b}[31my") }
        #expect(error.found == "'x\\u{1B}[31my'")
    }

    @Test("Damaged lines never trap the parser", arguments: [1, 2, 3] as [UInt64])
    func fuzz(_ seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let lines = [
            "boot memory=4G hugepages=1024 scheme=head", "nr_hugepages 2M 512", "poison #2+7",
            "expect HugePages_Surp 2M 1",
            "budget 100", "alloc 1G 2",
        ]
        for _ in 0..<3000 {
            var text = Array((lines.randomElement(using: &generator) ?? "").unicodeScalars)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0...text.count, using: &generator)
                let scalar = Unicode.Scalar(UInt8.random(in: 9...255, using: &generator))
                if Bool.random(using: &generator) || at == text.count {
                    text.insert(scalar, at: at)
                } else {
                    text.remove(at: at)
                }
            }
            var line = String.UnicodeScalarView()
            line.append(contentsOf: text)
            _ = try? PoolScript.parse(String(line)[...])
        }
    }

    @Test("Nothing runs before a machine is booted, and no page is named before it is allocated")
    func order() throws {
        let session = PoolSession()
        #expect(throws: PoolSessionError.self) { _ = try session.run("meminfo") }
        _ = try session.run("boot memory=64M")
        #expect(throws: PoolSessionError.self) { _ = try session.run("free #1") }
        #expect(try session.run("free 7") != nil)
        guard case .expected(_, "EINVAL", "EINVAL") = try session.run("expect EINVAL") else {
            Issue.record("freeing what is no huge page is EINVAL")
            return
        }
    }

    @Test(
        "A frame beyond the memory is refused, however far",
        arguments: ["16384", "9223372036854775807"])
    func farFrames(_ frame: String) throws {
        let session = PoolSession()
        _ = try session.run("boot memory=64M hugepages=1")
        _ = try session.run("alloc 2M")
        for operation in ["poison", "page", "dissolve", "demote", "free"] {
            guard case .refused(let error) = try session.run("\(operation) \(frame)"[...]) else {
                Issue.record("\(operation) \(frame)")
                continue
            }
            #expect(error.errnoName == "ENXIO", "\(operation) \(frame)")
        }
    }

    @Test("An offset stays within its huge page", arguments: ["#1+512", "#1+9223372036854775807"])
    func farOffsets(_ frame: String) throws {
        let session = PoolSession()
        _ = try session.run("boot memory=64M hugepages=2")
        _ = try session.run("alloc 2M")
        for operation in ["poison", "page", "dissolve", "demote", "free"] {
            let error = #expect(throws: PoolSessionError.self) {
                _ = try session.run("\(operation) \(frame)"[...])
            }
            guard case .script(let error) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(error.expected == "an offset up to 511, within the huge page")
        }
    }

    @Test(
        "No number in a script traps",
        arguments: [
            "budget N", "budget N shared", "nr_hugepages 2M N", "nr_hugepages 2M N node=1",
            "nr_overcommit_hugepages 2M N",
            "reserve 2M N", "unreserve 2M N", "alloc 2M N", "touch 2M N", "poison N", "page N", "dissolve N", "free N",
            "demote N", "demote 1G N", "expect free_pages N", "expect HugePages_Total 2M N",
            "boot memory=32M hugepages=N", "boot memory=2G nodes=2 hugepages=0:N,1:N", "boot memory=NK",
            "boot memory=32M reserved=0-NK", "boot memory=32M tail_frames=N",
        ])
    func numbers(_ line: String) throws {
        for number in ["9223372036854775807", "4611686018427387904", "9007199254740991", "0"] {
            let session = PoolSession()
            for line in [
                "boot memory=32M hugepages=2 hugetlb_free_vmemmap=on", "nr_overcommit_hugepages 2M \(number)",
                "reserve 2M 1 shared", "alloc 2M", line.replacing("N", with: number), "nr_hugepages 2M 3",
                "touch 2M 20",
                "free all", "unreserve 2M \(number)", "nr_hugepages 2M 0", "vmstat",
            ] {
                // That it is refused is one way to end.
                _ = try? session.run(line[...])
            }
        }
    }

    @Test("Boot sizes every pool of the line, and meminfo begins with the default size")
    func pools() throws {
        let session = PoolSession()
        let line = "boot memory=4G nodes=2 default_hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=0:4,1:3"
        _ = try session.run(line[...])
        for line in [
            "expect HugePages_Total 1G 1", "expect HugePages_Total 2M 7", "expect HugePages_Total 2M node=0 4",
            "expect HugePages_Free 2M node=1 3", "expect HugePages_Surp 2M node=1 0",
        ] {
            #expect(try session.run(line[...])?.holds == true, "\(line)")
        }
        guard case .meminfo(let infos, _) = try session.run("meminfo") else {
            Issue.record("meminfo")
            return
        }
        #expect(infos.map(\.size) == [.oneGibibyte, .twoMebibytes])
        #expect(throws: PoolSessionError.self) { _ = try session.run("boot memory=1G nodes=1 hugepages=1:1") }
    }

    @Test("What is touched is taken from what is mapped, and SIGBUS says that there is none")
    func touch() throws {
        let session = PoolSession()
        func run(_ lines: String) throws {
            for line in lines.split(separator: "\n") {
                let outcome = try session.run(line)
                if line.hasPrefix("expect") {
                    #expect(outcome?.holds == true, "\(line): \(String(describing: outcome))")
                }
            }
        }
        try run("boot memory=64M hugepages=4\nreserve 2M 3\ntouch 2M 2\nexpect ok\nexpect HugePages_Rsvd 2M 1")
        // Of a private mapping: it is reserved for it again.
        try run("free #1\nexpect HugePages_Rsvd 2M 2\ntouch 2M 3\nexpect HugePages_Free 2M 0\nexpect ok")
        try run("touch 2M\nexpect SIGBUS\nfree all\nexpect HugePages_Rsvd 2M 0")
        // Of a shared one: it is not.
        try run("reserve 2M 2 shared\ntouch 2M\nfree #6\nexpect HugePages_Rsvd 2M 1\nunreserve 2M 1")
        try run("touch 2M 6\nexpect SIGBUS\nexpect HugePages_Free 2M 0\nfree all\nexpect HugePages_Free 2M 4")
    }

    @Test("A cgroup's limit ends a touch with SIGBUS, one of reservations a mapping with ENOMEM")
    func cgroup() throws {
        let session = PoolSession()
        for line in [
            "boot memory=64M hugepages=8", "cgroup 2M max=2", "expect ok", "alloc 2M 2", "expect ok", "touch 2M",
            "expect SIGBUS", "alloc 2M", "expect ENOSPC", "expect HugePages_Free 2M 6", "free #1", "touch 2M",
            "expect ok",
            "cgroup 2M max=off", "cgroup 2M rsvd.max=4", "reserve 2M 3", "expect ENOMEM", "expect HugePages_Rsvd 2M 0",
            "reserve 2M 2", "expect ok", "alloc 2M", "expect ENOSPC", "touch 2M 2", "expect ok", "touch 2M",
            "expect SIGBUS", "free all", "reserve 2M 4", "expect ok", "cgroup 1G max=1", "expect EINVAL",
        ] {
            let outcome = try session.run(line[...])
            if line.hasPrefix("expect") { #expect(outcome?.holds == true, "\(line): \(String(describing: outcome))") }
        }
    }

    @Test("A pool that has not all that was asked for is no failure, and says what stood in the way")
    func remarks() throws {
        let session = PoolSession()
        _ = try session.run("boot memory=64M hugepages=8 hugetlb_free_vmemmap=on")
        let outcome = try #require(try session.run("nr_hugepages 2M 100"))
        #expect(outcome.refusal == nil && outcome.remark?.hasSuffix("in one piece (ENOMEM)") == true)
        #expect(try session.run("expect ok")?.holds == true)
        let lines = PoolScriptReport.lines(outcome, nanoseconds: 0)
        #expect(lines[0] == "  32 of 100 huge pages of 2.00 MiB")
        #expect(lines[1] == "  no 2097152 bytes of memory are free in one piece (ENOMEM)")
        _ = try session.run("budget 3")
        #expect(try session.run("nr_hugepages 2M 0")?.remark?.hasSuffix("left in the budget (ENOMEM)") == true)
        #expect(try session.run("expect HugePages_Surp 2M 32")?.holds == true)
    }

    @Test("Walkers walk once, and only off stops them")
    func walkers() throws {
        let session = PoolSession()
        _ = try session.run("boot memory=64M hugepages=2 hugetlb_free_vmemmap=on")
        #expect(throws: PoolSessionError.self) { _ = try session.run("walkers off") }
        _ = try session.run("walkers 1")
        #expect(throws: PoolSessionError.self) { _ = try session.run("walkers 1") }
        _ = try session.run("nr_hugepages 2M 0")
        guard case .walked(let seen) = try session.run("walkers off") else {
            Issue.record("what they saw")
            return
        }
        #expect(seen.reads > 0 && seen.wrong == 0)
        var wrong = seen
        wrong.wrong = 1
        #expect(PoolScriptReport.lines(.walked(seen), nanoseconds: 0)[0].hasPrefix("  ok "))
        #expect(PoolScriptReport.lines(.walked(wrong), nanoseconds: 0)[0].hasPrefix("  FAIL "))
        // What they see is said before anything else becomes of the machine, or of the script.
        _ = try session.run("walkers 2")
        #expect(throws: PoolSessionError.self) { _ = try session.run("boot memory=64M") }
        #expect(throws: PoolSessionError.self) { try session.end() }
        _ = try session.run("walkers off")
        try session.end()
        _ = try session.run("boot memory=64M")
    }

    @Test("Nothing is as expected before there is a machine")
    func expectNothing() throws {
        let session = PoolSession()
        #expect(throws: PoolSessionError.self) { _ = try session.run("expect ok") }
        #expect(throws: PoolSessionError.self) { _ = try session.run("expect ENOMEM") }
    }

    @Test("The kernel's words for each size of huge page", arguments: [(64, 2), (56, 3), (128, 2)])
    func bootMessages(_ size: Int, _ count: Int) throws {
        let outcome = try #require(try PoolSession().run("boot memory=1G struct_page_size=\(size)"))
        let lines = PoolScriptReport.lines(outcome, nanoseconds: 0).filter { $0.contains("HugeTLB: ") }
        #expect(lines.count == count)
        let expected =
            switch size {
            case 64: "  HugeTLB: 16376 KiB vmemmap can be freed for a 1.00 GiB page"
            case 56: "  HugeTLB: disable free vmemmap pages for hugepages-1048576kB"
            default: "  HugeTLB: 32760 KiB vmemmap can be freed for a 1.00 GiB page"
            }
        #expect(lines.last == expected)
    }

    @Test("A machine that does not fit the host is refused before anything is mapped")
    func tooLarge() {
        let session = PoolSession()
        for memory in ["900T", "8000000T"] {
            let error = #expect(throws: PoolSessionError.self) { _ = try session.run("boot memory=\(memory)"[...]) }
            guard case .host = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test("A line that takes long tells how far it is")
    func progress() throws {
        var told: [Progress] = []
        let session = PoolSession { told.append($0) }
        _ = try session.run("boot memory=64M hugepages=3")
        #expect(told.first == .count("boot", 0, of: 256, unit: "vmemmap pages"))
        #expect(told.dropFirst() == [0, 3].map { .count("nr_hugepages", $0, of: 3, unit: "huge pages") }[...])
        told = []
        _ = try session.run("nr_hugepages 2M 1")
        #expect(told == [.count("nr_hugepages", 2, of: 2, unit: "huge pages")])
    }
}
