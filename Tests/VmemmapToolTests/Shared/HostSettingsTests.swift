import FoundationEssentials
import Glibc
import HostLab
import HostMemory
import Subprocess
import SystemPackage
import Testing
import VmemmapEmulator
@testable import VmemmapTool

/// Tests that change settings of the host, and put them back. Other tests look at the same settings, so scripts/test
/// runs these apart, before all others.
@Suite(
    "Settings of the host", .serialized, .enabled(if: geteuid() == 0, "only root may change settings of the host"),
    .enabled(
        if: ProcessInfo.processInfo.environment["VMEMMAP_TEST_HOST_SETTINGS"] == "1",
        "they change what other tests look at: scripts/test runs them apart"), .hostSettingsTurn)
struct HostSettingsTests {
    @Test(
        "A raised limit is put back at the end, on a signal, and when the process is killed outright",
        arguments: [nil, Signal.interrupt, .terminate, .quit, .kill])
    func raisedLimit(_ signal: Signal?) async throws {
        let before = try HostLimits.maxMapCount()
        // A little more than fits.
        let memory = "\(before.rawValue / 8 * 2 + 200)M"
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["savings", "--memory", memory, "--raise-map-limit"], input: .none,
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            guard let signal else { return }
            await waitUntil("the limit is raised") { try HostLimits.maxMapCount() != before }
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            await waitUntil("the limit is back") { try HostLimits.maxMapCount() == before }
        } else {
            #expect(
                record.terminationStatus == .exited(signal.map { 128 + $0.rawValue } ?? 0), "\(record.standardError)")
        }
        #expect(try HostLimits.maxMapCount() == before)
    }

    // MARK: The host's own pool

    private static let pools = [ByteCount.mebibytes(2), .gibibytes(1)].compactMap {
        try? HugeTLBPool.size(ofPagesOf: $0)
    }.filter { (try? $0.value()) != nil }

    /// Whether there is a pool to measure, with 64 huge pages to spare.
    private static let canMeasure: Bool = {
        do throws(ExperimentError) {
            Guardian.program.withLock { $0 = Command.binary }
            _ = try KernelMeasurement(pages: HugePageCount(64)).guardSettings()
            return true
        } catch {
            // Another run measures: there is something to measure.
            if case .inUse = error { return true }
            return false
        }
    }()

    /// The settings that a measurement changes.
    private func settings() throws -> [Int] {
        try ([.optimizeVmemmap] + Self.pools).map { try $0.value() }
    }

    @Test(
        "The kernel is measured, the emulator saves the same, and the settings are what they were",
        .enabled(if: canMeasure, "no vm.hugetlb_optimize_vmemmap, or no 128 MiB for huge pages"))
    func measureKernel() async throws {
        let before = try settings()
        let outcome = try await Command.run(["kernel", "--measure", "--pages", "64"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.error.isEmpty)
        #expect(!outcome.output.contains("FAILS"), "\(outcome.output)")
        #expect(outcome.output.contains("64 huge pages were added to the "))
        #expect(try settings() == before)
    }

    @Test(
        "As the library has it: what was there before stays, and comes back",
        .enabled(if: canMeasure, "no vm.hugetlb_optimize_vmemmap, or no 128 MiB for huge pages"))
    func measureBesideOthers() throws {
        Guardian.program.withLock { $0 = Command.binary }
        let pool = try HugeTLBPool.size(ofPagesOf: .mebibytes(2))
        let before = try settings()
        // Huge pages of somebody else's, with the setting the other way round.
        defer {
            try? HostSettingsTests.write(before[1], to: pool)
            try? HostSettingsTests.write(before[0], to: .optimizeVmemmap)
        }
        try Self.write(1, to: .optimizeVmemmap)
        try Self.write(try pool.value() + 5, to: pool)
        let between = try settings()
        let result = try KernelMeasurement(pages: HugePageCount(16), pairs: 1).run()
        #expect(result.pagesBefore == HostHugePageCount(try pool.value()))
        #expect(result.fewestPages == HugePageCount(16))
        // A kernel that keeps what it is given: all three are measured where its memory can be read.
        #expect(result.trial.checks.holds && result.trial.lostPages.value == .zero)
        if (try? PageTablesExperiment().checkSupport()) != nil {
            #expect(result.trial.strayVmemmapPages.value == .zero && result.schemeSource == .pageTables)
        }
        let pair = try #require(result.pairs.first)
        if let fall = pair.on.memmapFallPages.value { #expect(fall == PageCount(7 * 16)) }
        if let fall = pair.off.memmapFallPages.value { #expect(fall == .zero) }
        #expect(try settings() == between)
    }

    /// As somebody does who knows nothing of locks.
    static func write(_ value: Int, to setting: HostSetting) throws {
        let file = try HostKernel.open(setting.path, .writeOnly)
        defer { try? HostKernel.close(file) }
        try HostKernel.write(Array("\(value)\n".utf8), to: file, name: setting.name)
    }

    // MARK: Two at once

    @Test("A second run is refused with the number of the first, which goes on")
    func twoAtOnce() async throws {
        Guardian.program.withLock { $0 = Command.binary }
        let limit = try ChangedSettings(guarding: [.maxMapCount])
        let ksm = try? ChangedSettings(guarding: SamePageMerging.tunables)
        let pool = Self.canMeasure ? try ChangedSettings(guarding: [.optimizeVmemmap]) : nil
        defer { for settings in [limit, ksm, pool] { try? settings?.putBack() } }
        let holder = "in use by process \(getpid()), which puts it back"
        let savings = try await Command.run(["savings", "--memory", "64M", "--raise-map-limit"])
        #expect(savings.code == 3 && savings.output.isEmpty, "\(savings)")
        #expect(savings.error.contains("vm.max_map_count is \(holder)"), "\(savings)")
        let bench = try await Command.run(["bench", "--pages", "4", "--pairs", "1", "--peers", "ksm,kernel"])
        #expect(bench.code == 0, "\(bench)")
        // Lines are broken: the words are what counts.
        let words = bench.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        if ksm != nil { #expect(words.contains("ksm/max_page_sharing is \(holder)"), "\(bench)") }
        if pool != nil { #expect(words.contains("nr_hugepages is \(holder)"), "\(bench)") }
        if pool != nil {
            let kernel = try await Command.run(["kernel", "--measure", "--pages", "4"])
            #expect(kernel.code == 3 && kernel.error.contains("nr_hugepages is \(holder)"), "\(kernel)")
        }
        try limit.putBack()
        let after = try await Command.run(["savings", "--memory", "64M", "--raise-map-limit"])
        #expect(after.code == 0, "\(after)")
    }

    @Test(
        "Interrupted at any moment, a measurement leaves the settings as they were",
        .enabled(if: canMeasure, "no vm.hugetlb_optimize_vmemmap, or no 128 MiB for huge pages"),
        arguments: [Signal.interrupt, .terminate, .kill], [1, 2] as [UInt64])
    func interrupted(_ signal: Signal, _ seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let before = try settings()
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["kernel", "--measure", "--pages", "64", "--pairs", "1000"], input: .none,
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            // From the first change on, a thousand rounds of them.
            await waitUntil("the first change") { try settings() != before }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...100_000, using: &random)))
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            await waitUntil("the settings are back") { try settings() == before }
        } else {
            #expect(record.terminationStatus == .exited(128 + signal.rawValue), "\(record.standardError)")
            #expect(record.standardError.isEmpty)
        }
        #expect(try settings() == before)
    }

    // MARK: Page tables

    /// Whether the kernel's memory can be read, too.
    private static let canRead = canMeasure && (try? PageTablesExperiment().checkSupport()) != nil

    @Test(
        "The kernel's page tables agree with its scheme, its count and its marks; the settings are what they were",
        .enabled(if: canRead, "nothing to measure, or the kernel's memory cannot be read"))
    func pageTables() async throws {
        let before = try settings()
        let folder = try TemporaryFolder()
        let file = folder.path("recording")
        try folder.write("public", to: "recording")
        let outcome = try await Command.run(["kernel", "--page-tables", "--pages", "8", "--record", file])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.error.contains("holds words of this kernel's memory"))
        #expect(!outcome.output.contains("FAIL"), "\(outcome.output)")
        #expect(try settings() == before)
        let status = try HostKernel.status(of: FilePath(file))
        #expect(status.permissions == [.ownerReadWrite] && status.size < 1 << 16)
        let replayed = try await Command.run(["kernel", "--replay", file])
        #expect(replayed.code == 0, "\(replayed)")
        func picture(_ text: String) -> [Substring] {
            text.split(separator: "\n").filter { $0.contains("| pfn") }.prefix(8).map { $0 }
        }
        #expect(picture(replayed.output) == picture(outcome.output))
    }

    @Test(
        "Interrupted at any moment, reading page tables leaves the settings as they were",
        .enabled(if: canRead, "nothing to measure, or the kernel's memory cannot be read"),
        arguments: [Signal.interrupt, .terminate, .kill])
    func interruptedReading(_ signal: Signal) async throws {
        var random = SplitMix64(seed: 3)
        let before = try settings()
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["kernel", "--page-tables", "--pages", "512"], input: .none,
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            await waitUntil("the first change") { try settings() != before }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...100_000, using: &random)))
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            await waitUntil("the settings are back") { try settings() == before }
        } else {
            #expect(record.terminationStatus == .exited(128 + signal.rawValue), "\(record.standardError)")
        }
        #expect(try settings() == before)
    }
}
