import Experiments
import FoundationEssentials
import Glibc
import HostMemory
import Subprocess
import SystemPackage
import Testing
import VmemmapEmulator

/// Tests that change settings of the host, and put them back. Other tests look at the same settings, so scripts/test runs
/// these apart, before all others.
@Suite(
    "Settings of the host", .serialized, .enabled(if: geteuid() == 0, "only root may change settings of the host"),
    .enabled(
        if: ProcessInfo.processInfo.environment["VMEMMAP_TEST_HOST_SETTINGS"] == "1",
        "they change what other tests look at: scripts/test runs them apart"))
struct HostSettingsTests {
    @Test(
        "A raised limit is put back at the end, on a signal, and when the process is killed outright",
        arguments: [nil, Signal.interrupt, .terminate, .kill])
    func raisedLimit(_ signal: Signal?) async throws {
        let before = try HostLimits.maxMapCount()
        // A little more than fits.
        let memory = "\(before.rawValue / 8 * 2 + 200)M"
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["savings", "--memory", memory, "--raise-map-limit"], input: .none,
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            guard let signal else { return }
            while try HostLimits.maxMapCount() == before { try await Task.sleep(for: .milliseconds(2)) }
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            for _ in 0..<100 where try HostLimits.maxMapCount() != before {
                try await Task.sleep(for: .milliseconds(20))
            }
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
        let measurement = KernelMeasurement(pages: HugePageCount(64))
        return (try? measurement.guardSettings()) != nil
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
        let pool = try HugeTLBPool.size(ofPagesOf: .mebibytes(2))
        let before = try settings()
        // Huge pages of somebody else's, with the setting the other way round.
        let others = try ChangedSettings(guarding: [pool, .optimizeVmemmap])
        defer { try? others.putBack() }
        try others.set(.optimizeVmemmap, to: 1)
        try others.set(pool, to: try pool.value() + 5)
        let between = try settings()
        let result = try KernelMeasurement(pages: HugePageCount(16), rounds: 1).run()
        #expect(result.pagesBefore == HostHugePageCount(try pool.value()))
        #expect(result.fewestPages == HugePageCount(16))
        let round = try #require(result.rounds.first)
        if let fall = round.on.memmapFallPages.value { #expect(fall == PageCount(7 * 16)) }
        if let fall = round.off.memmapFallPages.value { #expect(fall == .zero) }
        #expect(try settings() == between)
        try others.putBack()
        #expect(try settings() == before)
    }

    @Test(
        "Interrupted at any moment, a measurement leaves the settings as they were",
        .enabled(if: canMeasure, "no vm.hugetlb_optimize_vmemmap, or no 128 MiB for huge pages"),
        arguments: [Signal.interrupt, .terminate, .kill], [1, 2] as [UInt64])
    func interrupted(_ signal: Signal, _ seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let before = try settings()
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["kernel", "--measure", "--pages", "64", "--runs", "1000"], input: .none,
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            // From the first change on, a thousand rounds of them.
            while try settings() == before { try await Task.sleep(for: .milliseconds(1)) }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...100_000, using: &random)))
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            for _ in 0..<150 where try settings() != before { try await Task.sleep(for: .milliseconds(20)) }
        } else {
            #expect(record.terminationStatus == .exited(128 + signal.rawValue), "\(record.standardError)")
            #expect(record.standardError.isEmpty)
        }
        #expect(try settings() == before)
    }
}
