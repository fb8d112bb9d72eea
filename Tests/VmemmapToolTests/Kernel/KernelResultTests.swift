import HostLab
import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("The kernel beside the emulator")
struct KernelResultTests {
    private static let geometry = Geometry(basePageSize: .kibibytes(4), hugePageSize: .twoMebibytes)

    private static func pool(_ size: ByteCount, _ pages: Int) -> HugeTLBPool? {
        HugeTLBPool(pageSize: size) { $0 == "nr_hugepages" || $0 == "free_hugepages" ? "\(pages)\n" : "0\n" }
    }

    private static func overview(memmap: MemmapCounts? = nil, sysctl: String? = "0\n") throws -> KernelOverview {
        KernelOverview(
            HVOConfiguration(sysctl: sysctl, bootConfig: nil, hasCompressedConfig: true), memmap,
            HugeTLBMeminfo("Hugepagesize: 2048 kB\nHugePages_Total: 512\nHugetlb: 1048576 kB\n"),
            [try #require(pool(.mebibytes(2), 512)), try #require(pool(.gibibytes(1), 0))],
            memory: ByteCount.gibibytes(1024), basePage: .kibibytes(4))
    }

    @Test("Savings by page size are those of the kernel's scheme, for the pools and for all of memory")
    func savings() throws {
        let overview = try Self.overview()
        let pools = try #require(overview.pools.value)
        let small = pools[0]
        let asItIs = try #require(small.asItIs.value)
        #expect(small.isDefaultSize.value == true && asItIs.structPageBytes == .mebibytes(16))
        #expect(asItIs.freedBytes == .kibibytes(28) * 512)
        // 16 MiB of vmemmap: 8 page tables.
        #expect(asItIs.netBytes == .kibibytes(28) * 512 - .kibibytes(32))
        #expect(small.allOfMemory.pages == HugePageCount(524_288))
        #expect(small.allOfMemory.freedBytes == .gibibytes(14))
        let large = pools[1]
        #expect(large.isDefaultSize.value == false)
        #expect(large.asItIs.value?.structPageBytes == .zero && large.asItIs.value?.freedBytes == .zero)
        #expect(large.allOfMemory.freedBytes == .kibibytes(16380) * 1024)
    }

    @Test("Pools that are hidden are null, and no kernel without HugeTLB is made of that")
    func hidden() throws {
        func lines(_ pools: [HugeTLBPool]?) throws -> String {
            let overview = KernelOverview(
                HVOConfiguration(sysctl: "0\n", bootConfig: nil, hasCompressedConfig: false), nil, nil, pools,
                memory: .gibibytes(1), basePage: .kibibytes(4))
            #expect((overview.pools.value == nil) == (pools == nil))
            return KernelReport.lines(KernelResult(host: try .current(), kernel: overview)).joined(separator: "\n")
        }
        #expect(try lines(nil).hasSuffix("pools: not readable, /sys/kernel/mm/hugepages is hidden"))
        #expect(try lines([]).hasSuffix("no pool: a kernel without HugeTLB"))
    }

    @Test("What struct pages take is exported in bytes, by kind; nothing where the kernel does not count it")
    func memmap() throws {
        func samples(_ counts: MemmapCounts?) throws -> [Substring] {
            let result = KernelResult(host: try .current(), kernel: try Self.overview(memmap: counts))
            return PrometheusExport.text(result).split(separator: "\n")
                .filter { $0.hasPrefix("vmemmap_kernel_memmap_") }
        }
        #expect(
            try samples(MemmapCounts("nr_memmap_pages 3\nnr_memmap_boot_pages 5\n")) == [
                "vmemmap_kernel_memmap_struct_page_bytes{kind=\"page-allocator\"} 12288",
                "vmemmap_kernel_memmap_struct_page_bytes{kind=\"boot\"} 20480",
            ])
        #expect(try samples(nil) == [])
    }

    @Test("What the kernel does not say is null, and the report says so")
    func unknown() throws {
        let overview = try Self.overview(sysctl: nil)
        #expect(overview.isConfigured.value == nil && overview.isOptimizing.value == nil)
        #expect(overview.memmapPages.value == nil && overview.memmap.value == nil)
        let lines = KernelReport.lines(KernelResult(host: try .current(), kernel: overview)).joined(separator: "\n")
        #expect(lines.contains("zgrep OPTIMIZE_VMEMMAP /proc/config.gz"))
        #expect(lines.contains("not to be read in /proc/vmstat (Linux 6.11 and later count them)"))
    }

    // MARK: Checks

    private typealias Cycle = KernelMeasurementResult.Cycle

    private static func cycle(_ isOptimizing: Bool, _ pages: Int, fall: Int?, missing: Int? = 0, time: Int = 1000)
        -> Cycle
    {
        Cycle(
            isOptimizing: isOptimizing, pages: HugePageCount(pages), allocateNanoseconds: time * pages,
            freeNanoseconds: 2 * time * pages, memmapFallPages: Measured(fall.map { PageCount($0) }),
            memmapMissingPages: Measured(missing.map { PageCount($0) }))
    }

    private static func measurement(
        _ rounds: [(Cycle, Cycle)], flagsOn: [UInt64]? = nil, scheme: Scheme = .head, freed: Int = 7
    ) throws -> KernelMeasurementResult {
        let geometry = try #require(geometry)
        return KernelMeasurementResult(
            asked: HugePageCount(64), size: .twoMebibytes, before: HostHugePageCount(3),
            trial: KernelTrialTests.trial(scheme: scheme), scheme: SchemeOfKernel(pageTables: scheme, release: ""),
            warmUp: rounds[0].1.memmapFallPages.value == nil
                ? .init(off: cycle(false, 64, fall: nil, missing: nil), on: cycle(true, 64, fall: nil, missing: nil))
                : .init(off: cycle(false, 64, fall: 0), on: cycle(true, 64, fall: freed * 64)),
            pairs: rounds.map { KernelMeasurementResult.Pair(off: $0, on: $1) },
            freedPagesPerHugePage: scheme.freedPages(geometry),
            flagsOff: nil, flagsOn: flagsOn.map { FlagsCheck([$0], geometry) })
    }

    private static func result(
        _ measurement: KernelMeasurementResult, framesFreed: Int = 448, templates: Int = 0
    ) throws -> KernelResult {
        let plan = try EmulatedMemory(pages: HugePageCount(64), pageSize: .twoMebibytes, scheme: measurement.scheme)
            .planOnThisHost()
        let emulator = KernelResult.Emulator(
            plan: PlanBlock(plan, cost: .assumed), framesFreed: PageCount(framesFreed),
            templateFrames: PageCount(templates), countingMethod: .pfn,
            cycles: [], optimizeNanoseconds: Spread([5000]), restoreNanoseconds: Spread([4000]),
            optimizeOverAdded: .value(2.5), restoreOverAdded: .notMeasured,
            flags: FlagsCheck([], try #require(geometry)))
        return KernelResult(
            host: try .current(), kernel: try overview(), measurement: measurement, emulator: emulator)
    }

    private static let rounds = [
        (cycle(false, 64, fall: 0), cycle(true, 64, fall: 448, time: 3000)),
        (cycle(false, 64, fall: 0, time: 1500), cycle(true, 64, fall: 448, time: 3100)),
    ]

    private static func refuted(_ result: KernelResult) -> [String] {
        result.checks.filter { $0.outcome == .failed }.map(\.id)
    }

    @Test("What the optimization adds is on less off, pair by pair, for one huge page")
    func added() throws {
        let measurement = try Self.measurement(Self.rounds)
        #expect(measurement.allocate.offNanoseconds.median == 1250)
        #expect(measurement.allocate.onNanoseconds.median == 3050)
        #expect(measurement.allocate.addedNanoseconds.median == 1800)
        #expect(measurement.allocate.addedNanoseconds.min == 1600)
        #expect(measurement.free.addedNanoseconds.max == 4000)
    }

    @Test("Too few huge pages or pairs are said, in every report; a pair that stands far out is named")
    func notJudged() throws {
        let few = try Self.measurement(Self.rounds)
        #expect(
            few.notJudged.value
                == "64 huge pages are too few (512 or more tell), and 2 pairs are too few (5 or more tell)")
        let result = try Self.result(few)
        let said = "he kernel's times are not judged: 64 huge pages are too few (512 or more tell)"
        #expect(KernelReport.lines(result).contains { $0.contains(said) })
        #expect(
            MarkdownExport.text(result).contains("T" + said)
                && HTMLExport.text(result).contains("times are not judged: 64"))
        let pair = { (time: Int) in (Self.cycle(false, 512, fall: 0), Self.cycle(true, 512, fall: 3584, time: time)) }
        let enough = try Self.measurement([1000, 1010, 1020, 9000, 1030].map(pair))
        #expect(enough.fewestPages == HugePageCount(64), "the warm-up's")
        #expect(enough.allocate.onNanoseconds.outlierPairs == [4])
        #expect(
            enough.notes().contains { $0.hasPrefix("the kernel, allocate, optimization on: pair 4 stands far out") })
    }

    @Test("Where all agrees, no check fails; what was not measured is neither")
    func agrees() throws {
        let result = try Self.result(Self.measurement(Self.rounds))
        #expect(result.holds && Self.refuted(result).isEmpty)
        #expect(result.checks.first { $0.id == KernelCheck.hostFlagsOn.id }?.outcome == .notMeasured)
        let old = [(Self.cycle(false, 64, fall: nil, missing: nil), Self.cycle(true, 64, fall: nil, missing: nil))]
        let unknown = try Self.result(Self.measurement(old))
        #expect(unknown.holds)
        #expect(unknown.checks.first { $0.id == KernelCheck.emulatorFreesTheSame.id }?.outcome == .notMeasured)
        #expect(KernelReport.lines(unknown).contains { $0.hasPrefix("?     the emulator frees as many frames") })
        let page = HTMLExport.text(unknown)
        #expect(page.contains("What a huge page costs") && page.contains("aria-label=\"not measured\""))
        #expect(page.contains("all of 1.00 TiB in huge pages of 2.00 MiB: struct pages 16.00 GiB, HVO frees 14.00 GiB"))
    }

    @Test("Each check can fail")
    func refutations() throws {
        let good = Self.rounds[1]
        func failed(_ off: Cycle, _ on: Cycle, _ framesFreed: Int = 448) throws -> [String] {
            Self.refuted(try Self.result(Self.measurement([(off, on), good]), framesFreed: framesFreed))
        }
        let (off, on) = Self.rounds[0]
        #expect(try failed(off, on, 447) == [KernelCheck.emulatorFreesTheSame.id])
        #expect(try failed(Self.cycle(false, 64, fall: -1), on) == [KernelCheck.kernelFreesNothingWhenOff.id])
        #expect(try failed(off, Self.cycle(true, 64, fall: 448, missing: 2)) == [KernelCheck.kernelIsBack.id])
        #expect(
            try failed(off, Self.cycle(true, 64, fall: 441))
                == [KernelCheck.kernelFreesAsPlanned, .emulatorFreesTheSame].map(\.id))
        // One cycle's surplus does not make up for another's lack.
        let uneven = [(off, Self.cycle(true, 64, fall: 449)), (off, Self.cycle(true, 64, fall: 447))]
        #expect(try Self.refuted(Self.result(Self.measurement(uneven))) == [KernelCheck.kernelFreesAsPlanned.id])
    }

    @Test("The emulator is held against the kernel under the kernel's scheme")
    func schemes() throws {
        // Shared tails: what serves all huge pages is the kernel's, too.
        let shared = try Self.measurement(Self.rounds, scheme: .sharedTail)
        #expect(try Self.result(shared, framesFreed: 446, templates: 2).holds)
        #expect(try Self.refuted(Self.result(shared, framesFreed: 446)) == [KernelCheck.emulatorFreesTheSame.id])
        #expect(KernelReport.lines(try Self.result(shared)).contains { $0.contains(": shared-tail (its page tables") })
        // Linux 5.14 to 5.17 frees 6 of 8.
        let six = [(Self.cycle(false, 64, fall: 0), Self.cycle(true, 64, fall: 384))]
        let firstTail = try Self.measurement(six, scheme: .firstTail, freed: 6)
        #expect(try Self.result(firstTail, framesFreed: 384).holds)
        #expect(
            try Self.refuted(Self.result(Self.measurement(six), framesFreed: 384)) == [
                KernelCheck.kernelFreesAsPlanned.id, KernelCheck.emulatorFreesTheSame.id,
            ])
    }

    @Test("What optimizing frees of the pools is worked out under the kernel's scheme")
    func savingsByScheme() throws {
        func freed(_ scheme: Scheme) -> ByteCount {
            KernelOverview.Saving(HugePageCount(512), of: .mebibytes(2), basePage: .kibibytes(4), scheme).freedBytes
        }
        #expect(freed(.firstTail) == .kibibytes(24) * 512)
        #expect(freed(.head) == .kibibytes(28) * 512 && freed(.sharedTail) == .kibibytes(28) * 512)
    }

    @Test("The configuration beside the modules is named as where it stands")
    func modulesConfiguration() throws {
        let configuration = HVOConfiguration(
            sysctl: nil, bootConfig: nil, modulesConfig: "CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP=y\n",
            hasCompressedConfig: false)
        let overview = KernelOverview(
            configuration, nil, nil, [], memory: .gibibytes(1), basePage: .kibibytes(4))
        #expect(KernelReport.configured(overview).contains("says its configuration in /usr/lib/modules;"))
    }

    @Test("The host may give fewer: the figures are of what it gave")
    func fewer() throws {
        let rounds = [(Self.cycle(false, 60, fall: 0), Self.cycle(true, 50, fall: 350))]
        let measurement = try Self.measurement(rounds)
        #expect(measurement.fewestPages == HugePageCount(50))
        let result = try Self.result(measurement)
        #expect(result.holds)
        #expect(KernelReport.lines(result).contains { $0.hasPrefix("The host gave only 50") })
    }

    @Test("Fake heads that the host shows as heads are noted, other pages fail the check")
    func flags() throws {
        let tail: UInt64 = 1 << 16 | 1 << 17
        var words: [UInt64] = [1 << 15 | 1 << 17] + Array(repeating: tail, count: 511)
        words[64] = words[0]
        let noted = try Self.result(Self.measurement(Self.rounds, flagsOn: words))
        #expect(noted.holds)
        #expect(KernelReport.lines(noted).contains { $0.hasPrefix("note  /proc/kpageflags shows 1 fake head of 512") })
        words[65] = words[0]
        let refuted = try Self.result(Self.measurement(Self.rounds, flagsOn: words))
        #expect(Self.refuted(refuted) == [KernelCheck.hostFlagsOn.id])
        #expect(KernelReport.lines(refuted).contains { $0.contains("page 65 has flags 0x28000") })
    }

    @Test("Every form of export has what was measured", arguments: ExportFormat.allCases)
    func exports(_ format: ExportFormat) throws {
        let result = try Self.result(Self.measurement(Self.rounds))
        let text = try format.text(result)
        #expect(text.hasSuffix("\n"))
        #expect(text.contains(format == .prometheus ? "vmemmap_kernel_check_passed{id=" : "added"))
    }
}
