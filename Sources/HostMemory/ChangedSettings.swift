import SystemPackage

/// Settings of the host changed for a while, and put back in a fixed order.
///
/// They are the host's, not the process's. One process at a time changes them (``SettingLock``), and puts them back on every way out,
/// signals included (``TerminationSignals``). Should it die otherwise, a guardian process, started before anything is changed, puts
/// them back in its place. What somebody else has changed meanwhile is left alone.
public final class ChangedSettings: Sendable {
    /// A setting and what it was before.
    private struct Original: Sendable {
        let setting: HostSetting
        let value: Int
    }

    private enum Phase {
        case changeable
        /// Put back, or about to be: nothing may be changed any more.
        case ended
        case isBack
    }

    private struct State {
        var phase = Phase.changeable
        /// The values of each setting that are our own doing: what it was read as after our last change; while one is under way,
        /// all from there to what was asked for.
        var own: [ClosedRange<Int>]
    }

    private let originals: [Original]
    private let clearing: [Original]
    private let state: Guarded<State>
    private let lock: SettingLock
    private let guardian: Guardian

    /// Locks `settings`, notes what they are, and starts the guardian. Nothing is changed yet.
    ///
    /// - Parameters:
    ///   - settings: in the order in which they are to be put back. At least one, all of one lock.
    ///   - clearing: what is written before that, where any of them has changed: some can be put back only once what they brought
    ///     about is undone (KSM's merged pages). Of settings among `settings`.
    ///   - patienceNanoseconds: how long to wait for the lock.
    /// - Throws: ``SettingRefusal/inUse(_:)`` where another process has them; ``HostError/Code-swift.struct/notPermitted`` where this
    ///   process may not write them, ``HostError/Code-swift.struct/notSupported`` where the host has no such setting.
    public init(
        guarding settings: [HostSetting], clearing: [(setting: HostSetting, value: Int)] = [],
        patienceNanoseconds: Int = SettingLock.patienceNanoseconds
    ) throws(SettingRefusal) {
        precondition(Set(settings.map(\.lock)).count == 1, "settings of one lock are changed together")
        precondition(clearing.allSatisfy { step in settings.contains(step.setting) }, "what is cleared is guarded")
        do throws(HostError) {
            for setting in settings { try setting.checkWritable() }
        } catch {
            throw .host(error)
        }
        lock = try SettingLock(settings[0].lock, for: settings[0].name, patienceNanoseconds: patienceNanoseconds)
        do throws(HostError) {
            var originals: [Original] = []
            for setting in settings { originals.append(Original(setting: setting, value: try setting.value())) }
            let clearing = clearing.map { Original(setting: $0.setting, value: $0.value) }
            guardian = try Guardian(Self.steps(clearing, originals), lock: lock)
            for (index, original) in originals.enumerated() { guardian.note(index, original.value...original.value) }
            state = Guarded(State(own: originals.map { $0.value...$0.value }))
            self.originals = originals
            self.clearing = clearing
        } catch {
            throw .host(error)
        }
    }

    private static func steps(_ clearing: [Original], _ originals: [Original]) -> [Guardian.Step] {
        func step(_ kind: Guardian.Step.Kind, _ what: Original) -> Guardian.Step {
            let index = originals.firstIndex { $0.setting == what.setting } ?? 0
            return Guardian.Step(kind: kind, index: index, path: what.setting.path, value: what.value)
        }
        return clearing.map { step(.clearing, $0) }
            + originals.map { step($0.setting.limitsMappings ? .mappingLimit : .setting, $0) }
    }

    deinit { try? putBack() }

    /// The guardian's process.
    var guardianProcessID: Int32 { guardian.processID }

    /// What a guarded setting was; nil for any other.
    public func original(_ setting: HostSetting) -> Int? { originals.first { $0.setting == setting }?.value }

    /// Changes a setting and returns how long the kernel took, in nanoseconds. It may have done less than it was asked to.
    ///
    /// Throws ``HostError/Code-swift.struct/interrupted`` once the settings are being put back (by another thread, upon a signal), and
    /// EBUSY, with nothing written, where somebody else has changed the setting since.
    @discardableResult
    public func set(_ setting: HostSetting, to value: Int) throws(HostError) -> Int {
        guard let index = originals.firstIndex(where: { $0.setting == setting }) else {
            preconditionFailure("\(setting) is not guarded")
        }
        return try changing { (state) throws(HostError) in
            let found = try setting.value()
            guard state.own[index].contains(found) else {
                throw HostError(.resourceBusy, .write, .file(setting.path.string))
            }
            return try write(value, to: setting, index, &state)
        }
    }

    /// Does something that must not meet the putting back half-way, such as using what a setting provides. Throws as
    /// ``set(_:to:)`` does.
    public func during<Value: Sendable>(_ body: () throws(HostError) -> Value) throws(HostError) -> Value {
        try changing { (_) throws(HostError) in try body() }
    }

    private func changing<Value: Sendable>(
        _ body: (inout State) throws(HostError) -> Value
    ) throws(HostError) -> Value {
        try state.withLock { (state) throws(HostError) in
            guard case .changeable = state.phase else {
                throw HostError(.interrupted, .write, .file(originals.first?.setting.path.string ?? ""))
            }
            return try body(&state)
        }
    }

    /// Writes a value, which is this process's own from before the write on: the process may be killed at any point of it.
    private func write(
        _ value: Int, to setting: HostSetting, _ index: Int, _ state: inout State
    ) throws(HostError) -> Int {
        let (low, high) = (state.own[index].lowerBound, state.own[index].upperBound)
        func own(_ values: ClosedRange<Int>) {
            state.own[index] = values
            guardian.note(index, values)
        }
        own(min(low, value)...max(high, value))
        defer { if let found = try? setting.value() { own(found...found) } }
        return try setting.write(value)
    }

    // MARK: Putting back

    /// Puts every setting back, in their order, and reads each again. Once done, does nothing any more; a refusal leaves the
    /// others put back, and a further call tries again.
    public func putBack() throws(SettingNotPutBack) {
        try state.withLock { (state) throws(SettingNotPutBack) in
            if case .isBack = state.phase { return }
            state.phase = .ended
            clear(&state)
            let failures = originals.indices.compactMap { putBack(originals[$0], state.own[$0]) }
            if let refused = failures.first(where: \.canBeTriedAgain) {
                // The guardian and the lock stay: it tries again when this process ends.
                throw refused
            }
            state.phase = .isBack
            if let needed = failures.first(where: \.isNeeded) {
                lock.leave()
                throw guardian.takeOver() ? needed.left(to: guardian.processID) : needed
            }
            guardian.dismiss()
            lock.release()
            if let changed = failures.first { throw changed }
        }
    }

    private func clear(_ state: inout State) {
        guard originals.contains(where: { (try? $0.setting.value()) != $0.value }) else { return }
        for step in clearing {
            guard let index = originals.firstIndex(where: { $0.setting == step.setting }),
                let found = try? step.setting.value(), state.own[index].contains(found)
            else { continue }
            // Refused, it leaves a setting behind it refused too, and that is told.
            _ = try? write(step.value, to: step.setting, index, &state)
        }
    }

    private func putBack(_ original: Original, _ own: ClosedRange<Int>) -> SettingNotPutBack? {
        let (setting, wanted) = (original.setting, original.value)
        func failure(_ found: Int?, _ cause: SettingNotPutBack.Cause) -> SettingNotPutBack {
            SettingNotPutBack(setting: setting, wanted: wanted, found: found, cause: cause)
        }
        do throws(HostError) {
            let found = try setting.value()
            if found == wanted { return nil }
            guard own.contains(found) else { return failure(found, .changedMeanwhile) }
            if setting.limitsMappings, found > wanted, let process = HostKernel.process(above: wanted) {
                return failure(found, .needed(by: process, guardian: nil))
            }
            _ = try setting.write(wanted)
        } catch {
            return failure(try? setting.value(), .refused(error))
        }
        let found = try? setting.value()
        return found == wanted ? nil : failure(found, .notKept)
    }
}

/// A setting of the host that is not what it was before this process changed it.
public struct SettingNotPutBack: Error, Hashable, Sendable, CustomStringConvertible {
    /// Why it is not.
    public enum Cause: Hashable, Sendable {
        /// The kernel's refusal.
        case refused(HostError)
        /// The kernel took the value and did not do it.
        case notKept
        /// Somebody else has changed it since, and it was left as it is.
        case changedMeanwhile
        /// A process has more mappings than the limit was: lowered under it, the limit would leave it no memory. The guardian, if there
        /// is one still, puts it back once that is over.
        case needed(by: Int32, guardian: Int32?)
    }

    /// The setting.
    public let setting: HostSetting
    /// What it was before.
    public let wanted: Int
    /// What it is now; nil if it cannot be read.
    public let found: Int?
    /// Why.
    public let cause: Cause

    /// The kernel's refusal, if that is the cause.
    public var refusal: HostError? { if case .refused(let error) = cause { error } else { nil } }

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
    public var description: String {
        let found = found.map { "it is \($0)" } ?? "it cannot be read"
        let byHand = "as root: echo \(wanted) > \(setting.path)"
        return switch cause {
        case .refused(let error): "could not put \(setting) back to \(wanted), \(found) (\(error)); \(byHand)"
        case .notKept: "could not put \(setting) back to \(wanted), \(found); \(byHand)"
        case .changedMeanwhile:
            "somebody else has changed \(setting) since, \(found) and was left so; it was \(wanted) before: \(byHand)"
        case .needed(let process, let guardian?):
            "\(setting) is not back yet, \(found): process \(process) has more mappings than \(wanted) and could get no more "
                + "memory; process \(guardian) puts it back to \(wanted) as soon as that is over"
        case .needed(let process, nil):
            "\(setting) was not put back, \(found): process \(process) has more mappings than \(wanted) and could get no more memory; "
                + "when it has ended, \(byHand)"
        }
    }
}
