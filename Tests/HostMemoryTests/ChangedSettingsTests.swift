@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

/// On files that stand for settings: the host's own are left alone.
@Suite("Settings changed and put back", .serialized)
struct ChangedSettingsTests {
    private let first: StandIn
    private let second: StandIn

    init() {
        first = StandIn("first", 3)
        second = StandIn("second", 1, lock: first.setting.lock)
    }

    @Test("They are put back once, and after that nothing changes them")
    func putsBack() throws {
        let settings = try ChangedSettings(guarding: [first.setting, second.setting])
        #expect(settings.original(first.setting) == 3 && settings.original(second.setting) == 1)
        #expect(settings.original(.maxMapCount) == nil)
        try settings.set(first.setting, to: 128)
        try settings.set(second.setting, to: 0)
        #expect(try first.setting.value() == 128 && second.setting.value() == 0)
        try settings.putBack()
        #expect(try first.setting.value() == 3 && second.setting.value() == 1)
        let refused = HostError.thrown { () throws(HostError) in try settings.set(first.setting, to: 7) }
        #expect(refused?.code == .interrupted)
        #expect(HostError.thrown { () throws(HostError) in try settings.during {} }?.code == .interrupted)
        // Somebody else's change afterwards is not ours to undo.
        first.write("9\n")
        try settings.putBack()
        #expect(try first.setting.value() == 9)
    }

    @Test("They are put back when nobody holds them any more")
    func dropped() throws {
        do {
            let settings = try ChangedSettings(guarding: [first.setting])
            try settings.set(first.setting, to: 4)
        }
        #expect(try first.setting.value() == 3)
    }

    @Test("One that is refused is named, the other is put back, and a further call tries again")
    func refused() throws {
        let settings = try ChangedSettings(guarding: [first.setting, second.setting])
        try settings.set(first.setting, to: 5)
        try settings.set(second.setting, to: 6)
        let fault = InjectedFault(first: 1, errno: .ioError, operations: [.write])
        let (failure, _) = fault.during { Self.failure(settings) }
        let error = try #require(failure)
        #expect(error.setting == first.setting && error.wanted == 3 && error.found == 5)
        #expect(error.refusal?.errno == .ioError)
        #expect("\(error)".hasPrefix("could not put first back to 3, it is 5 ("))
        #expect(try first.setting.value() == 5 && second.setting.value() == 1)
        try settings.putBack()
        #expect(try first.setting.value() == 3)
    }

    @Test("A value that the kernel takes and does not keep is an error with both")
    func notKept() async {
        await #expect(processExitsWith: .success) {
            // Written in decimal, read in hexadecimal without a mark: the default 00000033 put back reads 00000021.
            let lock = StandIn("filter", 0)
            let filter = HostSetting(
                name: "coredump_filter", path: "/proc/self/coredump_filter", lock: lock.setting.lock)
            let settings = try ChangedSettings(guarding: [filter])
            try settings.set(filter, to: 1)
            let error = try #require(Self.failure(settings))
            #expect(error.wanted == 33 && error.found == 21 && error.refusal == nil)
        }
    }

    @Test("What is read after a write and was not asked for is somebody else's, and is left as it is")
    func writtenBetween() async {
        await #expect(processExitsWith: .success) {
            // 16 is read as 10: as if somebody had written that meanwhile.
            let lock = StandIn("filter", 0)
            for isGradual in [false, true] {
                let filter = HostSetting(
                    name: "coredump_filter", path: "/proc/self/coredump_filter", lock: lock.setting.lock,
                    isGradual: isGradual)
                let settings = try ChangedSettings(guarding: [filter])
                let original = try filter.value()
                try settings.set(filter, to: 16)
                let error = try #require(Self.failure(settings))
                #expect(error.cause == .changedMeanwhile && error.found == 10 && error.wanted == original)
                _ = try filter.write(33)
            }
        }
    }

    @Test("Where the kernel may do a part, what lies between is this process's own, and nothing else is")
    func gradual() async {
        await #expect(processExitsWith: .success) {
            let lock = StandIn("filter", 0)
            let filter = HostSetting(
                name: "coredump_filter", path: "/proc/self/coredump_filter", lock: lock.setting.lock, isGradual: true)
            let settings = try ChangedSettings(guarding: [filter])
            // 128 is read as 80, between 33 and that.
            try settings.set(filter, to: 128)
            let error = try #require(Self.failure(settings))
            #expect(error.cause == .notKept && error.found == 21 && error.wanted == 33)
        }
    }

    @Test("What this process may not write is refused before anything is changed")
    func notPermitted() async {
        await #expect(processExitsWith: .success) {
            if Privilege.isRoot { try #require(setuid(65534) == 0) }
            #expect(SettingRefusal.thrown([.maxMapCount])?.host?.code == .notPermitted)
        }
    }

    @Test("A host without the setting says so")
    func missing() {
        let none = HostSetting(name: "none", path: "/proc/sys/vm/none", lock: first.setting.lock)
        #expect(SettingRefusal.thrown([none])?.host?.code == .notSupported)
    }

    @Test("A process that is killed leaves a guardian, which puts all of them back, and keeps the lock until then")
    func killed() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [
                first = first.setting.path.string as String, second = second.setting.path.string as String,
                lock = first.setting.lock.string as String
            ] in
            StandIn.prepareGuardian()
            let first = HostSetting(name: "first", path: FilePath(first), lock: FilePath(lock))
            let second = HostSetting(name: "second", path: FilePath(second), lock: FilePath(lock))
            let settings = try ChangedSettings(guarding: [first, second], clearing: [(second, 2)])
            try settings.set(second, to: 700)
            try settings.set(first, to: 300)
            #expect(try first.value() == 300 && second.value() == 700)
            raise(SIGKILL)
        }
        let next = try ChangedSettings(guarding: [first.setting, second.setting], patienceNanoseconds: Self.minute)
        #expect(next.original(first.setting) == 3 && next.original(second.setting) == 1)
        #expect(try first.setting.value() == 3 && second.setting.value() == 1)
    }

    // MARK: Guardian and process killed

    /// A process that leaves the setting changed to 300, and its guardian killed.
    private func leaveChanged() async {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = first.setting.path.string as String, lock = first.setting.lock.string as String] in
            StandIn.prepareGuardian()
            let setting = HostSetting(name: "first", path: FilePath(path), lock: FilePath(lock))
            let settings = try ChangedSettings(guarding: [setting])
            try settings.set(setting, to: 300)
            #expect(kill(settings.guardianProcessID, SIGKILL) == 0)
            raise(SIGKILL)
        }
    }

    @Test("Where the guardian is killed too, the next to change the setting puts it back first, and says so")
    func bothKilled() async throws {
        await leaveChanged()
        #expect(try first.setting.value() == 300)
        let notices = try Self.notices {
            let next = try ChangedSettings(guarding: [first.setting], patienceNanoseconds: Self.minute)
            #expect(try next.original(first.setting) == 3 && first.setting.value() == 3)
        }
        #expect(notices.count == 1 && notices[0].hasPrefix("process "))
        #expect(notices[0].hasSuffix(" was killed and had left first (300) changed; put back"))
        #expect(try Self.notices { _ = try ChangedSettings(guarding: [first.setting]) }.isEmpty)
    }

    @Test("What somebody has changed since is left to him then, too")
    func bothKilledAndChanged() async throws {
        await leaveChanged()
        first.write("55\n")
        let notices = try Self.notices {
            let next = try ChangedSettings(guarding: [first.setting], patienceNanoseconds: Self.minute)
            #expect(next.original(first.setting) == 55)
        }
        let end = "it is 55 and was left so; it was 3 before: as root: echo 3 > \(first.setting.path)"
        #expect(notices.count == 1 && notices[0].hasSuffix(end))
    }

    @Test("What cannot be put back then is not taken for what it was before")
    func bothKilledAndRefused() async throws {
        await leaveChanged()
        // The first write is the lock's.
        let fault = InjectedFault(first: 2, errno: .ioError, operations: [.write])
        let (refusal, _) = fault.during { SettingRefusal.thrown([first.setting], patience: Self.minute) }
        guard case .leftChanged(let failure) = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(failure.wanted == 3 && failure.found == 300 && failure.refusal?.errno == .ioError)
        #expect(try ChangedSettings(guarding: [first.setting]).original(first.setting) == 3)
    }

    @Test("A journal that cannot be written: nothing is changed")
    func noJournal() throws {
        let settings = try ChangedSettings(guarding: [first.setting])
        let fault = InjectedFault(first: 1, errno: .noSpace, operations: [.write])
        let (error, _) = fault.during {
            HostError.thrown { () throws(HostError) in try settings.set(first.setting, to: 300) }
        }
        #expect(error?.errno == .noSpace && error?.place == .file(first.setting.lock.string))
        #expect(try first.setting.value() == 3)
        try settings.set(first.setting, to: 300)
        try settings.putBack()
        #expect(try first.setting.value() == 3)
    }

    @Test("A journal is read as it was written: of this start of the host, and whole")
    func journalText() throws {
        let gradual = HostSetting(
            name: "node0/nr", path: "/sys/nr", lock: first.setting.lock, limitsMappings: false, isGradual: true)
        let limit = HostSetting(name: "limit", path: "/proc/limit", lock: first.setting.lock, limitsMappings: true)
        let journal = SettingJournal([
            .init(setting: gradual, original: 3, clearing: 2, own: [3, 70]),
            .init(setting: limit, original: -1, clearing: nil, own: [-1, -1]),
        ])
        let text = journal.text(boot: "a-b")
        func parsed(_ text: String, _ boot: String = "a-b") -> SettingJournal? {
            SettingJournal(text, lock: first.setting.lock, boot: boot)
        }
        #expect(parsed(text) == journal)
        #expect(parsed(text + "left of a longer one\nend\n") == journal)
        #expect(parsed(text, "c") == nil)
        for length in 0..<text.utf8.count - 1 { #expect(parsed(String(text.prefix(length))) == nil) }
        #expect(parsed("12\n") == nil && parsed("12\ta-b\nlimit\t/proc/limit\t-\t-\t1\nend\n") == nil)
        #expect(!journal.entries[0].isOwn(71) && journal.entries[0].isOwn(50) && !journal.entries[0].isOwn(2))
    }

    /// What is told of settings that were left changed.
    private static func notices(during body: () throws -> Void) throws -> [String] {
        let notices = Notices()
        ChangedSettings.notice.withLock { $0 = { line in notices.lines.withLock { $0.append(line) } } }
        defer { ChangedSettings.notice.withLock { $0 = { _ in } } }
        try body()
        return notices.lines.withLock { $0 }
    }

    private final class Notices: Sendable {
        let lines = Guarded<[String]>([])
    }

    private static let minute = 60_000_000_000

    private static func failure(_ settings: ChangedSettings) -> SettingNotPutBack? {
        do throws(SettingNotPutBack) {
            try settings.putBack()
            return nil
        } catch {
            return error
        }
    }
}

/// A file with a number in it, and one for its lock; removed at the end.
final class StandIn: Sendable {
    let setting: HostSetting

    /// These tests are no program that can be a guardian: the command, which lies beside them, is.
    static func prepareGuardian() {
        var path = FilePath(CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0])
        path.removeLastComponent()
        let command = path.appending("vmemmap")
        Guardian.program.withLock { $0 = command }
    }

    init(_ name: String, _ value: Int, lock: FilePath? = nil, limitsMappings: Bool = false) {
        Self.prepareGuardian()
        let path = "/tmp/vmemmap-setting-\(getpid())-\(HostKernel.monotonicNanoseconds())-\(name)"
        setting = HostSetting(
            name: name, path: FilePath(path), lock: lock ?? FilePath(path + ".lock"), limitsMappings: limitsMappings)
        write("\(value)\n")
    }

    deinit {
        try? HostKernel.remove(setting.path)
        try? HostKernel.remove(setting.lock)
    }

    func write(_ text: String) {
        let file = try? HostKernel.open(
            setting.path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        guard let file else { return }
        try? HostKernel.write(Array(text.utf8), to: file, name: setting.name)
        try? HostKernel.close(file)
    }
}

extension SettingRefusal {
    /// The kernel's refusal, if it is one.
    var host: HostError? { if case .host(let error) = self { error } else { nil } }
    /// The same, of the lock.
    var noLock: HostError? { if case .noLock(let error) = self { error } else { nil } }
    /// The process that has the lock, if that is why.
    var holder: Int32? { if case .inUse(let settings) = self { settings.holder } else { nil } }

    /// Why `settings` may not be guarded; nil if they may. Does not wait.
    static func thrown(_ settings: [HostSetting], patience: Int = 0) -> SettingRefusal? {
        do throws(SettingRefusal) {
            _ = try ChangedSettings(guarding: settings, patienceNanoseconds: patience)
            return nil
        } catch {
            return error
        }
    }
}
