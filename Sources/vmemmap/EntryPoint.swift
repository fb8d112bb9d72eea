internal import ArgumentParser
internal import Experiments
internal import Glibc
internal import HostMemory
internal import Reports

extension VmemmapCommand {
    /// What `ParsableCommand.main()` does, with the standard streams seen to first, and with an exit code for what could not be
    /// written, the help included.
    static func main() {
        Output.open()
        do {
            var command = try parseAsRoot(CommandArguments.prepared(CommandLine.arguments.dropFirst()))
            try command.run()
        } catch let error as HostError {
            Output.error(ErrorText.line(.host(error)))
            Glibc.exit(ExitCode(error).rawValue)
        } catch {
            let code = exitCode(for: error)
            if code != .success { exit(withError: error) }
            Output.print(fullMessage(for: error) + "\n")
        }
        Glibc.exit(Output.exitCode.rawValue)
    }
}
