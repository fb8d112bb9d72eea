import Glibc
import HostLab
import HostMemory
import Testing

/// One test run at a time: tests that change settings of the host, or hold them against each other, disturb those of
/// another run beside it. Only root's can.
struct HostSettingsTurn: TestTrait, SuiteTrait, TestScoping {
    /// As long as another run's take, and more.
    private static let patienceNanoseconds = 300_000_000_000

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard geteuid() == 0 else { return try await function() }
        // Not the lock of a setting: the commands that the tests run take that.
        let turn = try SettingLock(
            SettingLock.file("tests"), for: "the turn to test settings of the host",
            patienceNanoseconds: Self.patienceNanoseconds)
        defer { turn.release() }
        try await function()
    }
}

extension Trait where Self == HostSettingsTurn {
    static var hostSettingsTurn: Self { HostSettingsTurn() }
}

/// Waits until `condition` holds, for a minute at most: then the test has failed.
func waitUntil(_ what: Comment, _ condition: () throws -> Bool) async {
    for _ in 0..<60_000 {
        do {
            if try condition() { return }
            try await Task.sleep(for: .milliseconds(1))
        } catch {
            break
        }
    }
    Issue.record("not within a minute: \(what)")
}
