import ArgumentParser
import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("What the host has no room for")
struct ErrorTextTests {
    private func plan(_ pages: Int, _ size: HugePageSize = .twoMebibytes) throws -> MappingPlan {
        let geometry = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: size))
        return try MappingPlan(geometry: geometry, scheme: .firstTail, hugePages: HugePageCount(pages))
    }

    private func room(mappings: Int = 65530, inUse: Int = 60, memory: ByteCount = .gibibytes(24)) -> HostRoom {
        HostRoom(
            mappingLimit: MappingCount(mappings), mappingsInUse: MappingCount(inUse), memory: memory,
            memorySource: "MemAvailable")
    }

    private func line(_ room: HostRoom, _ plan: MappingPlan, _ asked: HugePageCount? = nil) -> String? {
        do throws(ExperimentError) {
            try room.check(plan, asked: asked)
            return nil
        } catch {
            return ErrorText.line(error)
        }
    }

    @Test("The cover letter's 10240 pages exceed the default limit; the line names what fits")
    func mappings() throws {
        #expect(
            line(room(), try plan(10240)) == "10 240 huge pages of 2.00 MiB need 81 920 mappings, but "
                + "vm.max_map_count is 65530, 65380 of them free; 8172 fit: use --pages 8172, or raise it (as "
                + "root: sysctl vm.max_map_count=83094, or --raise-map-limit of savings and bench)")
        #expect(line(room(mappings: 83094), try plan(10240)) == nil)
        #expect(line(room(mappings: 82053), try plan(10240)) != nil)
        #expect(line(room(), try plan(8174)) == nil)
        #expect(line(room(), try plan(8175)) != nil)
    }

    @Test("A limit that no kernel takes is not advised, and neither is a figure that is not worked out")
    func highest() throws {
        func text(_ pages: Int) throws -> String { try #require(line(room(), try plan(1000), HugePageCount(pages))) }
        let most = Int(Int32.max)
        #expect(try text(most / 8 - 200).contains("as root: sysctl vm.max_map_count="))
        for pages in [most / 8 + 1, 400_000_000, .max] {
            let text = try text(pages)
            #expect(text.contains("; it cannot be raised so far, the most is \(most)"), "\(text)")
            #expect(!text.contains("sysctl") && !text.contains("..."))
        }
        let inPieces = Shortage(
            resource: .contiguousMemory, asked: HugePageCount(4), pageSize: .oneGibibyte, needed: nil,
            available: 1 << 30, limit: 1 << 30, largest: .zero)
        #expect(ErrorText.line(.shortage(inPieces)).contains("hugepagesz=1G hugepages=4)"))
    }

    @Test(
        "As many tail frames as let all of them fit are a way out, where the command has the option and the scheme them"
    )
    func tailFrames() throws {
        func line(_ scheme: Scheme, _ sizing: ErrorText.Sizing = .pages, pages: Int = 10240) -> String {
            var memory = EmulatedMemory(pages: HugePageCount(pages), pageSize: .twoMebibytes, scheme: scheme)
            do throws(ExperimentError) {
                _ = try memory.plan(on: room())
                return ""
            } catch {
                if let frames = Self.number(/--tail-frames (\d+)/, ErrorText.line(error)) {
                    memory.tailFrames = .frames(PageCount(frames))
                    #expect(throws: Never.self) { try memory.plan(on: room(inUse: 60 + 16)) }
                }
                return ErrorText.line(error, sizing)
            }
        }
        #expect(line(.firstTail).contains("; 8172 fit: use --pages 8172 or --tail-frames "))
        #expect(line(.firstTail, .pagesAlone).contains("; 8172 fit: use --pages 8172, or raise it "))
        #expect(line(.head).contains("; 8172 fit: use --pages 8172, or raise it "))
        #expect(line(.firstTail, pages: 40_000).contains("; 8172 fit: use --pages 8172, or raise it "))
    }

    private static func number(_ pattern: Regex<(Substring, Substring)>, _ line: String) -> Int? {
        line.firstMatch(of: pattern).flatMap { Int($0.output.1) }
    }

    @Test("Of two that need as much, the line has the limit as it is, and what both need")
    func half() throws {
        let text = try #require(line(room().half, try plan(5000)))
        #expect(text.contains("need 80 000 mappings, but vm.max_map_count is 65530, 65290 of them free; 4080 fit"))
        let limit = try #require(Self.number(/sysctl vm\.max_map_count=(\d+)/, text))
        #expect(line(room(mappings: limit).half, try plan(5000)) == nil)
    }

    @Test("A limit that could not be raised: how to do with what there is, or that there is room without")
    func notRaised() throws {
        let cause = HostError(.permissionDenied, .open, .file("/proc/sys/vm/max_map_count"))
        func line(_ shortage: Shortage?, _ cause: SettingRefusal) -> String {
            let refusal = RaisedMapLimit.Refusal(limit: MappingCount(83094), cause: cause, shortage: shortage)
            #expect(ExitCode(ExperimentError.mapLimit(refusal)) == .notSupported)
            return ErrorText.line(.mapLimit(refusal), .memory)
        }
        let shortage = Shortage(
            resource: .mappings, asked: HugePageCount(10240), pageSize: .twoMebibytes, needed: 81920, available: 65380,
            limit: 65530, largest: HugePageCount(8172), fittingTailFrames: PageCount(2))
        let start = "cannot raise vm.max_map_count to 83094: \(cause); as root: sysctl vm.max_map_count=83094"
        #expect(line(shortage, .host(cause)) == start + ", or use --memory 16344M or --tail-frames 2 or --nodes auto")
        #expect(line(nil, .noLock(cause)) == start + ", or use no --raise-map-limit: there is room without")
    }

    @Test(
        "Only commands that have the huge pages are named: bench has HugeTLB's, of its sizes, on this host's base page")
    func commands() throws {
        for (base, size, scheme, commands) in [
            (4, 2, Scheme.firstTail, "savings and bench)"), (4, 2, .deviceDax, "savings)"), (4, 4, .head, "savings)"),
            (16, 1024, .firstTail, "savings)"),
        ] where ByteCount.kibibytes(base) >= HostLimits.pageSize {
            let memory = EmulatedMemory(
                pages: HugePageCount(9000), pageSize: try #require(HugePageSize(bytes: .mebibytes(size))),
                basePageSize: .kibibytes(base), scheme: scheme, construction: .optimized)
            do throws(ExperimentError) {
                _ = try memory.plan(on: room(mappings: 9000))
                Issue.record("it fits")
            } catch {
                let line = ErrorText.line(error)
                #expect(line.hasSuffix(", or --raise-map-limit of \(commands)"), "\(line)")
            }
        }
    }

    @Test("What the engine refuses for want of mappings has a limit that would do")
    func engine() {
        func line(_ limit: Int) -> String {
            let cause = VmemmapError.Cause.mappingLimit(
                asked: MappingCount(80), inUse: MappingCount(limit - 8), limit: MappingCount(limit),
                largest: HugePageCount(1))
            return ErrorText.line(.vmemmap(VmemmapError(.optimize, cause)))
        }
        #expect(line(65530).hasSuffix("; as root: sysctl vm.max_map_count=66626"))
        #expect(!line(Int(Int32.max)).contains("sysctl"))
    }

    @Test("A number that is named fits the next process too, which may have some threads more")
    func nextProcess() throws {
        #expect(line(room(inUse: 60 + 16), try plan(8172)) == nil)
        #expect(line(room(inUse: 60 + 16 + 8), try plan(8172)) != nil)
    }

    @Test(
        "What fits is named by the option that the command has",
        arguments: [
            (ErrorText.Sizing.pages, "--pages 8172"), (.pagesOfNodes, "--pages 8172 or --nodes auto"),
            (.memory, "--memory 16344M or --nodes auto"), (.script, "memory=16344M"),
        ])
    func sizing(_ sizing: ErrorText.Sizing, _ option: String) throws {
        let plan = try plan(10240)
        do throws(ExperimentError) {
            try room().check(plan)
            Issue.record("it fits")
        } catch {
            let text = ErrorText.line(error, sizing)
            #expect(text.contains("; 8172 fit: use \(option), or raise it"))
            #expect(
                text.contains("--memory") == (sizing == .memory)
                    && text.contains("--pages") == option.hasPrefix("--pages"))
        }
    }

    @Test("More than memory is refused by the scarcer resource, with the figure that says so")
    func memory() throws {
        let room = room(mappings: 1 << 30, memory: .gibibytes(1))
        let text = try #require(line(room, try plan(1 << 20)))
        // An eighth of the 992 MiB beside the reserve may be gone when the next process asks.
        #expect(text.contains("but MemAvailable leaves 868.00 MiB"))
        let fits = try #require(text.firstMatch(of: /; (\d+) fit:/).flatMap { Int($0.output.1) })
        #expect(line(room, try plan(fits)) == nil)
        #expect(line(self.room(mappings: 1 << 30, memory: .mebibytes(1024 - 120)), try plan(fits)) == nil)
        #expect(line(self.room(mappings: 1 << 30, memory: .mebibytes(1024 - 128)), try plan(fits)) != nil)
    }

    @Test("The kernel's memory for the mappings is a part of what is needed: it is charged to a memory cgroup too")
    func mappingMemory() throws {
        let text = try #require(line(room(mappings: 1 << 30, memory: .gibibytes(1)), try plan(1 << 15)))
        // 32 KiB of struct pages, 64 bytes of page table, 256 of account, 8 mappings of 256 bytes; times 32 768.
        #expect(text.contains("32 768 huge pages of 2.00 MiB need 1.07 GiB, "))
    }

    @Test("The process's own limits count, each with its name; one on private memory leaves a memory file out")
    func limits() throws {
        func line(_ backing: Backing, _ limit: HostRoom.MemoryLimit) throws -> String? {
            let geometry = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: .twoMebibytes))
            let plan = try MappingPlan(
                geometry: geometry, scheme: .firstTail, backing: backing, hugePages: HugePageCount(4000))
            let room = HostRoom(
                mappingLimit: MappingCount(65530), mappingsInUse: MappingCount(60), memory: .gibibytes(24),
                memorySource: "MemAvailable", limits: [limit])
            return self.line(room, plan)
        }
        let left = ByteCount.mebibytes(100)
        let all = HostRoom.MemoryLimit(left: left, source: "RLIMIT_AS", countsSharedMemory: true)
        let privateOnly = HostRoom.MemoryLimit(left: left, source: "RLIMIT_DATA", countsSharedMemory: false)
        #expect(try line(.anonymous, all)?.contains("but RLIMIT_AS leaves 43.50 MiB; ") == true)
        #expect(try line(.memfd, all)?.contains("but RLIMIT_AS leaves 43.50 MiB; ") == true)
        #expect(try line(.anonymous, privateOnly)?.contains("but RLIMIT_DATA leaves 43.50 MiB; ") == true)
        #expect(try line(.memfd, privateOnly) == nil)
    }

    @Test("A part of a host's room keeps all else that is known of it")
    func parts() {
        var room = self.room()
        room.limits = [HostRoom.MemoryLimit(left: .gibibytes(2), source: "RLIMIT_AS", countsSharedMemory: true)]
        let half = HostRoom.MemoryLimit(left: .gibibytes(1), source: "half of RLIMIT_AS", countsSharedMemory: true)
        for part in [room.half, room.half.withoutMappingLimit, room.half.keepingFree(MappingCount(10))] {
            #expect(part.memory == .gibibytes(12) && part.memorySource == "half of MemAvailable")
            #expect(part.limits == [half] && part.parts == 2)
        }
        // A node's own process has limits of its own.
        #expect(room.half.ofOneNode.limits.isEmpty && room.half.ofNodes(2).limits.isEmpty)
        #expect(room.half.ofOneNode.parts == 2 && room.half.ofNodes(2).parts == 2)
    }

    @Test("Absurd counts overflow nothing", arguments: [1 << 40, 1 << 60, Int.max])
    func absurd(_ pages: Int) throws {
        for size in [HugePageSize.twoMebibytes, .oneGibibyte] {
            switch Result(catching: { try plan(pages, size) }) {
            case .success(let plan): #expect(line(room(mappings: Int.max / 2), plan) != nil)
            case .failure(let error):
                #expect(error as? VmemmapError == VmemmapError(.plan, .unusableCount(HugePageCount(pages))))
            }
        }
        #expect(line(room(mappings: Int.max / 2), try plan(1 << 30)) != nil)
    }

    @Test("Where not one fits, the line says so")
    func none() throws {
        #expect(line(room(mappings: 100), try plan(1))?.contains("not one fits") == true)
    }
}
