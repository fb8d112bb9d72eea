import ArgumentParser
import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("One huge page of the host's own, before more are taken")
struct KernelTrialTests {
    /// A trial: of a kernel that is sound, if nothing else is said.
    static func trial(
        reports: Int? = 0, words: [String] = [], lost: Int? = 0, stray: Int? = 0, scheme: Scheme? = .head
    ) -> KernelTrial {
        KernelTrial(
            hugePageBytes: .mebibytes(2), pages: HugePageCount(1), badPageReports: Measured(reports),
            kernelWords: words, lostPages: Measured(lost.map { HugePageCount($0) }),
            strayVmemmapPages: Measured(stray.map { PageCount($0) }), scheme: Measured(scheme))
    }

    /// What Linux 6.12.117 makes of it.
    static let broken = trial(
        reports: 41,
        words: ["BUG: Bad page state in process \u{1b}[31mx  pfn:03c40", "page dumped because: nonzero mapcount"],
        lost: 1, stray: 7)

    private static func taint(_ bits: Int?) -> KernelTaint? { bits.flatMap { KernelTaint("\($0)\n") } }

    @Test(
        "A bad page is one that the taint bit or the log tells of; where neither can, nothing is said",
        arguments: [
            (0, 0, 0, 0), (4, 4, 0, 0), (4, 4, nil, 0), (4, 36, 41, 41), (4, 36, 0, 1), (4, 36, nil, 1),
            // The bit was set, and the kernel may be silent by now.
            (36, 36, 0, nil), (36, 36, nil, nil), (36, 36, 3, 3), (nil, nil, 0, nil), (nil, nil, 2, 2),
            (0, nil, 0, nil),
        ] as [(Int?, Int?, Int?, Int?)])
    func badPages(_ before: Int?, _ after: Int?, _ logged: Int?, _ expected: Int?) {
        let found = KernelTrial.badPageReports(
            before: Self.taint(before), after: Self.taint(after), logged: logged)
        #expect(found == expected)
    }

    private static func memory(_ lostKibibytes: Int?) -> UnaccountedMemory? {
        lostKibibytes.flatMap { lost in
            UnaccountedMemory(
                meminfo: """
                    MemTotal: 2000000 kB
                    MemFree: \(1_945_112 - lost) kB
                    Active: 0 kB
                    Inactive: 0 kB
                    Unevictable: 0 kB
                    Slab: 100 kB
                    KernelStack: 0 kB
                    PageTables: 0 kB
                    """, zoneinfo: "  count: 4654\n", pageSize: .kibibytes(4))
        }
    }

    @Test(
        "With sound struct pages, memory in no account is somebody else's",
        arguments: [
            (true, 0, 0, nil), (true, nil, 0, true), (true, 0, nil, true), (true, 0, 7, true), (false, 0, 0, false),
            (nil, 0, 0, nil),
        ] as [(Bool?, Int?, Int?, Bool?)])
    func believed(_ isLost: Bool?, _ reports: Int?, _ stray: Int?, _ expected: Bool?) {
        #expect(KernelTrial.believed(isLost, reports: reports, stray: stray) == expected)
    }

    @Test(
        "A huge page is lost if about as much memory is in no account any more",
        arguments: [
            (0, 0, false), (0, 2004, true), (0, 1536, true), (0, 1535, false), (500, 0, false), (5000, 7048, true),
            (0, 3071, true), (0, 3072, false),
            (nil, 0, nil), (0, nil, nil),
        ] as [(Int?, Int?, Bool?)])
    func memory(_ before: Int?, _ after: Int?, _ expected: Bool?) {
        let isLost = KernelTrial.isLost(
            before: Self.memory(before), after: Self.memory(after), pageSize: .mebibytes(2))
        #expect(isLost == expected)
    }

    @Test("Each check can fail, and what was not measured fails none")
    func checks() {
        #expect(Self.trial().checks.allSatisfy { $0.outcome == .passed })
        let unknown = Self.trial(reports: nil, lost: nil, stray: nil)
        #expect(unknown.checks.holds && unknown.checks.allSatisfy { $0.outcome == .notMeasured })
        for (trial, id) in [
            (Self.trial(reports: 1), KernelCheck.noBadPages.id), (Self.trial(lost: 2), KernelCheck.memoryComesBack.id),
            (Self.trial(stray: 7), KernelCheck.restoredPagesAreTheirOwn.id),
        ] {
            #expect(!trial.checks.holds && trial.checks.filter { $0.outcome == .failed }.map(\.id) == [id])
        }
    }

    @Test("The error has the kernel's own words, harmless for a terminal, and the way out; the code is 2")
    func text() {
        let line = ErrorText.line(.brokenKernel(Self.broken))
        #expect(line.contains("bad page reports 41, huge pages lost 1, stray vmemmap pages 7 after 1 huge page"))
        #expect(line.contains(#"the kernel says "BUG: Bad page state in process"#))
        #expect(line.contains("pfn:03c40; page dumped because: nonzero mapcount\"; nothing more was taken; reboot"))
        #expect(!line.unicodeScalars.contains { $0.value < 32 })
        #expect(ExitCode(ExperimentError.brokenKernel(Self.broken)) == .violation)
        #expect(!Self.trial(reports: 1).text.contains("the kernel says"))
    }

    @Test("A kernel that is broken fails the measurement, and every form of export says by what")
    func stopped() throws {
        let result = KernelResult(host: try .current(), kernel: try .current(), stoppedBy: Self.broken)
        #expect(!result.holds && result.checks.count { $0.outcome == .failed } == 3)
        #expect(result.measurement.value == nil)
        let lines = KernelReport.lines(result)
        #expect(lines.contains { $0.hasPrefix("FAIL  its memory comes back to the host") })
        #expect(lines.contains { $0.contains("reboot, and leave vm.hugetlb_optimize_vmemmap at 0") })
        for format in [ExportFormat.json, .markdown, .prometheus, .html] {
            #expect(try format.text(result).contains("stray_vmemmap_pages"), "\(format)")
        }
        #expect(try Self.mistake(result, "command_kernel") == nil)
    }

    private static func mistake(_ result: some ExportableResult, _ command: String) throws -> String? {
        let schema = JSONSchema(
            try JSON(
                text: Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/vmemmap-export.schema.json")))
        return schema.mistake(in: try JSON(text: ExportFormat.json.text(result)), by: command)
    }

    @Test("The same kernel as a peer: a row that says why it was not measured, and a benchmark that fails")
    func stoppedPeer() throws {
        var result = try BenchExperiment(pages: HugePageCount(16), pairs: 1).run()
        #expect(result.verdict == nil)
        result = BenchResult(
            host: result.host, configuration: result.configuration, endedBySignal: .notMeasured,
            combinations: result.combinations, kernel: PeerRow(notMeasured: Self.broken.text),
            stoppedBy: .value(Self.broken), notJudged: .notMeasured, goals: [])
        #expect(result.verdict == false)
        let why = "kernel: this kernel's own vmemmap optimization is broken"
        #expect(BenchReport.lines(result).contains { $0.hasPrefix(why) })
        #expect(try Self.mistake(result, "command_bench") == nil)
    }

    // MARK: The scheme

    @Test(
        "The kernel's scheme is what its page tables show, and by its release where they cannot be read",
        arguments: [
            ("5.10.0-35-amd64", Scheme.head), ("5.14.0", .firstTail), ("5.17.15-arch1", .firstTail), ("5.18.0", .head),
            ("6.18.44-fc-v782", .head), ("7.0.9", .head), ("7.1-rc2", .sharedTail),
            ("7.3.4+deb13-cloud-amd64", .sharedTail), ("10.0", .sharedTail), ("", .head), ("x", .head),
        ])
    func scheme(_ release: String, _ expected: Scheme) {
        let byRelease = SchemeOfKernel(pageTables: nil, release: release)
        #expect(byRelease.scheme == expected && byRelease.source == .release)
        let shown = SchemeOfKernel(pageTables: .firstTail, release: release)
        #expect(shown.scheme == .firstTail && shown.source == .pageTables)
    }
}
