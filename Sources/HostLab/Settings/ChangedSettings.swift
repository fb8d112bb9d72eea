package import HostMemory
import SystemPackage

/// Settings of the host changed for a while, and put back in a fixed order.
///
/// They are the host's, not the process's. One process at a time changes them (``SettingLock``), and puts them back on
/// every way out, signals included (``TerminationSignals``). Should it die otherwise, a guardian process, started
/// before anything is changed, puts them back in its place; should that be killed too, the next run that has the lock
/// does. What somebody else has changed meanwhile is left alone.
package final class ChangedSettings: Sendable {
    private enum Phase {
        case changeable
        /// Put back, or about to be: nothing may be changed any more.
        case ended
        case isBack
    }

    private struct State {
        var phase = Phase.changeable
        var journal: SettingJournal
    }

    private let originals: [HostSetting: Int]
    private let state: Guarded<State>
    private let lock: SettingLock
    private let guardian: Guardian
    private let letGo: @Sendable () -> Void

    /// Told, in one line, what a run before this one had left changed and that it has been put back. A program sets it
    /// at its start.
    package static let notice = Guarded<@Sendable (String) -> Void>({ _ in })

    /// Locks `settings`, notes what they are, and starts the guardian. Nothing is changed yet.
    ///
    /// - Parameters:
    ///   - settings: in the order in which they are to be put back. At least one, all of one lock.
    ///   - clearing: what is written before that, where any of them has changed: some can be put back only once what
    ///     they brought about is undone (KSM's merged pages). Of settings among `settings`.
    ///   - patienceNanoseconds: how long to wait for the lock.
    ///   - letGo: lets go of what this process has of them, before they are put back: huge pages that are mapped stay
    ///     in a pool. Called with the settings locked, so that it meets nothing done by ``during(_:)``.
    /// - Throws: ``SettingRefusal/inUse(_:)`` where another process has them;
    ///   ``HostError/Code-swift.struct/notPermitted`` where this process may not write them,
    ///   ``HostError/Code-swift.struct/notSupported`` where the host has no such setting.
    package init(
        guarding settings: [HostSetting], clearing: [(setting: HostSetting, value: Int)] = [],
        patienceNanoseconds: Int = SettingLock.patienceNanoseconds, letGo: @escaping @Sendable () -> Void = {}
    ) throws(SettingRefusal) {
        self.letGo = letGo
        precondition(Set(settings.map(\.lock)).count == 1, "settings of one lock are changed together")
        precondition(clearing.allSatisfy { step in settings.contains(step.setting) }, "what is cleared is guarded")
        do throws(HostError) {
            for setting in settings { try setting.checkWritable() }
        } catch {
            throw .host(error)
        }
        let lock = try SettingLock(settings[0].lock, for: settings[0].name, patienceNanoseconds: patienceNanoseconds)
        self.lock = lock
        try Self.putBackLeftovers(lock, settings[0].name)
        do throws(HostError) {
            var entries: [SettingJournal.Entry] = []
            for setting in settings {
                let value = try setting.value()
                let clearing = clearing.first { $0.setting == setting }?.value
                entries.append(.init(setting: setting, original: value, clearing: clearing, own: [value, value]))
            }
            let journal = SettingJournal(entries)
            try lock.keep(journal)
            originals = Dictionary(uniqueKeysWithValues: entries.map { ($0.setting, $0.original) })
            state = Guarded(State(journal: journal))
            guardian = try Guardian(lock)
        } catch {
            lock.release()
            throw .host(error)
        }
    }

    /// Puts back what a run before this one has left changed, and says so.
    private static func putBackLeftovers(_ lock: SettingLock, _ name: String) throws(SettingRefusal) {
        guard var journal = lock.leftBehind else { return }
        let changed = journal.entries.compactMap { entry in
            let found = try? entry.setting.value()
            return found == entry.original ? nil : "\(entry.setting) (\(found.map { "\($0)" } ?? "unreadable"))"
        }
        let process = journal.processID
        let failures = journal.putBack(lock)
        if let failure = failures.first(where: \.canBeTriedAgain) { throw .leftChanged(failure) }
        if failures.contains(where: \.isNeeded) {
            let guardian: Guardian
            do throws(HostError) { guardian = try Guardian(lock) } catch { throw .host(error) }
            lock.leave()
            guardian.end()
            throw .inUse(SettingInUse(name: name, holder: guardian.processID))
        }
        if changed.isEmpty { return }
        let outcome = failures.first.map { "\($0)" } ?? "put back"
        let line = "process \(process) was killed and had left \(changed.joined(separator: ", ")) changed; \(outcome)"
        notice.withLock { $0 }(line)
    }

    deinit { try? putBack() }

    /// The guardian's process.
    var guardianProcessID: Int32 { guardian.processID }

    /// What a guarded setting was; nil for any other.
    package func original(_ setting: HostSetting) -> Int? { originals[setting] }

    /// Changes a setting and returns how long the kernel took, in nanoseconds. It may have done less than it was asked
    /// to.
    ///
    /// Throws ``HostError/Code-swift.struct/interrupted`` once the settings are being put back (by another thread, upon
    /// a signal), and EBUSY, with nothing written, where somebody else has changed the setting since.
    @discardableResult
    package func set(_ setting: HostSetting, to value: Int) throws(HostError) -> Int {
        return try changing { (state) throws(HostError) in
            guard let index = state.journal.entries.firstIndex(where: { $0.setting == setting }) else {
                preconditionFailure("\(setting) is not guarded")
            }
            return try state.journal.write(value, to: index, lock)
        }
    }

    /// Does something that must not meet the putting back half-way, such as using what a setting provides. Throws as
    /// ``set(_:to:)`` does.
    package func during<Value: Sendable>(_ body: () throws(HostError) -> Value) throws(HostError) -> Value {
        try changing { (_) throws(HostError) in try body() }
    }

    private func changing<Value: Sendable>(
        _ body: (inout State) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        try state.withLock { (state) throws(HostError) in
            guard case .changeable = state.phase else {
                throw HostError(.interrupted, .write, .file(lock.path.string))
            }
            return try body(&state)
        }
    }

    // MARK: Putting back

    /// Puts every setting back, in their order, and reads each again. Once done, does nothing any more; a refusal
    /// leaves the others put back, and a further call tries again.
    package func putBack() throws(SettingNotPutBack) {
        try state.withLock { (state) throws(SettingNotPutBack) in
            if case .isBack = state.phase { return }
            state.phase = .ended
            letGo()
            let failures = state.journal.putBack(lock)
            if let refused = failures.first(where: \.canBeTriedAgain) {
                // The guardian and the lock stay: it tries again when this process ends.
                throw refused
            }
            state.phase = .isBack
            if let needed = failures.first(where: \.isNeeded) {
                lock.leave()
                let isGone = HostKernel.hasEnded(guardian.processID)
                guardian.end()
                throw isGone ? needed : needed.left(to: guardian.processID)
            }
            // With the journal emptied, the guardian has nothing to do.
            lock.empty()
            guardian.end()
            guardian.awaitEnd()
            lock.release()
            if let changed = failures.first { throw changed }
        }
    }
}

/// A setting of the host that is not what it was before this process changed it.
package struct SettingNotPutBack: Error, Hashable, Sendable, CustomStringConvertible {
    /// Why it is not.
    package enum Cause: Hashable, Sendable {
        /// The kernel's refusal.
        case refused(HostError)
        /// The kernel took the value and did not do it.
        case notKept
        /// Somebody else has changed it since, and it was left as it is.
        case changedMeanwhile
        /// A process has more mappings than the limit was: lowered under it, the limit would leave it no memory. The
        /// guardian, if there is one still, puts it back once that is over.
        case needed(by: Int32, guardian: Int32?)
    }

    /// The setting.
    package let setting: HostSetting
    /// What it was before.
    package let wanted: Int
    /// What it is now; nil if it cannot be read.
    package let found: Int?
    /// Why.
    package let cause: Cause

    /// The kernel's refusal, if that is the cause.
    package var refusal: HostError? { if case .refused(let error) = cause { error } else { nil } }

    var canBeTriedAgain: Bool {
        switch cause {
        case .refused, .notKept: true
        case .changedMeanwhile, .needed: false
        }
    }

    var isNeeded: Bool { if case .needed = cause { true } else { false } }

    func left(to guardian: Int32) -> SettingNotPutBack {
        guard case .needed(let process, _) = cause else { return self }
        return SettingNotPutBack(
            setting: setting, wanted: wanted, found: found, cause: .needed(by: process, guardian: guardian))
    }

    /// One line: setting, wanted and found value, and the way out.
    package var description: String {
        let found = found.map { "it is \($0)" } ?? "it cannot be read"
        let byHand = "as root: echo \(wanted) > \(setting.path)"
        return switch cause {
        case .refused(let error): "could not put \(setting) back to \(wanted), \(found) (\(error)); \(byHand)"
        case .notKept: "could not put \(setting) back to \(wanted), \(found); \(byHand)"
        case .changedMeanwhile:
            "somebody else has changed \(setting) since, \(found) and was left so; it was \(wanted) before: \(byHand)"
        case .needed(let process, let guardian?):
            "\(setting) is not back yet, \(found): process \(process) has more mappings than \(wanted) and could get "
                + "no more memory; process \(guardian) puts it back to \(wanted) as soon as that is over"
        case .needed(let process, nil):
            "\(setting) was not put back, \(found): process \(process) has more mappings than \(wanted) and could get "
                + "no more memory; when it has ended, \(byHand)"
        }
    }
}
