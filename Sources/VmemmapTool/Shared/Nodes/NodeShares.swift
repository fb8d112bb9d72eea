import HostMemory
import VmemmapEmulator

/// Huge pages divided among emulated NUMA nodes, and what is planned for each.
struct NodeShares: Sendable {
    /// The huge pages of each node.
    let memories: [EmulatedMemory]
    /// What optimizing them does.
    let plans: [MappingPlan]

    /// Divides `memory` on a host that has `room` for one process.
    ///
    /// - Throws: ``ExperimentError`` when there is not memory enough for all of it, or a node's share takes more
    ///   mappings than a process may have. What a process's own limits leave each node sees for itself.
    init(_ memory: EmulatedMemory, _ count: NodeCount, on room: HostRoom) throws(ExperimentError) {
        // Chosen once: all nodes have the same number of tail frames.
        var memory = memory
        let number: Int
        switch count {
        case .number(let nodes):
            number = nodes
            memory.tailFrames = try Self.tailFrames(memory, nodes, room)
        case .auto:
            let plan = try memory.plan(on: room.ofNodes(1))
            memory.tailFrames = .frames(plan.tailFrames)
            number = try Self.nodesNeeded(plan, room)
        }
        let all = room.ofNodes(number)
        _ = try memory.plan(on: all)
        memories = NodeCount.shares(of: memory.pages.rawValue, among: number).map { pages in
            var share = memory
            share.pages = HugePageCount(pages)
            return share
        }
        plans = try memories.map { (share) throws(ExperimentError) in try share.plan(on: all) }
    }

    /// Mappings that a node may have less than this process, which has not run anything yet.
    private static let variation = HostRoom.mappingVariation * 4

    private static func pagesPerNode(_ plan: MappingPlan, _ room: HostRoom) -> Int {
        let perPage = plan.mappings(.optimized).rawValue
        return perPage == 0 ? .max : max(0, (room.freeMappings - variation).rawValue / perPage)
    }

    private static func nodesNeeded(_ plan: MappingPlan, _ room: HostRoom) throws(ExperimentError) -> Int {
        let most = pagesPerNode(plan, room)
        let pages = plan.hugePages.rawValue
        guard most > 0, (pages - 1) / most < NodeCount.most else {
            throw .refused(
                "\(Format.count(pages)) huge pages need \(Format.count(plan.mappings(.optimized).rawValue, "mapping")) "
                    + "each, and vm.max_map_count leaves a node \(room.freeMappings.rawValue): not even "
                    + "\(NodeCount.most) nodes "
                    + "have room for them; take more tail frames or fewer huge pages")
        }
        return (pages - 1) / most + 1
    }

    /// The tail frames of the largest share. Throws if it does not fit a process.
    private static func tailFrames(
        _ memory: EmulatedMemory, _ nodes: Int, _ room: HostRoom
    ) throws(ExperimentError) -> TailFrames {
        var share = memory
        share.pages = HugePageCount((memory.pages.rawValue - 1) / nodes + 1)
        do throws(ExperimentError) {
            return .frames(try share.plan(on: room.ofOneNode).tailFrames)
        } catch .shortage(let shortage) where shortage.resource == .mappings {
            let needed =
                shortage.largest.rawValue == 0 ? nil : (memory.pages.rawValue - 1) / shortage.largest.rawValue + 1
            let mappings = shortage.needed.map { "\($0)" } ?? "more"
            throw .refused(
                "\(Format.count(share.pages.rawValue)) huge pages a node need \(mappings) mappings, but "
                    + "vm.max_map_count is \(shortage.limit), \(shortage.available) of them free; use --nodes auto"
                    + (needed.map { " or --nodes \($0)" } ?? ""))
        }
    }
}

extension HostRoom {
    /// What a node takes beside its region: the process itself.
    private static let nodeMemory = ByteCount.mebibytes(12)

    /// The same host for `nodes` processes together: mappings and a process's own limits are each one's own.
    func ofNodes(_ nodes: Int) -> HostRoom {
        var room = ofOneNode.withoutMappingLimit
        room.memory = memory - Self.nodeMemory * nodes
        return room
    }

    /// The same host for the mappings of a node: whether there is memory for all of them is asked apart. What the
    /// process's own limits leave is left out on purpose: each node has limits of its own, and sees to them.
    var ofOneNode: HostRoom {
        var room = self
        room.limits = []
        return room
    }
}

extension EmulatedMemory {
    /// The options that a node of these huge pages is started with.
    var arguments: [String] {
        [
            "--pages", "\(pages.rawValue)", "--page-size", pageSize.defaultValueDescription, "--scheme",
            scheme.rawValue,
            "--backing", backing.rawValue, "--tail-frames", "\(tailFrames)",
        ] + GeometryOptions.arguments(basePageSize: basePageSize)
            + (mapping == .pmd ? ["--pmd-mapped"] : []) + (construction == .optimized ? ["--at-boot"] : [])
    }
}
