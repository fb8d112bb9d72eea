import ArgumentParser
import Glibc
import HostLab
import HostMemory
import SystemPackage

/// Where the executable starts.
package enum EntryPoint {
    /// What `ParsableCommand.main()` does, with the standard streams seen to first, and with an exit code for what
    /// could not be written, the help included.
    package static func main() -> Never {
        _ = RunDescription.start
        TerminationSignals.endByCrashes()
        Output.open()
        StackLimit.check()
        try? HostRoom.shareHeap()
        // Swift reads them from /proc: without it there are none, not even the program's name.
        if CommandLine.arguments.isEmpty {
            Output.error("\(Tool.name): /proc cannot be read, from where the arguments and all figures come: mount it")
            Glibc.exit(ExitCode.notSupported.rawValue)
        }
        if CommandLine.arguments.count == 3, CommandLine.arguments[1] == Guardian.word {
            Glibc.exit(Guardian.run(FilePath(CommandLine.arguments[2])))
        }
        ChangedSettings.notice.withLock { $0 = { Output.error($0) } }
        do {
            var command = try VmemmapCommand.parseAsRoot(
                CommandArguments.prepared(CommandLine.arguments.dropFirst()))
            do {
                try command.run()
            } catch let error as ValidationError {
                fail(error, in: type(of: command))
            }
        } catch let error as HostError {
            Output.error(ErrorText.line(.host(error)))
            Glibc.exit(ExitCode(error).rawValue)
        } catch let error as ExperimentError {
            Output.error(ErrorText.line(error))
            Glibc.exit(ExitCode(error).rawValue)
        } catch {
            let code = VmemmapCommand.exitCode(for: error)
            let text = VmemmapCommand.fullMessage(for: error)
            if code != .success {
                // A command that exits with a code has said why.
                if !text.isEmpty { Output.error(text: text) }
                Glibc.exit(code.rawValue)
            }
            // The parser breaks lines, but for its own last one.
            let style = Style(for: .standardOutput)
            Output.print(style.wrapped(text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))
        }
        Glibc.exit(Output.exitCode.rawValue)
    }

    /// Ends with a usage error found while a command runs, as the parser does with those it finds before: with the
    /// usage of that command.
    private static func fail(_ error: ValidationError, in command: any ParsableCommand.Type) -> Never {
        let name = "\(Tool.name) \(command.configuration.commandName ?? "")"
        Output.error(
            "\(error.message)\nUsage: \(VmemmapCommand.usageString(for: command))\n"
                + "  See '\(name) --help' for more information.", as: "Error")
        Glibc.exit(ExitCode.validationFailure.rawValue)
    }
}
