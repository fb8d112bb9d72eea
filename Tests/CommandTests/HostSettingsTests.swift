import FoundationEssentials
import Glibc
import HostMemory
import Subprocess
import SystemPackage
import Testing

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
}
