import HostLab
import HostMemory
import Subprocess
import SystemPackage
import Testing

// KSM as a benchmark uses it.
extension HostSettingsTests {
    /// KSM's tunables in the order of putting back.
    private static func ksm() throws -> [Int] { try SamePageMerging.tunables.map { try $0.value() } }

    @Test(
        "KSM's tunables are put back at the end, on a signal, and when the process is killed outright",
        .enabled(if: (try? ksm()) != nil, "this kernel has no KSM"),
        arguments: [nil, Signal.interrupt, .terminate, .kill])
    func ksmTunables(_ signal: Signal?) async throws {
        let before = try Self.ksm()
        if try SamePageMerging.isInUse() { try Test.cancel("KSM is in use on this host") }
        // Enough of them that KSM is still at work when the signal comes; the pool, which is timed first, takes as
        // many.
        let runs = signal == nil ? "2" : "60"
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["bench", "--pages", "64", "--pairs", runs, "--peers", "ksm"],
            input: .none, output: .string(limit: 1 << 16), error: .string(limit: 1 << 16)
        ) { execution in
            guard let signal else { return }
            // max_page_sharing is what KSM is measured with from the first run to the last.
            await waitUntil("KSM is measured") { try Self.ksm()[0] != before[0] }
            try execution.send(signal: signal)
        }
        if signal == .kill {
            #expect(record.terminationStatus == .signaled(Signal.kill.rawValue))
            await waitUntil("the tunables are back") { try Self.ksm() == before }
        } else {
            #expect(
                record.terminationStatus == .exited(signal.map { 128 + $0.rawValue } ?? 0), "\(record.standardError)")
        }
        if signal == nil { #expect(record.standardOutput.contains("\nksm, optimize ")) }
        #expect(try Self.ksm() == before)
        #expect(try SamePageMerging.pagesSaved() == PageCount(0))
    }
}
