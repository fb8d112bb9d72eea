import ArgumentParser

/// The command `vmemmap`.
struct VmemmapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: Tool.name,
        abstract: "Emulate and measure HugeTLB vmemmap optimization (HVO) in user space, on real memory.",
        discussion: """
            Maps a real anonymous region as a fake vmemmap (64 bytes of struct page for each 4 KiB of emulated \
            memory), remaps the \
            redundant tail pages of each huge page to one shared frame, read-only, and gives the rest back to the \
            host. Nothing \
            is simulated that the host can do for real, and no privileges are needed; root adds frame numbers.

            \(ExitStatus.help(nil))
            """,
        version: Tool.versionLine,
        groupedSubcommands: [
            CommandGroup(
                name: "See", subcommands: [DemoCommand.self, HoldCommand.self, InspectCommand.self, PoolCommand.self]),
            CommandGroup(name: "Plan", subcommands: [SavingsCommand.self, PlanCommand.self]),
            CommandGroup(
                name: "Measure",
                // The last is not shown, and in a group of its own it would take the last line off the help.
                subcommands: [
                    BenchCommand.self, KernelCommand.self, StressCommand.self, CompareCommand.self, ManualCommand.self,
                ]),
        ])
}
