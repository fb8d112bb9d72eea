public import Experiments
internal import HostMemory
internal import VmemmapEmulator

extension KernelResult {
    /// What its page shows before the tables.
    public var html: HTMLContent {
        guard let measurement = measurement.value, let emulator = emulator.value else {
            return HTMLContent(
                subject: "The host\u{2019}s own kernel",
                summary: "Nothing was measured: this is what the kernel offers and uses.",
                sections: TableFigures.sections(tables))
        }
        return HTMLContent(
            subject: "The kernel\u{2019}s own pool beside the emulator",
            setting: "\(PlanReport.hugePages(emulator.plan).capitalizedFirst), \(PlanReport.setting(emulator.plan)); "
                + CountText.of(measurement.rounds.count, "round"),
            summary: "\(checks.count { $0.holds.value == true }) of \(checks.count) claims hold, "
                + "\(checks.count { $0.holds.value == nil }) could not be measured here.",
            sections: TableFigures.sections(tables))
    }
}
