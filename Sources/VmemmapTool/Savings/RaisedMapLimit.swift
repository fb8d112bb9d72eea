import ArgumentParser
import HostLab
import HostMemory

/// vm.max_map_count raised for an experiment, and put back when it ends, fails, or is ended by a signal.
final class RaisedMapLimit: Sendable {
    private let signals: SignalPutBack
    private let settings: [ChangedSettings]

    /// - Parameters:
    ///   - neededLimit: works out what it has to be.
    ///   - sizing: the option that says how much the command is to do.
    init(_ neededLimit: () throws(ExperimentError) -> MappingCount, _ sizing: ErrorText.Sizing) throws {
        signals = try SignalPutBack()
        let needed = try runOrExit(sizing, neededLimit)
        do throws(SettingRefusal) {
            settings = try MapCountLimit.raise(to: needed).map { [$0] } ?? []
        } catch {
            switch error {
            case .inUse(let inUse):
                Output.error("cannot raise vm.max_map_count to \(needed.rawValue): \(inUse)")
                throw ExitCode.shortage
            case .leftChanged(let setting):
                Output.error("cannot raise vm.max_map_count to \(needed.rawValue): \(setting)")
                throw ExitCode.failure
            case .host(let error), .noLock(let error):
                let code = ExitCode(error)
                let wayOut =
                    code == .notSupported
                    ? "; as root: sysctl -w vm.max_map_count=\(needed.rawValue), or take --tail-frames auto or fewer "
                        + "huge pages"
                    : ErrorText.advice(error)
                Output.error("cannot raise vm.max_map_count to \(needed.rawValue): \(error)\(wayOut)")
                throw code
            }
        }
        // Where it is high enough already, too: the signals are blocked now, and somebody must take them.
        try signals.watch(settings)
    }

    func putBack() { SignalPutBack.putBack(settings) }

    /// Does what a signal may cut short: see ``SignalPutBack/unlessEnding(_:)``.
    func unlessEnding<Value, Failure>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        try signals.unlessEnding(body)
    }
}
