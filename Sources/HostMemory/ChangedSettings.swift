internal import CSystemShims
internal import SystemPackage

/// Settings of the host changed for a while, and put back in a fixed order.
///
/// They are the host's, not the process's. Whoever changes them puts them back on every way out, signals included
/// (``TerminationSignals``). Should the process die otherwise, a guardian process, started before anything is changed, puts them
/// back in its place.
public final class ChangedSettings: Sendable {
    /// A setting and what it was before.
    private struct Original: Sendable {
        let setting: HostSetting
        let value: Int
    }

    private enum State {
        case changeable
        /// Put back, or about to be: nothing may be changed any more.
        case ended
        case isBack
    }

    private let originals: [Original]
    private let clearing: [Original]
    private let state = Guarded(State.changeable)
    private let guardian: FileDescriptor

    /// Notes what `settings` are and starts the guardian. Nothing is changed yet.
    ///
    /// - Parameters:
    ///   - settings: in the order in which they are to be put back.
    ///   - clearing: what is written before that, where any of them has changed: some can be put back only once what they brought
    ///     about is undone (KSM's merged pages).
    /// - Throws: ``HostError/Code-swift.struct/notPermitted`` where this process may not write them,
    ///   ``HostError/Code-swift.struct/notSupported`` where the host has no such setting.
    public init(
        guarding settings: [HostSetting], clearing: [(setting: HostSetting, value: Int)] = []
    ) throws(HostError) {
        var originals: [Original] = []
        for setting in settings {
            try setting.checkWritable()
            originals.append(Original(setting: setting, value: try setting.value()))
        }
        self.originals = originals
        self.clearing = clearing.map { Original(setting: $0.setting, value: $0.value) }
        guardian = try Self.startGuardian(self.clearing + originals)
    }

    deinit { try? putBack() }

    /// What a guarded setting was; nil for any other.
    public func original(_ setting: HostSetting) -> Int? { originals.first { $0.setting == setting }?.value }

    /// Changes a setting and returns how long the kernel took, in nanoseconds. It may have done less than it was asked to.
    ///
    /// Throws ``HostError/Code-swift.struct/interrupted`` once the settings are being put back (by another thread, upon a signal).
    @discardableResult
    public func set(_ setting: HostSetting, to value: Int) throws(HostError) -> Int {
        precondition(original(setting) != nil, "\(setting) is not guarded")
        return try during { () throws(HostError) in try setting.write(value) }
    }

    /// Does something that must not meet the putting back half-way, such as using what a setting provides. Throws as
    /// ``set(_:to:)`` does.
    public func during<Value: Sendable>(_ body: () throws(HostError) -> Value) throws(HostError) -> Value {
        try state.withLock { (state) throws(HostError) in
            guard case .changeable = state else {
                throw HostError(.interrupted, .write, .file(originals.first?.setting.path.string ?? ""))
            }
            return try body()
        }
    }

    /// Puts every setting back, in their order, and reads each again. Once done, does nothing any more; a refusal leaves the
    /// others put back, and a further call tries again.
    public func putBack() throws(SettingNotPutBack) {
        try state.withLock { (state) throws(SettingNotPutBack) in
            if case .isBack = state { return }
            state = .ended
            var failure: SettingNotPutBack?
            if originals.contains(where: { (try? $0.setting.value()) != $0.value }) {
                // Refused, it leaves a setting behind it refused too, and that is told.
                for step in clearing { _ = try? step.setting.write(step.value) }
            }
            for original in originals {
                do throws(SettingNotPutBack) {
                    try Self.putBack(original)
                } catch {
                    failure = failure ?? error
                }
            }
            // The guardian stays: it tries again when this process ends.
            if let failure { throw failure }
            state = .isBack
            // Its work is done. Should the byte not reach it, it writes the same values once more.
            try? HostKernel.write([1], to: guardian, name: "guardian")
            try? HostKernel.close(guardian)
        }
    }

    private static func putBack(_ original: Original) throws(SettingNotPutBack) {
        let (setting, wanted) = (original.setting, original.value)
        do throws(HostError) {
            if try setting.value() == wanted { return }
            _ = try setting.write(wanted)
        } catch {
            throw SettingNotPutBack(setting: setting, wanted: wanted, found: try? setting.value(), refusal: error)
        }
        let found = try? setting.value()
        if found != wanted { throw SettingNotPutBack(setting: setting, wanted: wanted, found: found, refusal: nil) }
    }

    private static func startGuardian(_ originals: [Original]) throws(HostError) -> FileDescriptor {
        let text = originals.reduce(into: [UInt8]()) { text, original in
            text += original.setting.path.string.utf8
            text.append(0)
            text += "\(original.value)\n".utf8
            text.append(0)
        }
        let end = try HostKernel.call(.startThread, .process) {
            // SAFETY: the bytes live for the call, each string in them ends in a zero, and the guardian has copies of its own.
            unsafe text.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return -Int64(Errno.invalidArgument.rawValue) }
                return unsafe vme_guardian_start(start.assumingMemoryBound(to: CChar.self), bytes.count)
            }
        }
        return FileDescriptor(rawValue: CInt(end))
    }
}

/// A setting of the host that is not what it was, in spite of an attempt to put it back.
public struct SettingNotPutBack: Error, Hashable, Sendable, CustomStringConvertible {
    /// The setting.
    public let setting: HostSetting
    /// What it was before.
    public let wanted: Int
    /// What it is now; nil if it cannot be read.
    public let found: Int?
    /// The kernel's refusal; nil if it took the value and did not do it.
    public let refusal: HostError?

    /// One line: setting, wanted and found value, and the way out.
    public var description: String {
        let found = found.map { "it is \($0)" } ?? "it cannot be read"
        return "could not put \(setting) back to \(wanted), \(found)" + (refusal.map { " (\($0))" } ?? "")
            + "; as root: echo \(wanted) > \(setting.path)"
    }
}
