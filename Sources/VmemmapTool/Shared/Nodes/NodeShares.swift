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
        let room = room.keepingFree(MappingAccount.nodeVariation - MappingAccount.variation)
        // Chosen once: all nodes have the same number of tail frames.
        var memory = memory
        let number: Int
        switch count {
        case .number(let nodes): number = nodes
        case .auto:
            let plan = try memory.plan(on: room.ofNodes(1))
            memory.tailFrames = .frames(plan.tailFrames)
            number = Self.nodesNeeded(plan, room)
        }
        memory.tailFrames = try Self.tailFrames(memory, number, room)
        let all = room.ofNodes(number)
        _ = try memory.plan(on: all)
        memories = NodeCount.shares(of: memory.pages.rawValue, among: number).map { pages in
            var share = memory
            share.pages = HugePageCount(pages)
            return share
        }
        plans = try memories.map { (share) throws(ExperimentError) in try share.plan(on: all) }
    }

    /// As few as there is room for in, or as many as there may be.
    private static func nodesNeeded(_ plan: MappingPlan, _ room: HostRoom) -> Int {
        let pages = plan.hugePages.rawValue
        let perPage = plan.mappings(.optimized).rawValue
        // What a number that is named is taken from.
        let free = max(.zero, room.freeMappings - MappingAccount.variation)
        let most = perPage == 0 ? pages : free.rawValue / perPage
        return min(pages, NodeCount.most, most == 0 ? .max : (pages - 1) / most + 1)
    }

    /// The tail frames of the largest share. Throws if it does not fit a process.
    private static func tailFrames(
        _ memory: EmulatedMemory, _ nodes: Int, _ room: HostRoom
    ) throws(ExperimentError) -> TailFrames {
        var share = memory
        share.pages = HugePageCount((memory.pages.rawValue - 1) / nodes + 1)
        do throws(ExperimentError) {
            return .frames(try share.plan(on: room.ofOneNode).tailFrames)
        } catch .shortage(var shortage) where shortage.resource == .mappings {
            shortage.share = Shortage.Share(pages: memory.pages, nodes: nodes)
            throw .shortage(shortage)
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
