import HostMemory
import VmemmapEmulator

/// A plan and the host it is for, in words.
enum PlanReport {
    /// The host in two lines.
    static func lines(_ host: HostBlock) -> [String] {
        let available = host.memoryAvailableBytes.value.map { "\(Format.bytes($0)) available" }
        return [
            "host    \(self.host(host))",
            "limits  vm.max_map_count \(mappingLimit(host)), \(available ?? "available memory hidden"), "
                + "\(host.mappingCostBytes.rawValue) B a mapping (\(host.mappingCostSource.rawValue))",
        ]
    }

    /// vm.max_map_count, or where /proc/sys is hidden what stands for it.
    static func mappingLimit(_ host: HostBlock) -> String {
        (host.maxMapCount.value == nil ? "hidden: taken for " : "") + "\(host.mappingLimit.rawValue)"
    }

    /// That it is hidden, for a report that says nothing else of the host.
    static func hiddenLimit(_ host: HostBlock) -> String? {
        host.maxMapCount.value == nil ? "vm.max_map_count \(mappingLimit(host))" : nil
    }

    /// The host in one line.
    static func host(_ host: HostBlock) -> String {
        let who = host.isRoot ? "root" : "user"
        let frames = host.showsFrameNumbers.value == true ? "PFNs visible" : "PFNs hidden"
        return "Linux \(host.kernelRelease) \(host.machine), \(Format.bytes(host.pageSizeBytes)) pages, "
            + "\(Format.count(host.processors, "CPU")), \(who), \(frames)"
    }

    /// What will be mapped, and what that is expected to save.
    static func lines(_ plan: PlanBlock) -> [String] {
        [
            "plan    " + kernelMessage(plan),
            "        \(vmemmapPages(plan)), by \(Format.count(plan.mappingsOptimized.rawValue, "mapping"))",
            "        saves \(Format.bytes(plan.grossSavingBytes)) gross, "
                + "\(Format.bytes(plan.netSavingBytes)) net of \(Format.bytes(plan.overheadBytes)) for the mappings",
        ]
    }

    /// `4 096 vmemmap pages in 1 024 frames`: where a vmemmap page is one of the host's, as many as the host has frames
    /// for, populated.
    private static func vmemmapPages(_ plan: PlanBlock) -> String {
        let pages = plan.vmemmapPagesPerHugePage.rawValue * plan.pages.rawValue
        let (before, after) = (plan.framesPopulated.rawValue, plan.framesOptimized.rawValue)
        if pages >= before { return "\(Format.count(before)) vmemmap pages in \(Format.count(after)) frames" }
        return "\(Format.count(pages)) vmemmap pages of \(Format.bytes(plan.basePageBytes)), "
            + "\(Format.count(before)) frames of the host, in \(Format.count(after))"
    }

    /// `16.00 GiB of HugeTLB memory`.
    static func memory(_ plan: PlanBlock) -> String {
        "\(Format.bytes(plan.hugePageBytes * plan.pages.rawValue)) of "
            + (plan.scheme.isRemapped ? "HugeTLB" : "device DAX") + " memory"
    }

    /// The huge pages and how they are shared, for a title.
    static func title(_ plan: PlanBlock) -> String {
        "\(Format.count(plan.pages.rawValue)) x \(Format.bytes(plan.hugePageBytes)) huge pages, \(setting(plan))"
    }

    /// What a drawing shows, for the line above it.
    static func picture(_ picture: FramePicture, _ plan: PlanBlock) -> String {
        let title = "\(picture.hugePage): \(plan.vmemmapPagesPerHugePage.rawValue) vmemmap pages and their frames"
        guard let mappings = picture.lastFrameMappings.value else { return title }
        return title + ", the last mapped \(Format.count(mappings, "time"))"
    }

    /// `512 huge pages of 2.00 MiB`.
    static func hugePages(_ plan: PlanBlock) -> String {
        "\(Format.count(plan.pages.rawValue, "huge page")) of \(Format.bytes(plan.hugePageBytes))"
    }

    /// How they are shared.
    static func setting(_ plan: PlanBlock) -> String {
        var setting = "\(plan.scheme.rawValue) scheme, \(plan.backing.rawValue) backing"
        if plan.basePageBytes != HostLimits.pageSize {
            setting += ", base pages of \(Format.bytes(plan.basePageBytes))"
        }
        if plan.tailFrames > PageCount(1) { setting += ", tail frames \(plan.tailFrames.rawValue)" }
        if plan.mapping == .pmd { setting += ", PMD-mapped region" }
        return setting
    }

    /// The kernel's own wording: `HugeTLB: 24 KiB vmemmap can be freed for a 2.00 MiB page`.
    static func kernelMessage(_ plan: PlanBlock) -> String {
        let freed = plan.freedPagesPerHugePage.bytes(pageSize: plan.basePageBytes)
        guard plan.scheme.isRemapped else {
            return
                "\(Format.bytes(freed)) of vmemmap are never allocated for \(Format.bytes(plan.hugePageBytes)) of the "
                + "device"
        }
        return KernelMessage.freed(freed, hugePage: plan.hugePageBytes)
    }
}
