import HostLab
import HostMemory
import VmemmapEmulator

/// What a pool script's lines did, for people: what the kernel would print, and beside it what the host measured.
enum PoolScriptReport {
    /// The lines for one statement, and how long it took.
    static func lines(_ outcome: PoolOutcome, nanoseconds: Int, _ style: Style = .plain) -> [String] {
        let took = Format.duration(nanoseconds: nanoseconds)
        return switch outcome {
        case .pool, .allocated, .signalled, .refused, .booted, .memory:
            lines(outcome, style) + style.notes(["  took \(took)"])
        case .done: style.notes(["  done, took \(took)"])
        default: lines(outcome, style)
        }
    }

    private static func lines(_ outcome: PoolOutcome, _ style: Style) -> [String] {
        switch outcome {
        case .booted(let boot, let pools): booted(boot.configuration, pools)
        case .pool(let sized): pool(sized)
        case .allocated(let pages): allocated(pages)
        case .signalled(let pages, let error): allocated(pages) + ["  SIGBUS: \(error)"]
        case .done: []
        case .refused(let error): ["  -\(error.errnoName): \(error)\(wayOut(error))"]
        case .memory(let change): memory(change)
        case .meminfo(let infos, let host): meminfo(infos) + infos.map(pool) + hostLines(host)
        case .vmstat(let info, let host): vmstat(info) + hostLines(host)
        case .page(let page): self.page(page)
        case .walked(let seen):
            [
                "  " + style.mark(seen.wrong == 0)
                    + "walkers: \(Format.count(seen.reads)) reads of compound_head, "
                    + "\(Format.count(seen.wrong)) wrong"
                    + (seen.removed == 0 ? "" : ", \(Format.count(seen.removed)) of memory that had been taken out")
            ]
        case .expected(let name, let expected, let found):
            [
                "  " + style.mark(expected == found) + "\(name) is \(found)"
                    + (expected == found ? "" : ", expected \(expected)")
            ]
        }
    }

    /// What a script would have to say for it to be done.
    private static func wayOut(_ error: HugeTLBError) -> String {
        if case .noRoom = error.cause { " (boot with a larger hotplug=)" } else { "" }
    }

    private static func booted(
        _ configuration: MachineConfiguration, _ pools: [PoolSized]
    ) -> [String] {
        let basePage = configuration.sizes.basePage
        var lines = [
            "  \(Format.bytes(configuration.memory - configuration.pluggable)) of memory, "
                + (basePage == HostLimits.pageSize ? "" : "base pages of \(Format.bytes(basePage)), ")
                + "\(configuration.scheme.rawValue) scheme, \(configuration.backing.rawValue) backing"
        ]
        let plans = configuration.sizes.hugePages.compactMap(configuration.plan)
        if plans.contains(where: { !$0.geometry.hasPowerOfTwoStructPage }) {
            lines.append("  " + KernelMessage.crossing(configuration.structPageSize))
        }
        lines += plans.map { "  " + message($0) }
        lines += pools.flatMap(pool)
        if !configuration.optimizesAtBoot, pools.contains(where: { $0.change.got > .zero }) {
            lines.append(
                "  none of them optimized, as HVO is off: hugetlb_free_vmemmap=on in the boot line turns it on")
        }
        return lines
    }

    private static func message(_ plan: MappingPlan) -> String {
        let hugePage = plan.geometry.hugePageSize.bytes
        guard plan.geometry.hasPowerOfTwoStructPage else { return KernelMessage.disabled(hugePage) }
        let freed = PageCount(plan.freedPages.count).bytes(pageSize: plan.geometry.basePageSize)
        return KernelMessage.freed(freed, hugePage: hugePage)
    }

    private static func pool(_ pool: PoolSized) -> [String] {
        let place = pool.node.map { " on node \($0)" } ?? ""
        let (got, asked) = (Format.count(pool.change.got.rawValue), Format.count(pool.change.asked.rawValue))
        let optimized = pool.optimized.map { ", \(Format.count($0.rawValue)) optimized" } ?? ""
        return ["  \(got) of \(asked) huge pages of \(Format.bytes(pool.size.bytes))\(place)\(optimized)"]
            + pool.remarks.map { "  " + $0 }
    }

    private static func memory(_ change: MemoryChange) -> [String] {
        let bytes = change.basePageSize * change.frames.count
        let vmemmap = change.vmemmapPages.bytes(pageSize: change.basePageSize)
        let place =
            change.selfHostedPages == .zero
            ? "from the page allocator"
            : change.selfHostedPages == change.vmemmapPages
                ? "in the memory itself" : "\(change.selfHostedPages.rawValue) pages of them in the memory itself"
        return [
            "  \(Format.bytes(bytes)) from \(change.frames.lowerBound) on "
                + "\(change.isPresent ? "came" : "went"), "
                + "with \(Format.bytes(vmemmap)) of vmemmap, \(place)"
        ]
    }

    private static func allocated(_ pages: [PoolUser.Allocated]) -> [String] {
        pages.map { "  #\($0.number): \(Format.bytes($0.page.size.bytes)) page at \($0.page.head)" }
    }

    /// The HugeTLB lines of /proc/meminfo, to the column (`hugetlb_report_meminfo()`): of the default size, the first,
    /// but for the last line, which is about all sizes.
    static func meminfo(_ infos: [HugePagesInfo]) -> [String] {
        guard let info = infos.first else { return [] }
        func line(_ name: String, _ value: Int, _ unit: String = "") -> String {
            let spaces = max(1, 24 - name.count - 1 - "\(value)".count)
            return "  \(name):" + String(repeating: " ", count: spaces) + "\(value)" + unit
        }
        let all = infos.reduce(0) { $0 + $1.size.bytes.rawValue / 1024 * $1.total.rawValue }
        return [
            line("HugePages_Total", info.total.rawValue), line("HugePages_Free", info.free.rawValue),
            line("HugePages_Rsvd", info.reserved.rawValue), line("HugePages_Surp", info.surplus.rawValue),
            line("Hugepagesize", info.size.bytes.rawValue / 1024, " kB"), line("Hugetlb", all, " kB"),
        ]
    }

    /// What sysfs has of a size, in the names of its files, and how many huge pages of it are optimized.
    private static func pool(_ info: HugePagesInfo) -> String {
        "  \(HugeTLBPool.folderName(of: info.size.bytes)): nr_hugepages \(info.total.rawValue), "
            + "free_hugepages \(info.free.rawValue), resv_hugepages \(info.reserved.rawValue), "
            + "surplus_hugepages \(info.surplus.rawValue), nr_overcommit_hugepages \(info.overcommit.rawValue); "
            + "\(info.optimized.rawValue) optimized"
    }

    private static func vmstat(_ info: MemmapInfo) -> [String] {
        let otherFailures = info.optimizeFailures - info.mappingLimitFailures - info.memoryFailures
        return [
            "  nr_memmap_pages \(info.allocatorPages.rawValue)", "  nr_memmap_boot_pages \(info.bootPages.rawValue)",
            "  split page tables \(info.splitPageTables), "
                + "not optimized at vm.max_map_count \(info.mappingLimitFailures), "
                + "for lack of memory \(info.memoryFailures), otherwise \(otherFailures), "
                + "refused restores \(info.restoreFailures), base pages set aside \(info.setAsidePages), "
                + "frame budget \(info.frameBudget.map { "\($0.rawValue)" } ?? "none"), free base pages "
                + "\(info.freePages)",
        ]
    }

    private static func hostLines(_ host: PoolHostFigures) -> [String] {
        let method = host.countingMethod == .pfn ? "frame numbers" : "file offsets"
        return [
            "  host: \(Format.count(host.distinctFrames.rawValue)) distinct frames (by \(method)), "
                + "\(Format.count(host.expectedFrames.rawValue)) expected; "
                + "\(Format.count(host.mappings.rawValue, "mapping")), VmPTE \(Format.bytes(host.pageTableBytes))"
        ]
    }

    private static func page(_ page: StructPageView) -> [String] {
        var parts = ["zone \(page.zone == 0 ? "Normal" : "Movable")"]
        if let hugePage = page.hugePage {
            parts.append("in the \(Format.bytes(hugePage.size.bytes)) page at \(hugePage.head)")
            parts.append(hugePage.head == page.frame ? "head" : "tail")
            parts.append(page.isActive ? "in use" : "free")
            parts.append(page.isOptimized ? "optimized" : "not optimized")
        } else {
            parts.append("in no huge page")
        }
        if page.isPoisoned { parts.append("hwpoison") }
        if let index = page.rawErrorIndex { parts.append("raw error at +\(index)") }
        let head = page.compoundHead.map { "\($0)" } ?? "nowhere"
        return [
            "  \(page.frame) at \(page.address): compound_head \(head); " + parts.joined(separator: ", ")
        ]
    }
}
