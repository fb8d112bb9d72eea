internal import ArgumentParser
internal import Experiments
internal import Glibc
internal import HostMemory

/// vm.max_map_count raised for an experiment, and put back when it ends, fails, or is ended by a signal.
final class RaisedMapLimit: Sendable {
    private let limit: MapCountLimit?

    /// - Parameter neededLimit: works out what it has to be.
    init(_ neededLimit: () throws(ExperimentError) -> MappingCount) throws {
        // Before any thread is started: they inherit the blocked signals.
        let signals = try TerminationSignals()
        let needed = try runOrExit(neededLimit)
        do throws(HostError) {
            limit = try MapCountLimit.raise(to: needed)
        } catch {
            Output.error(
                "cannot raise vm.max_map_count to \(needed): \(error); as root: sysctl -w vm.max_map_count=\(needed), or take "
                    + "--tail-run auto or fewer huge pages")
            throw ExitCode.notSupported
        }
        guard let limit else { return }
        _ = try HostThread {
            guard let signal = try? signals.waitForSignal() else { return }
            try? limit.putBack()
            exit(128 + signal)
        }
    }

    func putBack() {
        do throws(HostError) {
            try limit?.putBack()
        } catch {
            let original = limit.map { "\($0.original)" } ?? "65530"
            Output.error(
                "could not put vm.max_map_count back: \(error); as root: sysctl -w vm.max_map_count=\(original)")
        }
    }
}
