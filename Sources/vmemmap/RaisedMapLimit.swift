internal import ArgumentParser
internal import Experiments
internal import HostMemory
internal import Reports

/// vm.max_map_count raised for an experiment, and put back when it ends, fails, or is ended by a signal.
final class RaisedMapLimit: Sendable {
    private let settings: ChangedSettings?

    /// - Parameter neededLimit: works out what it has to be.
    init(_ neededLimit: () throws(ExperimentError) -> MappingCount) throws {
        let signals = try SignalPutBack()
        let needed = try runOrExit(.memory, neededLimit)
        do throws(HostError) {
            settings = try MapCountLimit.raise(to: needed)
        } catch {
            Output.error(
                "cannot raise vm.max_map_count to \(needed): \(error); as root: sysctl -w vm.max_map_count=\(needed), or take "
                    + "--tail-run auto or fewer huge pages")
            throw ExitCode.notSupported
        }
        // Where it is high enough already, too: the signals are blocked now, and somebody must take them.
        try signals.watch(settings)
    }

    func putBack() { SignalPutBack.putBack(settings) }
}
