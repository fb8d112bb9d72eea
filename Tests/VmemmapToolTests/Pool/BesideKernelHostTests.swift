import HostLab
import HostMemory
import Subprocess
import Testing
import VmemmapEmulator
@testable import VmemmapTool

// A script beside the kernel: it changes the pools, and puts them back.
extension HostSettingsTests {
    /// What it changes, and the sizes of both pools.
    private static let besideSettings =
        [HostSetting.optimizeVmemmap]
        + MachineSizes.x86.hugePages.map(\.bytes).flatMap {
            [HugeTLBPool.exclusiveSize(ofPagesOf: $0), HugeTLBPool.overcommit(ofPagesOf: $0)]
        }

    /// Whether both pools are there and empty, and the kernel has the optimization.
    private static let canCompare: Bool = {
        let pools = MachineSizes.x86.hugePages.map { HugeTLBPool.current(ofPagesOf: $0.bytes) }
        return pools.allSatisfy { $0?.pages == .zero } && (try? HostSetting.optimizeVmemmap.value()) != nil
            && (try? HostLimits.hostAvailableMemory()).map { $0 >= .gibibytes(8) } == true
    }()

    private static let lacking: Comment = "a pool has huge pages, or there is none, or less than 8 GiB of memory"

    private func besideValues() throws -> [Int] { try Self.besideSettings.map { try $0.value() } }

    @Test(
        "Every example does on the kernel's pools what it does on the emulated ones", .enabled(if: canCompare, lacking),
        arguments: BesideKernelTests.examples)
    func besideExamples(_ name: String) async throws {
        let before = try besideValues()
        let outcome = try await Command.run([
            "pool", "--beside-kernel", "\(Command.repository)/scripts/examples/beside-kernel/\(name).pool",
        ])
        // Memory in small pieces is the host's, and refused by name.
        if outcome.code == 3, outcome.error.contains("in one piece each, and it found") {
            #expect(try besideValues() == before)
            try Test.cancel("no memory in large pieces: \(outcome.error)")
        }
        #expect(
            outcome.code == 0 && outcome.output.contains("\nok    the emulated pools and the others do the same: "),
            "\(outcome)")
        #expect(outcome.output.split(separator: "\n").filter { $0.hasPrefix("  2M") }.allSatisfy { $0.count <= 80 })
        #expect(try besideValues() == before)
    }

    @Test("Scripts that are drawn do the same on both", .enabled(if: canCompare, lacking))
    func besideRandom() async throws {
        let before = try besideValues()
        let outcome = try await Command.run(["pool", "--random", "40", "--seed", "1", "--beside-kernel"])
        #expect(
            outcome.code == 0 && outcome.output.contains("\nok    the emulated pools and the others do the same: "),
            "\(outcome)")
        #expect(try besideValues() == before)
    }

    @Test("A pool with huge pages is somebody's: nothing is begun", .enabled(if: canCompare, lacking))
    func besideUsedPool() async throws {
        let pool = HugeTLBPool.exclusiveSize(ofPagesOf: .mebibytes(2))
        defer { try? HostSettingsTests.write(0, to: pool) }
        try HostSettingsTests.write(3, to: pool)
        let outcome = try await Command.run(["pool", "--random", "1", "--beside-kernel"])
        #expect(outcome.code == 4 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.error.contains("is in use: it has 3, 3 of them free"), "\(outcome)")
        #expect(outcome.error.contains("echo 0 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"))
        #expect(try pool.value() == 3)
    }

    @Test(
        "Ended at any moment, a comparison leaves the pools empty and the settings as they were",
        .enabled(if: canCompare, lacking), arguments: [Signal.interrupt, .terminate, .kill],
        [1, 2, 3, 4] as [UInt64])
    func besideEnded(_ signal: Signal, _ seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let before = try besideValues()
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["pool", "--random", "100000", "--seed", "\(seed)", "--beside-kernel"],
            input: .none, output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            await waitUntil("the first change") { try besideValues() != before }
            // Half of them at once, while the first huge page is tried.
            if seed > 2 { try await Task.sleep(for: .microseconds(Int.random(in: 0...400_000, using: &random))) }
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            await waitUntil("the settings are back") { try besideValues() == before }
        } else {
            #expect(record.terminationStatus == .exited(128 + signal.rawValue), "\(record.standardError)")
            #expect(record.standardError.isEmpty, "\(record.standardError)")
        }
        #expect(try besideValues() == before)
    }
}
