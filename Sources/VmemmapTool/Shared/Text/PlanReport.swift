import HostMemory
import VmemmapEmulator

/// A plan and the host it is for, in words.
enum PlanReport {
    /// The host in two lines.
    static func lines(_ host: HostBlock) -> [String] {
        [
            "host    \(self.host(host))",
            "limits  vm.max_map_count \(host.maxMapCount), \(ByteText.short(host.memoryAvailableBytes)) available, "
                + "\(host.mappingCostBytes) B a mapping (\(host.mappingCostSource.rawValue))",
        ]
    }

    /// The host in one line.
    static func host(_ host: HostBlock) -> String {
        let who = host.isRoot ? "root" : "user"
        let frames = host.showsFrameNumbers ? "PFNs visible" : "PFNs hidden"
        return "Linux \(host.kernelRelease) \(host.machine), \(ByteText.short(host.pageSizeBytes)) pages, "
            + "\(CountText.of(host.processors, "CPU")), \(who), \(frames)"
    }

    /// What will be mapped, and what that is expected to save.
    static func lines(_ plan: PlanBlock) -> [String] {
        [
            "plan    " + kernelMessage(plan),
            "        \(CountText.grouped(plan.framesPopulated.rawValue)) vmemmap pages in "
                + "\(CountText.grouped(plan.framesOptimized.rawValue)) frames, by "
                + "\(CountText.of(plan.mappingsOptimized.rawValue, "mapping"))",
            "        saves \(ByteText.short(plan.grossSavingBytes)) gross, "
                + "\(ByteText.short(plan.netSavingBytes)) net of \(ByteText.short(plan.overheadBytes)) for the mappings",
        ]
    }

    /// The huge pages and how they are shared, for a title.
    static func title(_ plan: PlanBlock) -> String {
        "\(CountText.grouped(plan.pages.rawValue)) x \(ByteText.short(plan.hugePageBytes)) huge pages, \(setting(plan))"
    }

    /// What a drawing shows, for the line above it.
    static func picture(_ picture: FramePicture, _ plan: PlanBlock) -> String {
        let title = "huge page \(picture.hugePage): \(plan.vmemmapPagesPerHugePage) vmemmap pages and their frames"
        guard let mappings = picture.lastFrameMappings.value else { return title }
        return title + ", the last mapped \(CountText.of(mappings, "time"))"
    }

    /// `512 huge pages of 2.00 MiB`.
    static func hugePages(_ plan: PlanBlock) -> String {
        "\(CountText.of(plan.pages.rawValue, "huge page")) of \(ByteText.short(plan.hugePageBytes))"
    }

    /// How they are shared.
    static func setting(_ plan: PlanBlock) -> String {
        var setting = "\(plan.scheme.rawValue) scheme, \(plan.backing.rawValue) backing"
        if plan.tailFrames > PageCount(1) { setting += ", tail frames \(plan.tailFrames)" }
        if plan.mapping == .pmd { setting += ", PMD-mapped region" }
        return setting
    }

    /// The kernel's own wording: `HugeTLB: 24 KiB vmemmap can be freed for a 2.00 MiB page`.
    static func kernelMessage(_ plan: PlanBlock) -> String {
        let vmemmapPage = plan.regionBytes.rawValue / plan.framesPopulated.rawValue
        let freed = ByteCount(plan.freedPagesPerHugePage.rawValue * vmemmapPage)
        return KernelMessage.freed(freed, hugePage: plan.hugePageBytes)
    }
}
