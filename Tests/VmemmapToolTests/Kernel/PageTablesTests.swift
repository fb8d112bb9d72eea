import Glibc
import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@testable import KernelMemory
@testable import VmemmapTool

/// A kernel's recording with one huge page of 2 MiB, made with the optimization off and then with it on. Made up.
enum RecordedKernel {
    static func text(_ entriesOn: String, mark: String = "18") -> String {
        """
        vmemmap-kernel-recording 1
        kernel Linux 6.18.44 x86_64
        levels 4
        root ffff88811b256000
        direct-map ffff888000000000
        address-mask 0000fffffffff000
        vmemmap ffffea0000000000
        struct-page 64 8
        optimized-flag 40 4
        found vmemmap: 0xffffea0000000000: vmemmap (VMCOREINFO); mem_section (VMCOREINFO)
        look off
        pool 2097152 3
        page 4a3a00 2097152
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 80000006396001e3
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 8
        look on
        pool 2097152 3
        page 4a3a00 2097152
        ffff888102b1e740 \(entriesOn)
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 102b1e067
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 \(mark)
        end

        """
    }

    static let head = "800000019593b163 800000019593b121*7"
    static let firstTail = "800000019593b163 800000019593c163 800000019593c121*6"
    static let sharedTail = "800000019593b163 8000000195940121*7"
    static let all: [(String, Scheme)] = [(head, .head), (firstTail, .firstTail), (sharedTail, .sharedTail)]
}

@Suite("The kernel's page tables beside the emulator")
struct PageTablesTests {
    private static func result(
        _ entries: String = RecordedKernel.head, mark: String = "18", falls: [LookKind: PageCount] = [:],
        missed: [LookKind: HostHugePageCount] = [:], differing: Int? = nil
    ) throws -> KernelResult {
        let recording = try KernelRecording(text: RecordedKernel.text(entries, mark: mark))
        let looks = try recording.kinds.compactMap { kind in try recording.look(kind).map { (kind, $0) } }
        var block = PageTablesBlock(
            kernel: recording.kernel, source: "bpf", layout: recording.layout, looks: looks, falls: falls,
            missed: missed)
        block.differingContentPages = Measured(differing.map { PageCount($0) })
        block.emulated = try PageTablesExperiment().look(at: .recording(recording)).block.emulated
        return KernelResult(host: try .current(), kernel: try .current(), pageTables: block)
    }

    private static func refuted(_ result: KernelResult) -> [String] { checks(result, .failed) }

    private static func checks(_ result: KernelResult, _ outcome: Check.Outcome) -> [String] {
        result.checks.filter { $0.outcome == outcome }.map(\.id)
    }

    @Test("The emulated huge page has the shape of the kernel's, under each scheme", arguments: RecordedKernel.all)
    func shapes(entries: String, scheme: Scheme) throws {
        let recording = try KernelRecording(text: RecordedKernel.text(entries))
        let block = try PageTablesExperiment().look(at: .recording(recording)).block
        #expect(block.scheme.value == scheme && block.source.value == "recording")
        #expect(block.emulated.value?.differingPages == .zero)
        // Beside another scheme it has not.
        let view = try #require(try recording.look(.on)?.sample)
        for other in Scheme.ofHugeTLB where other != scheme {
            let plan = try EmulatedMemory(pages: HugePageCount(1), pageSize: .twoMebibytes, scheme: other)
                .planOnThisHost()
            let region = try VmemmapRegion(plan)
            try region.optimize(region.layout.allHugePages)
            _ = region.visitEveryStructPage()
            let shape = try VmemmapShape(HugePageIndex(0), of: region)
            #expect(shape.differences(from: VmemmapShape(view)) > 0)
        }
    }

    @Test("A page that is populated, and one that is read-only, are other shapes")
    func otherShapes() throws {
        let recording = try KernelRecording(text: RecordedKernel.text(RecordedKernel.head))
        let whole = VmemmapShape(try #require(try recording.look(.off)?.sample))
        let optimized = VmemmapShape(try #require(try recording.look(.on)?.sample))
        #expect(whole.differences(from: optimized) == 7 && whole.differences(from: whole) == 0)
        let readOnly = VmemmapShape([(frame: 1, isWritable: false), nil])
        #expect(readOnly.differences(from: VmemmapShape([(frame: 9, isWritable: false), nil])) == 0)
        #expect(
            readOnly.differences(from: VmemmapShape([(frame: 1, isWritable: true), (frame: 1, isWritable: false)])) == 2
        )
        #expect(readOnly.differences(from: VmemmapShape([(frame: 1, isWritable: false)])) == 1)
    }

    @Test("Where all agrees, every check passes; what was not measured is neither")
    func agrees() throws {
        let result = try Self.result(
            falls: [.off: .zero, .on: PageCount(7)], missed: [.off: .zero, .on: .zero], differing: 0)
        #expect(result.checks.count == 8 && result.checks.allSatisfy { $0.outcome == .passed }, "\(result.checks)")
        let unknown = try Self.result()
        #expect(unknown.holds && Self.refuted(unknown).isEmpty)
        #expect(
            Self.checks(unknown, .notMeasured)
                == [KernelCheck.framesFreedAsCounted, .everyPageIsFound, .contentsAgree].map(\.id))
        // A recording has nothing that could be missed, and a frame that was asked for neither.
        let text = RecordedKernel.text(RecordedKernel.head)
        for text in [text, text.replacing("look on", with: "look page")] {
            let block = try PageTablesExperiment().look(at: .recording(KernelRecording(text: text))).block
            #expect(!block.checks.contains { $0.id == KernelCheck.everyPageIsFound.id })
        }
        // Of shared tails the kernel's count is no measure.
        let shared = try Self.result(RecordedKernel.sharedTail, falls: [.on: PageCount(7)])
        #expect(Self.checks(shared, .notMeasured).contains(KernelCheck.framesFreedAsCounted.id))
    }

    @Test("Each check can fail")
    func failures() throws {
        #expect(try Self.refuted(Self.result(falls: [.on: PageCount(6)])) == [KernelCheck.framesFreedAsCounted.id])
        #expect(try Self.refuted(Self.result(mark: "8")) == [KernelCheck.marksAgree.id])
        #expect(try Self.refuted(Self.result(differing: 1)) == [KernelCheck.contentsAgree.id])
        #expect(try Self.refuted(Self.result(missed: [.on: HostHugePageCount(1)])) == [KernelCheck.everyPageIsFound.id])
        // A neighbour on the same frame.
        let neighbour = """
            page 4a3c00 2097152
            ffff888102b1e780 \(RecordedKernel.head)
            ffff88811b256ea0 63ffcb067
            ffff88863ffca4a0 102b1e067
            ffff88863ffcb000 63ffca067
            ffffea00128f0028 18
            end
            """
        let both = RecordedKernel.text(RecordedKernel.head).replacing("\nend", with: "\n" + neighbour)
        let twice = try PageTablesExperiment().look(at: .recording(KernelRecording(text: both))).block
        #expect(twice.checks.filter { $0.outcome == .failed }.map(\.id) == [KernelCheck.framesAreApart.id])
        // Of one look alone nothing is known of the other.
        #expect(
            try Self.checks(Self.result(missed: [.off: .zero]), .notMeasured).contains(KernelCheck.everyPageIsFound.id))
        // A tail that is writable: no optimized page, whatever the kernel's mark says.
        let writable = "800000019593b163 800000019593b121*6 800000019593b163"
        #expect(try Self.refuted(Self.result(writable)) == [KernelCheck.onIsOptimized, .marksAgree].map(\.id))
        // The optimization on, though it was to be off.
        let recording = try KernelRecording(text: RecordedKernel.text(RecordedKernel.head))
        let on = try #require(try recording.look(.on))
        let block = PageTablesBlock(kernel: "", source: "bpf", layout: recording.layout, looks: [(.off, on)])
        #expect(block.checks.first?.id == KernelCheck.offHasEveryFrame.id && block.checks.first?.outcome == .failed)
        // Nothing is known of pages that others change.
        let changing = VmemmapLook(pools: [], pages: [.changing(pfn: 512, size: .mebibytes(2))])
        let unsettled = PageTablesBlock(
            kernel: "", source: "bpf", layout: recording.layout, looks: [(.off, changing), (.on, changing)],
            falls: [.on: PageCount(7)])
        #expect(unsettled.checks.allSatisfy { $0.outcome == .notMeasured }, "\(unsettled.checks)")
        // Nothing looked at.
        let none = VmemmapLook(pools: [], pages: [])
        let empty = PageTablesBlock(
            kernel: "", source: "bpf", layout: recording.layout, looks: [(.off, none), (.on, none)])
        #expect(
            empty.checks.filter { $0.outcome == .failed }.map(\.id)
                == [KernelCheck.offHasEveryFrame.id, KernelCheck.onIsOptimized.id])
    }

    @Test("The counts and the pictures of the report, and every form of export", arguments: ExportFormat.allCases)
    func report(_ format: ExportFormat) throws {
        let result = try Self.result(falls: [.off: .zero, .on: PageCount(7)], differing: 0)
        let block = try #require(result.pageTables.value)
        let on = try #require(block.look(.on)?.counts.first)
        #expect(on.optimizedPages == HostHugePageCount(1) && on.poolPages.value == HostHugePageCount(3))
        #expect(on.freedFrames == PageCount(7) && on.furtherFrames.value == .zero)
        #expect(block.look(.off)?.counts.first?.wholePages == HostHugePageCount(1))
        let lines = PageTablesReport.lines(result, block)
        #expect(lines.contains { $0.contains("HVO off: whole") && $0.contains("HVO on: optimized") }, "\(lines)")
        #expect(
            lines.contains { $0.contains("|   0 rw  | -----> | pfn 0x6396e8 |") && $0.contains("| pfn 0x19593b |") })
        #expect(lines.contains { $0.contains("|   7 ro  | ---------------------+") })
        let text = try format.text(result)
        switch format {
        case .prometheus:
            #expect(
                text.contains(#"vmemmap_kernel_hugetlb_optimized_pages{look="on",huge_page_bytes="2097152"} 1"#),
                "\(text)")
        case .json:
            let schema = JSONSchema(
                try JSON(
                    text: Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
            #expect(schema.mistake(in: try JSON(text: text), by: "command_kernel") == nil)
        case .html: #expect(text.contains("HVO on: 8 pages in 1 frame") && text.contains("emulated-frames-after"))
        case .csv, .markdown: break
        }
    }

    @Test("Who may not read them is told why, and what would allow it")
    func refusal() throws {
        let block = PageTablesBlock(kernel: "Linux", .notPermitted(refusal: "EPERM"))
        #expect(block.source.value == nil && block.checks.isEmpty && block.looks.isEmpty)
        let lines = PageTablesReport.summary(block, .plain).joined(separator: " ")
        #expect(lines.contains("not readable: this process may not read the kernel's memory (EPERM)"))
        #expect(lines.contains("run it as root, or with CAP_BPF and CAP_PERFMON"))
        for error: KernelMemoryError in [
            .host(HostError(.notPermitted, .bpf, .process)), .host(HostError(Errno(rawValue: 524), .bpf, .process)),
            .lockdown, .xenPV, .otherArchitecture("aarch64"), .noSource(bpf: "", kcore: ""),
        ] {
            guard case .notSupported = ExperimentError(error) else {
                Issue.record("\(error) is something that this host or this user cannot have")
                continue
            }
        }
        guard case .refused = ExperimentError(.unreadable(KernelAddress(8))) else {
            Issue.record("what cannot be read is no lack of the host's")
            return
        }
    }
}

@Suite("vmemmap kernel: page tables")
struct PageTablesCommandTests {
    @Test("A recording is shown to an ordinary user, with the scheme that was found", arguments: RecordedKernel.all)
    func replay(entries: String, scheme: Scheme) async throws {
        let folder = try TemporaryFolder()
        try folder.write(RecordedKernel.text(entries), to: "recording")
        let outcome = try await Command.asOrdinaryUser(["kernel", "--replay", folder.path("recording")])
        #expect(outcome.code == 0 && outcome.error.isEmpty, "\(outcome)")
        #expect(outcome.output.contains("the \(scheme.rawValue) scheme"))
        #expect(outcome.output.contains("differing vmemmap pages 0"))
    }

    @Test("What is no recording, or leads nowhere, is a usage error")
    func hostile() async throws {
        let folder = try TemporaryFolder()
        let text = RecordedKernel.text(RecordedKernel.head)
        try folder.write("", to: "empty")
        try folder.write(text.replacing("ffff88863ffca4a0 102b1e067\n", with: ""), to: "torn")
        try folder.write(text.replacing("*7", with: "*7000000000"), to: "huge")
        try folder.write(text.replacing("end\n", with: ""), to: "short")
        try folder.write(text + String(repeating: "\n", count: KernelRecording.largestFile), to: "long")
        for name in ["empty", "torn", "huge", "short", "long", "missing"] {
            let outcome = try await Command.run(["kernel", "--replay", folder.path(name)])
            #expect(outcome.code == 64 && outcome.output.isEmpty, "\(name): \(outcome)")
            #expect(outcome.error.contains("cannot use the recording"))
        }
    }

    @Test(
        "An ordinary user may not read them, and is told what would allow it",
        arguments: ["--page-tables", "--existing"])
    func notPermitted(option: String) async throws {
        let outcome = try await Command.asOrdinaryUser(["kernel", option])
        #expect(outcome.code == 4 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.error.split(separator: "\n").count == 1)
    }

    static let refused: [[String]] = [
        ["--measure", "--pages", "2", "--page-tables"], ["--existing", "--pfn", "5"], ["--existing", "--pages", "2"],
        ["--page-tables", "--pairs", "2"], ["--pages", "2"], ["--record", "x"], ["--replay", "x", "--record", "y"],
        ["--pfn", "x"], ["--pfn", "-1"], ["--pfn", "0x10000000000"], ["--page-tables", "--pages", "0"],
        ["--kernel-memory", "bpf"], ["--existing", "--kernel-memory", "mem"], ["--existing", "--record", "/dev/null"],
        ["--existing", "--record", "-"],
    ]

    @Test("Options that do not go together are usage errors", arguments: refused)
    func options(_ arguments: [String]) async throws {
        let outcome = try await Command.run(["kernel"] + arguments)
        #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
    }
}
