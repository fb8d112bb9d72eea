import HostMemory
import SystemPackage

/// Settings of the host that a process is changing, and what they were before.
///
/// It is kept in the file of their lock, and written there before a setting is: whoever has the lock next, the guardian
/// or another run, puts back what was left changed. It does not outlive the host's next start.
struct SettingJournal: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        let setting: HostSetting
        /// What it was before.
        let original: Int
        /// What is written before any setting is put back, where one has changed; nil: nothing.
        let clearing: Int?
        /// The last two values that are this process's own: what was there, and what was asked for.
        var own: [Int]

        /// Whether a value can be this process's doing. A gradual setting may be anywhere between the two.
        func isOwn(_ value: Int) -> Bool {
            if setting.isExclusive { return true }
            guard setting.isGradual, let low = own.min(), let high = own.max() else { return own.contains(value) }
            return (low...high).contains(value)
        }

        /// Takes in what was found after a write. What was asked for is this process's own, and so is what a gradual
        /// setting has got to; any other value was written by somebody else since.
        mutating func settle(_ found: Int?, asked: Int) {
            if setting.isGradual, let found, isOwn(found) { own = [found, asked] } else { own = [asked, asked] }
        }
    }

    /// The process that changes them.
    var processID: Int32
    var entries: [Entry]

    init(_ entries: [Entry]) {
        processID = HostKernel.processID
        self.entries = entries
    }

    // MARK: As text

    /// The start of the host that a journal belongs to.
    static func currentBoot() -> String {
        let text = (try? HostKernel.readText("/proc/sys/kernel/random/boot_id")) ?? ""
        let boot = text.prefix { !$0.isWhitespace }
        return boot.isEmpty ? "unknown" : String(boot)
    }

    /// One line for each setting, between the process with the start of the host and a last line: what comes after that
    /// is left of a longer text.
    func text(boot: String) -> String {
        let lines = entries.map { entry in
            [
                entry.setting.name, entry.setting.path.string, entry.setting.limitsMappings ? "limit" : "-",
                entry.setting.isExclusive ? "exclusive" : entry.setting.isGradual ? "gradual" : "-",
                "\(entry.original)", entry.clearing.map { "\($0)" } ?? "-",
            ] + entry.own.map { "\($0)" }
        }.map { $0.joined(separator: "\t") }
        return (["\(processID)\t\(boot)"] + lines + ["end"]).joined(separator: "\n") + "\n"
    }

    /// Parses the text of a journal; nil unless it is a whole one of this start of the host. Pure.
    init?(_ text: String, lock: FilePath, boot: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, let end = lines.firstIndex(of: "end") else { return nil }
        let head = first.split(separator: "\t")
        guard head.count == 2, let processID = Int32(head[0]), head[1] == boot else { return nil }
        self.processID = processID
        entries = []
        for line in lines[1..<end] {
            let words = line.split(separator: "\t").map(String.init)
            guard words.count == 8, let original = Int(words[4]), let before = Int(words[6]), let asked = Int(words[7])
            else { return nil }
            let setting = HostSetting(
                name: words[0], path: FilePath(words[1]), lock: lock, limitsMappings: words[2] == "limit",
                isGradual: words[3] == "gradual", isExclusive: words[3] == "exclusive")
            entries.append(
                Entry(setting: setting, original: original, clearing: Int(words[5]), own: [before, asked]))
        }
    }

    // MARK: Changing and putting back

    /// Writes a value, which is this process's own from before the write on: the process may be killed at any point of
    /// it. Returns how long the kernel took, in nanoseconds.
    ///
    /// Throws EBUSY, with nothing written, where somebody else has changed the setting since.
    mutating func write(_ value: Int, to index: Int, _ lock: SettingLock) throws(HostError) -> Int {
        let setting = entries[index].setting
        let found = try setting.value()
        guard entries[index].isOwn(found) else {
            throw HostError(.resourceBusy, .write, .file(setting.path.string))
        }
        let before = entries[index].own
        entries[index].own = [found, value]
        do throws(HostError) {
            try lock.keep(self)
        } catch {
            entries[index].own = before
            throw error
        }
        let nanoseconds = try setting.write(value)
        entries[index].settle(try? setting.value(), asked: value)
        // Not kept, the journal says more than is this process's own, but nothing wrong.
        try? lock.keep(self)
        return nanoseconds
    }

    /// Puts every setting back that is this process's doing still, in their order, and reads each again. Returns those
    /// that are not back.
    mutating func putBack(_ lock: SettingLock) -> [SettingNotPutBack] {
        if entries.contains(where: { (try? $0.setting.value()) != $0.original }) {
            for index in entries.indices {
                guard let value = entries[index].clearing else { continue }
                // Refused, it leaves a setting behind it refused too, and that is told.
                _ = try? write(value, to: index, lock)
            }
        }
        return entries.indices.compactMap { putBack($0) }
    }

    private mutating func putBack(_ index: Int) -> SettingNotPutBack? {
        let (setting, wanted) = (entries[index].setting, entries[index].original)
        func failure(_ found: Int?, _ cause: SettingNotPutBack.Cause) -> SettingNotPutBack {
            SettingNotPutBack(setting: setting, wanted: wanted, found: found, cause: cause)
        }
        do throws(HostError) {
            let found = try setting.value()
            if found != wanted {
                guard entries[index].isOwn(found) else { return failure(found, .changedMeanwhile) }
                if setting.limitsMappings, found > wanted, let process = HostKernel.process(above: wanted) {
                    return failure(found, .needed(by: process, guardian: nil))
                }
                _ = try setting.write(wanted)
            }
        } catch {
            return failure(try? setting.value(), .refused(error))
        }
        let found = try? setting.value()
        if found != wanted { return failure(found, .notKept) }
        // Whatever it becomes from now on is somebody else's doing.
        entries[index].own = [wanted, wanted]
        return nil
    }
}
