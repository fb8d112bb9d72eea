import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("Forecasts")
struct ForecastTests {
    private func forecast(
        _ memory: ByteCount, _ size: HugePageSize, _ scheme: Scheme, run: TailFrames = .frames(PageCount(1)),
        limit: Int = 65530
    ) throws -> Forecast.Row {
        let forecast = Forecast(
            memory: memory, basePage: .kibibytes(4), sizes: [size], schemes: [scheme], backing: .anonymous,
            tailFrames: run,
            cost: .assumed, limit: MappingCount(limit))
        return try #require(forecast?.rows.first)
    }

    @Test("What a user reported: 128 GiB of 2 MiB pages, head scheme, frees 1.75 GiB")
    func reported() throws {
        let row = try forecast(.gibibytes(128), .twoMebibytes, .head)
        #expect(row.freedBytes == .mebibytes(1792))
        #expect(row.pages == HugePageCount(65536))
    }

    @Test("The struct page's size counts: 28 KiB freed become 60 with 128 bytes, and nothing with 56")
    func structPageSizes() throws {
        for (size, freed) in [(56, 0), (64, 28), (128, 60)] {
            let result = try PlanExperiment(
                memory: .gibibytes(1), sizes: [.twoMebibytes], schemes: [.head], backing: .anonymous,
                tailFrames: .frames(PageCount(1)), structPageSize: ByteCount(size)
            ).run()
            #expect(result.forecast.rows.map(\.freedPerPageBytes) == [.kibibytes(freed)])
            #expect(result.forecast.structPageBytes == ByteCount(size << 18))
            let explains = ForecastReport.lines(result).contains { $0.contains("crosses page boundaries (56 bytes)") }
            #expect(explains == (size == 56))
        }
    }

    @Test("With struct pages of 56 bytes device DAX frees nothing either, and HugeTLB's message is not its own")
    func deviceDax() throws {
        for (size, isBuiltSo) in [(56, false), (64, true)] {
            let result = try PlanExperiment(
                memory: .gibibytes(1), sizes: [.twoMebibytes], schemes: [.deviceDax], backing: .anonymous,
                tailFrames: .frames(PageCount(1)), structPageSize: ByteCount(size)
            ).run()
            let text = ForecastReport.lines(result).joined(separator: "\n")
            #expect(text.contains("The struct pages are built so where ") == isBuiltSo, "\(text)")
            #expect(text.contains("but not where a struct page has 56 bytes, ") == !isBuiltSo, "\(text)")
            #expect(!text.contains("HugeTLB: "), "\(text)")
        }
    }

    @Test("The kernel's boot messages: 28 KiB for a 2 MiB page, 16380 KiB for a 1 GiB page; v5: 24 and 16376")
    func messages() throws {
        #expect(try forecast(.gibibytes(1), .twoMebibytes, .head).freedPerPageBytes == .kibibytes(28))
        #expect(try forecast(.gibibytes(1), .oneGibibyte, .head).freedPerPageBytes == .kibibytes(16380))
        #expect(try forecast(.gibibytes(1), .twoMebibytes, .firstTail).freedPerPageBytes == .kibibytes(24))
        #expect(try forecast(.gibibytes(1), .oneGibibyte, .firstTail).freedPerPageBytes == .kibibytes(16376))
    }

    @Test("The cover letter's 1 TiB: 16 GiB of struct pages, 12 GiB freed at best with 2 MiB pages, 16 with 1 GiB")
    func coverLetter() throws {
        let small = try forecast(.gibibytes(1024), .twoMebibytes, .firstTail)
        #expect(small.freedBytes == .gibibytes(12))
        // One table of 4 KiB for each 64 huge pages: the net saving of a page is 6 - 1/64 pages.
        #expect(small.kernelPageTableBytes == .mebibytes(32))
        #expect(small.mappingOverheadBytes + ByteCount(256) == .gibibytes(1))
        let large = try forecast(.gibibytes(1024), .oneGibibyte, .firstTail)
        #expect(large.freedBytes == ByteCount.kibibytes(16376) * 1024)
        #expect(large.kernelNetBytes == ByteCount.kibibytes(16376 - 32) * 1024)
    }

    @Test("With more tail frames, 1 TiB of 1 GiB pages fits the default mapping limit")
    func tailFrameCounts() throws {
        let first = try forecast(.gibibytes(1024), .oneGibibyte, .firstTail, run: .auto)
        #expect(first.mappings <= MappingCount(65530))
        #expect(first.emulationNetBytes >= ByteCount.mebibytes(16077), "15.7 GiB")
        let raised = try forecast(.gibibytes(1024), .oneGibibyte, .firstTail, run: .auto, limit: .max)
        #expect(raised.emulationNetBytes >= ByteCount.mebibytes(16180), "15.8 GiB")
        let shared = try forecast(.gibibytes(1024), .oneGibibyte, .sharedTail, run: .auto)
        #expect(shared.mappings <= MappingCount(65530))
        #expect(shared.mappings.rawValue <= 64 * 1024)
        #expect(shared.emulationNetBytes >= ByteCount.mebibytes(16333), "15.95 GiB")
    }

    @Test(
        "Memory that holds no huge page, or more than there can be, has no forecast", arguments: [0, -1, 4096, Int.max])
    func none(_ bytes: Int) {
        let forecast = Forecast(
            memory: ByteCount(bytes), basePage: .kibibytes(4), sizes: [.twoMebibytes, .oneGibibyte],
            schemes: Scheme.ofHugeTLB, backing: .memfd, tailFrames: .auto, cost: .assumed, limit: MappingCount(65530))
        #expect(forecast == nil)
    }

    @Test("The first screen answers for this host; the letter's figures and the emulator's come when asked for")
    func report() throws {
        var experiment = PlanExperiment(
            memory: nil, sizes: [.twoMebibytes, .oneGibibyte], schemes: Scheme.ofHugeTLB, backing: .anonymous,
            tailFrames: .auto)
        let lines = ForecastReport.lines(try experiment.run())
        #expect(lines[2].hasPrefix("This host's kernel (Linux ") && lines[2].contains(" scheme) would free, of "))
        #expect(lines.count { $0.hasPrefix("head, ") } == 2)
        #expect(lines.count { $0.hasSuffix(" yes") } == 2, "the kernel's own scheme is marked")
        #expect(!lines.contains { $0.contains("emulated:") || $0.hasPrefix("the letter:") } && lines.count <= 20)
        experiment.hasCoverLetter = true
        let verbose = Style(width: nil, isColored: false, isVerbose: true)
        let all = ForecastReport.lines(try experiment.run(), verbose)
        #expect(all.contains { $0.hasPrefix("the letter: ~16 GB of 16") } && all.contains { $0.contains("emulated:") })
    }

    @Test("Several pools are worked out together: their sum is the answer, and what is no whole huge page is said")
    func pools() throws {
        let pools = [
            PlannedPool(memory: .gibibytes(400), size: .twoMebibytes),
            PlannedPool(memory: .mebibytes(65 * 1024 + 1), size: .oneGibibyte),
        ]
        let result = try PlanExperiment(
            pools: pools, of: .gibibytes(512), sizes: [], schemes: [.head, .firstTail], backing: .anonymous,
            tailFrames: .frames(PageCount(1))
        ).run()
        #expect(result.forecast.memoryBytes == .mebibytes(465 * 1024 + 1))
        #expect(result.forecast.rows.map(\.pages.rawValue) == [204_800, 65, 204_800, 65])
        let freed = ByteCount.kibibytes(28) * 204_800 + ByteCount.kibibytes(16380) * 65
        let tables = ByteCount.kibibytes(4) * (3200 + 65 * 8)
        #expect(result.forecast.kernelNetBytes(.head) == freed - tables)
        let lines = ForecastReport.lines(result)
        #expect(lines.contains("Huge pages of 1.00 GiB leave 1.00 MiB of 65.00 GiB over."))
    }

    @Test("Of a size that this host's kernel does not have, nothing is promised for this host")
    func sizesOfOthers() throws {
        let size = try #require(HugePageSize(bytes: .gibibytes(16)))
        let result = try PlanExperiment(
            pools: [PlannedPool(memory: .gibibytes(64), size: size)], of: nil, sizes: [], schemes: Scheme.ofHugeTLB,
            backing: .anonymous, tailFrames: .auto
        ).run()
        guard let pools = result.kernel.pools.value, !pools.contains(where: { $0.hugePageBytes == size.bytes }) else {
            try Test.cancel("this host has huge pages of 16 GiB, or does not tell")
        }
        let lines = ForecastReport.lines(result)
        #expect(lines[2].hasPrefix("A kernel with the "))
        #expect(lines.contains { $0.hasPrefix("This host's kernel has no huge pages of 16.00 GiB") })
    }

    @Test("Amounts are taken as people write them")
    func amounts() throws {
        for (text, bytes) in [
            ("64G", 64 << 30), ("400GiB", 400 << 30), ("1.5T", 3 << 39), (".25m", 1 << 18), ("2097152", 2 << 20),
            // Rounded down to whole bytes.
            ("1.1T", 1_209_462_790_553), ("1.3T", 1_429_365_116_108), ("0.1G", 107_374_182),
            ("1.0000001G", 1_073_741_931), ("1048575.999999T", 1_152_921_504_605_747_464),
        ] {
            #expect(try MemorySize.parse(text).bytes == ByteCount(bytes), "\(text)")
        }
        for text in ["1.5", "GiB", "1.G", "1.2.3G", "-1G", "1e3G", "0G", "0.0G", "4iB", "0.0001K", "400GB"] {
            #expect(throws: (any Error).self, "\(text)") { try MemorySize.parse(text) }
        }
    }
}

@Suite("Savings on real memory")
struct SavingsTests {
    @Test(
        "Frames are those of the plan at every step, on every scheme and backing",
        arguments: Scheme.ofHugeTLB.flatMap { scheme in Backing.allCases.map { (scheme, $0) } })
    func run(_ scheme: Scheme, _ backing: Backing) throws {
        let memory = EmulatedMemory(
            pages: HugePageCount(50), pageSize: .twoMebibytes, scheme: scheme, backing: backing,
            tailFrames: scheme == .head ? .frames(PageCount(1)) : .auto)
        var seen: [String] = []
        let result = try SavingsExperiment(memory).run { progress in
            guard case .count(let step, let done, let total, _) = progress else { return }
            if seen.last != step { seen.append(step) }
            #expect((0...total).contains(done))
        }
        #expect(seen == ["populated", "optimized", "touched", "restored"])
        #expect(result.rows.map(\.step.rawValue) == seen)
        #expect(result.holds)
        let optimized = result.rows[1]
        #expect(optimized.grossSavingBytes - optimized.templateOverheadBytes == result.plan.grossSavingBytes)
        #expect(SavingsReport.lines(result).last == "3 checks passed")
    }

    @Test("A dry run maps nothing and says so")
    func dryRun() throws {
        let memory = EmulatedMemory(pages: HugePageCount(1000), pageSize: .twoMebibytes, scheme: .firstTail)
        let result = try SavingsExperiment(memory).plan()
        #expect(result.rows.isEmpty)
        #expect(SavingsReport.lines(result).last == "A dry run: nothing was mapped.")
    }
}
