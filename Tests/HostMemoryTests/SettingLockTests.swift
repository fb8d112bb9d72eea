@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

/// On files that stand for settings and locks: the host's own are left alone.
@Suite("Settings that several processes change")
struct SettingLockTests {
    private let stand = StandIn("setting", 3)
    private var setting: HostSetting { stand.setting }

    @Test("One at a time: the second is refused with the number of the first, and has them once they are back")
    func exclusive() throws {
        let first = try ChangedSettings(guarding: [setting])
        try first.set(setting, to: 100)
        let refusal = try #require(SettingRefusal.thrown([setting]))
        #expect(refusal.holder == getpid())
        guard case .inUse(let settings) = refusal else { return }
        #expect("\(settings)".contains("setting is in use by process \(getpid()), "))
        try first.putBack()
        let second = try ChangedSettings(guarding: [setting], patienceNanoseconds: 0)
        #expect(second.original(setting) == 3)
    }

    @Test("A lock is waited for: whoever comes while another puts things back gets in")
    func waits() throws {
        let first = try ChangedSettings(guarding: [setting])
        try first.set(setting, to: 100)
        let thread = try HostThread {
            HostKernel.sleep(nanoseconds: 20_000_000)
            try? first.putBack()
        }
        let second = try ChangedSettings(guarding: [setting], patienceNanoseconds: 60_000_000_000)
        #expect(second.original(setting) == 3)
        thread.join()
    }

    @Test("The lock's file is followed nowhere, and nobody else's is taken")
    func unsafeFiles() throws {
        let path = setting.lock
        func refusal() -> Errno? { SettingRefusal.thrown([setting])?.noLock?.errno }
        // SAFETY: here and below, the paths are C strings that live for the call.
        #expect(unsafe symlink("/dev/null", path.string) == 0)
        #expect(refusal() == .tooManySymbolicLinkLevels)
        try HostKernel.remove(path)
        #expect(unsafe mkfifo(path.string, 0o600) == 0)
        #expect(refusal() == .notPermitted)
        try HostKernel.remove(path)
        // Everybody could hold a lock on it.
        #expect(unsafe link(setting.path.string, path.string) == 0)
        #expect(refusal() == .notPermitted)
        try HostKernel.remove(path)
        #expect(refusal() == nil)
        #expect(unsafe chmod(path.string, 0o644) == 0)
        #expect(refusal() == .notPermitted)
        #expect(try setting.value() == 3)
    }

    // MARK: Somebody else changes them

    @Test("What somebody else has changed is neither changed again nor put back, and that is said")
    func changedMeanwhile() throws {
        let settings = try ChangedSettings(guarding: [setting])
        try settings.set(setting, to: 100)
        stand.write("55\n")
        let refused = HostError.thrown { () throws(HostError) in try settings.set(setting, to: 200) }
        #expect(refused?.errno == .resourceBusy)
        let failure = try #require(SettingNotPutBack.thrown(by: settings))
        #expect(failure.cause == .changedMeanwhile && failure.found == 55 && failure.wanted == 3)
        #expect("\(failure)".hasPrefix("somebody else has changed setting since, it is 55 and was left so; "))
        #expect(try setting.value() == 55)
        // That was the last word.
        #expect(SettingNotPutBack.thrown(by: settings) == nil)
        #expect(SettingRefusal.thrown([setting]) == nil)
    }

    @Test("Nor by the guardian of a process that was killed")
    func changedMeanwhileAndKilled() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = setting.path.string as String, lock = setting.lock.string as String] in
            StandIn.prepareGuardian()
            let setting = HostSetting(name: "setting", path: FilePath(path), lock: FilePath(lock))
            let settings = try ChangedSettings(guarding: [setting])
            try settings.set(setting, to: 100)
            _ = try setting.write(550)
            raise(SIGKILL)
        }
        let next = try ChangedSettings(guarding: [setting], patienceNanoseconds: 60_000_000_000)
        #expect(next.original(setting) == 550)
    }

    // MARK: The guardian

    @Test("A guardian that was killed is no harm: the settings are put back, and it is no zombie")
    func guardianKilled() async {
        await #expect(processExitsWith: .success) {
            let stand = StandIn("setting", 3)
            let settings = try ChangedSettings(guarding: [stand.setting])
            try settings.set(stand.setting, to: 100)
            #expect(kill(settings.guardianProcessID, SIGKILL) == 0)
            try settings.set(stand.setting, to: 200)
            try settings.putBack()
            #expect(try stand.setting.value() == 3)
            #expect(Self.hasNoChild)
        }
    }

    @Test("No guardian is left behind as a zombie, however many signals come")
    func zombies() async {
        await #expect(processExitsWith: .success) {
            try HostKernel.enableInterruptions()
            let main = pthread_self()
            let isDone = Guarded(false)
            let interrupter = try HostThread {
                while !isDone.withLock({ $0 }) {
                    _ = pthread_kill(main, SIGUSR1)
                    HostKernel.sleep(nanoseconds: 20_000)
                }
            }
            let stand = StandIn("setting", 3)
            for value in 0..<20 {
                let settings = try ChangedSettings(guarding: [stand.setting])
                try settings.set(stand.setting, to: value)
                try settings.putBack()
            }
            isDone.withLock { $0 = true }
            interrupter.join()
            #expect(Self.hasNoChild)
            #expect(try stand.setting.value() == 3)
        }
    }

    @Test("A guardian that cannot be started is named by the call, and leaves neither lock nor descriptors")
    func notStarted() throws {
        let before = try OpenFiles.count()
        for (operation, name) in [(HostOperation.fork, "fork"), (.startProcess, "posix_spawn")] {
            let fault = InjectedFault(first: 1, errno: .resourceTemporarilyUnavailable, operations: [operation])
            let (refusal, _) = fault.during { SettingRefusal.thrown([setting]) }
            #expect(refusal?.host.map { "\($0)".hasPrefix(name) } == true, "\(name)")
        }
        Guardian.program.withLock { $0 = "/bin/true" }
        #expect(SettingRefusal.thrown([setting])?.host?.operation == .startProcess)
        StandIn.prepareGuardian()
        #expect(try OpenFiles.count() == before)
        #expect(SettingRefusal.thrown([setting]) == nil)
    }

    // MARK: A limit that others need

    /// Fewer than vm.max_map_count allows by default, more than any other process has.
    private static let many = 60_000

    @Test("A limit is not lowered under a process that is above it: the guardian does it as soon as that has ended")
    func needed() async throws {
        if let other = HostKernel.process(above: Self.many) {
            try Test.cancel("process \(other) has more than \(Self.many) mappings")
        }
        await #expect(processExitsWith: .success) {
            let stand = StandIn("limit", Self.many, limitsMappings: true)
            let settings = try ChangedSettings(guarding: [stand.setting])
            try settings.set(stand.setting, to: 100_000)
            // A child with this process's mappings, which this one has no longer then.
            let pages = try Ballast(Self.many + 500)
            let child = try ForkProbe(storingTo: [Address(8)])
            pages.release()
            let failure = try #require(SettingNotPutBack.thrown(by: settings))
            #expect(failure.cause == .needed(by: child.processID, guardian: settings.guardianProcessID))
            #expect(try stand.setting.value() == 100_000)
            #expect(SettingRefusal.thrown([stand.setting]) != nil)
            child.end()
            let next = try ChangedSettings(guarding: [stand.setting], patienceNanoseconds: 60_000_000_000)
            #expect(next.original(stand.setting) == Self.many)
        }
    }

    @Test("Mappings of other processes are counted as /proc shows them")
    func above() throws {
        #expect(HostKernel.process(above: Int.max) == nil)
        let child = try ChildProcess("/bin/cat", [])
        #expect(HostKernel.process(above: 1) != nil)
        try child.end()
    }

    private static var hasNoChild: Bool {
        waitpid(-1, nil, WNOHANG) == -1 && errno == ECHILD
    }
}

/// Many mappings: every other page of a stretch has another protection.
private struct Ballast {
    private let range: AddressRange

    init(_ mappings: Int) throws(HostError) {
        range = try HostKernel.mapAnonymous(length: HostLimits.pageSize * mappings)
        for pair in 0..<mappings / 2 {
            let page = AddressRange(
                start: range.start + HostLimits.pageSize * (pair * 2), length: HostLimits.pageSize)
            try HostKernel.protect(page, .readOnly)
        }
    }

    func release() { try? HostKernel.unmap(range) }
}

extension SettingNotPutBack {
    /// What putting back throws; nil if it throws nothing.
    static func thrown(by settings: ChangedSettings) -> SettingNotPutBack? {
        do throws(SettingNotPutBack) {
            try settings.putBack()
            return nil
        } catch {
            return error
        }
    }
}
