import HostMemory
import VmemmapEmulator
@testable import VmemmapTool

/// Statements as lines of a script.
enum ScriptText {
    static func line(_ statement: PoolStatement) -> String {
        switch statement {
        case .boot(let boot): self.boot(boot)
        case .optimize(let isOn): "sysctl hugetlb_optimize_vmemmap=\(isOn ? 1 : 0)"
        case .pool(let size, let count, let node): "nr_hugepages \(text(size)) \(count)\(text(node))"
        case .overcommit(let size, let count): "nr_overcommit_hugepages \(text(size)) \(count)"
        case .allocate(let size, let count): "alloc \(text(size)) \(count)"
        case .free(let frame): "free \(frame.map(text) ?? "all")"
        case .reserve(let size, let count, let kind): "reserve \(text(size)) \(count) \(kind.rawValue)"
        case .touch(let size, let count): "touch \(text(size)) \(count)"
        case .unreserve(let size, let count): "unreserve \(text(size)) \(count)"
        case .poison(let frame): "poison \(text(frame))"
        case .dissolve(let frame): "dissolve \(text(frame))"
        case .demote(let frame): "demote \(text(frame))"
        case .demotePages(let size, let count, let node): "demote \(text(size)) \(count)\(text(node))"
        case .demoteSize(let size, let smaller): "demote_size \(text(size)) \(text(smaller))"
        case .budget(let frames, let isShared):
            "budget \(frames.map { "\($0)" } ?? "off")" + (isShared ? " shared" : "")
        case .cgroup(let size, let limit, let isOfReservations):
            "cgroup \(text(size)) \(isOfReservations ? "rsvd.max" : "max")=\(limit.map { "\($0)" } ?? "off")"
        case .hotplug(let bytes, let isSelfHosted):
            "hotplug \(bytes.rawValue / 1024)K" + (isSelfHosted ? " memmap_on_memory" : "")
        case .offline(let bytes, let waits):
            "offline" + (bytes.map { " \($0.rawValue / 1024)K" } ?? "") + (waits ? " wait" : "")
        case .walk(let walkers, let isSleeping): "walkers \(walkers)" + (isSleeping ? " sleeping" : "")
        case .stopWalking: "walkers off"
        case .flush: "flush"
        case .meminfo: "meminfo"
        case .vmstat: "vmstat"
        case .page(let frame): "page \(text(frame))"
        case .expect(.hugePages(let name, let size), let value): "expect \(name) \(text(size)) \(value)"
        case .expect(.nodePages(let name, let size, let node), let value):
            "expect \(name) \(text(size)) node=\(node) \(value)"
        case .expect(.machine(let name), let value): "expect \(name) \(value)"
        case .expectOutcome(let outcome): "expect \(outcome)"
        }
    }

    private static func boot(_ boot: PoolBoot) -> String {
        let configuration = boot.configuration
        var sizes: [HugePageSize] = []
        for pool in boot.pools where !sizes.contains(pool.size) { sizes.append(pool.size) }
        let pools = sizes.map { size in
            let counts = boot.pools.filter { $0.size == size }.map { pool in
                (pool.node.map { "\($0):" } ?? "") + "\(pool.count)"
            }
            return "hugepagesz=\(text(size)) hugepages=\(counts.joined(separator: ","))"
        }
        // Whole KiB at least: a size in bytes has no unit, and needs one.
        let reserved = configuration.reserved.map {
            "\($0.lowerBound == .zero ? "0" : "\($0.lowerBound.rawValue / 1024)K")-\($0.upperBound.rawValue / 1024)K"
        }
        let architecture = Architecture.allCases.first { $0.machineSizes == configuration.sizes }
        return [
            "boot", architecture.map { "arch=\($0.rawValue)" } ?? "",
            "memory=\((configuration.memory - configuration.pluggable).rawValue / 1024)K",
            configuration.pluggable == .zero ? "" : "hotplug=\(configuration.pluggable.rawValue / 1024)K",
            configuration.zoneBorder.map { "zone_border=\($0.rawValue / 1024)K" } ?? "",
            "default_hugepagesz=\(text(boot.defaultSize))",
            pools.joined(separator: " "), "nodes=\(configuration.nodes)",
            reserved.isEmpty ? "" : "reserved=\(reserved.joined(separator: ","))",
            "hugetlb_free_vmemmap=\(configuration.optimizesAtBoot ? "on" : "off")",
            "scheme=\(configuration.scheme.rawValue)", "backing=\(configuration.backing.rawValue)",
            "release=\(configuration.release.rawValue)", "restore_failure=\(configuration.restoreFailure.rawValue)",
            "policy=\(configuration.policy.rawValue)", "keep_pages=\(configuration.keepsPages ? "on" : "off")",
            "pmd_mapped=\(configuration.mapping == .pmd ? "on" : "off")", "tail_frames=\(configuration.tailFrames)",
            "struct_page_size=\(configuration.structPageSize)",
        ].joined(separator: " ")
    }

    private static func text(_ size: HugePageSize) -> String { size.bytes.argument }

    private static func text(_ node: Int?) -> String { node.map { " node=\($0)" } ?? "" }

    private static func text(_ frame: PoolFrame) -> String {
        switch frame {
        case .frame(let number): "\(number)"
        case .allocated(let number, let offset): "#\(number)+\(offset)"
        }
    }
}
