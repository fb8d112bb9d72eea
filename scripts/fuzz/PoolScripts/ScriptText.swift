import HostMemory
import VmemmapEmulator
@testable import VmemmapTool

/// Statements as lines of a script.
enum ScriptText {
    static func line(_ statement: PoolStatement) -> String {
        switch statement {
        case .boot(let configuration, let size, let pages): boot(configuration, size, pages)
        case .optimize(let isOn): "sysctl hugetlb_optimize_vmemmap=\(isOn ? 1 : 0)"
        case .pool(let size, let count): "nr_hugepages \(text(size)) \(count)"
        case .overcommit(let size, let count): "nr_overcommit_hugepages \(text(size)) \(count)"
        case .allocate(let size, let count): "alloc \(text(size)) \(count)"
        case .free(let frame): "free \(frame.map(text) ?? "all")"
        case .reserve(let size, let count): "reserve \(text(size)) \(count)"
        case .unreserve(let size, let count): "unreserve \(text(size)) \(count)"
        case .poison(let frame): "poison \(text(frame))"
        case .dissolve(let frame): "dissolve \(text(frame))"
        case .demote(let frame): "demote \(text(frame))"
        case .budget(let frames): "budget \(frames.map { "\($0)" } ?? "off")"
        case .walk(let walkers): "walkers \(walkers)"
        case .stopWalking: "walkers off"
        case .flush: "flush"
        case .meminfo: "meminfo"
        case .vmstat: "vmstat"
        case .page(let frame): "page \(text(frame))"
        case .expect(.hugePages(let name, let size), let value): "expect \(name) \(text(size)) \(value)"
        case .expect(.machine(let name), let value): "expect \(name) \(value)"
        case .expectOutcome(let outcome): "expect \(outcome)"
        }
    }

    private static func boot(
        _ configuration: MachineConfiguration, _ size: HugePageSize, _ pages: HugePageCount
    ) -> String {
        // Whole KiB at least: a size in bytes has no unit, and needs one.
        [
            "boot", "memory=\(configuration.memory.rawValue / 1024)K", "hugepagesz=\(text(size))", "hugepages=\(pages)",
            "hugetlb_free_vmemmap=\(configuration.optimizesAtBoot ? "on" : "off")",
            "scheme=\(configuration.scheme.rawValue)", "backing=\(configuration.backing.rawValue)",
            "release=\(configuration.release.rawValue)", "restore_failure=\(configuration.restoreFailure.rawValue)",
            "policy=\(configuration.policy.rawValue)", "keep_pages=\(configuration.keepsPages ? "on" : "off")",
            "pmd_mapped=\(configuration.mapping == .pmd ? "on" : "off")", "tail_frames=\(configuration.tailFrames)",
            "struct_page_size=\(configuration.structPageSize)",
        ].joined(separator: " ")
    }

    private static func text(_ size: HugePageSize) -> String { size == .oneGibibyte ? "1G" : "2M" }

    private static func text(_ frame: PoolFrame) -> String {
        switch frame {
        case .frame(let number): "\(number)"
        case .allocated(let number, let offset): "#\(number)+\(offset)"
        }
    }
}
