import Glibc
import SystemPackage
import Testing

@testable import HostMemory

/// On files that stand for settings: the host's own are left alone.
@Suite("Settings changed and put back")
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

    init(_ name: String, _ value: Int, lock: FilePath? = nil, limitsMappings: Bool = false) {
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
    static func thrown(_ settings: [HostSetting]) -> SettingRefusal? {
        do throws(SettingRefusal) {
            _ = try ChangedSettings(guarding: settings, patienceNanoseconds: 0)
            return nil
        } catch {
            return error
        }
    }
}
