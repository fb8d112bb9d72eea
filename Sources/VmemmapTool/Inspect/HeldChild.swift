import ArgumentParser
import HostLab
import HostMemory
import SystemPackage

/// A `vmemmap hold` of this command's own: another process, held until it is ended, or until this one is gone.
final class HeldChild {
    /// Its number.
    let pid: Int32
    private let process: ChildProcess
    private var hasEnded = false

    /// Starts it, and waits until it holds what it was asked for. Exits as it does if it cannot.
    init(_ arguments: [String]) throws {
        let output: String
        do throws(HostError) {
            process = try ChildProcess(
                "/proc/self/exe", ["hold", "--until-input-ends", "--export-json", "-"] + arguments)
            pid = process.pid
            // The export is written when the memory is held, and ends with a brace in the first column.
            output = try process.readOutput(upTo: "}")
        } catch {
            let advice = ErrorText.advice(error)
            Output.error(
                "cannot hold a vmemmap to look at: \(error)\(advice)\(advice.isEmpty ? ";" : ", or") give the PID of "
                    + "one that runs with --pid")
            throw ExitCode(error)
        }
        if output.isEmpty {
            hasEnded = true
            // It has said why on standard error, which is this command's own.
            throw ExitCode((try? process.end()) ?? ExitCode.failure.rawValue)
        }
    }

    /// Ends it.
    func end() {
        if !hasEnded { _ = try? process.end() }
        hasEnded = true
    }
}
