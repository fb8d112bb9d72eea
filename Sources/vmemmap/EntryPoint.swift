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
        // Swift reads them from /proc: without it there are none, not even the program's name.
        if CommandLine.arguments.isEmpty {
            Output.error("\(Tool.name): /proc cannot be read, from where the arguments and all figures come: mount it")
            Glibc.exit(ExitCode.notSupported.rawValue)
        }
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
