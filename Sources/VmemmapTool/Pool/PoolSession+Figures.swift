import HostMemory
import VmemmapEmulator

// What a session's machine counts, and what the host measures of it.
extension PoolSession {
    /// What the machine counts now, and what the host measures of it; nil while there is none.
    func snapshot() throws(PoolSessionError) -> PoolFigures? {
        guard let machine else { return nil }
        let memmap = machine.memmap()
        return PoolFigures(
            basePageBytes: machine.configuration.sizes.basePage,
            pools: machine.sizes.map { size in
                let info = machine.hugePages(size)
                return PoolFigures.Pool(
                    hugePageBytes: size.bytes, totalPages: info.total.rawValue, freePages: info.free.rawValue,
                    reservedPages: info.reserved.rawValue, surplusPages: info.surplus.rawValue,
                    optimizedPages: info.optimized.rawValue)
            },
            memmapPages: memmap.allocatorPages, memmapBootPages: memmap.bootPages,
            splitPageTables: memmap.splitPageTables, frameBudgetPages: Measured(memmap.frameBudget),
            measured: try figures(machine))
    }

    func figures(_ machine: EmulatedMachine) throws(PoolSessionError) -> PoolHostFigures {
        do throws(HostError) {
            let frames = try FrameCount.count(in: machine.range)
            return PoolHostFigures(
                distinctFrames: frames.distinct, countingMethod: frames.method,
                expectedFrames: machine.expectedFrames(), mappings: try ProcMaps.count(overlapping: machine.range),
                pageTableBytes: try ProcessStatus.current().pageTables)
        } catch {
            throw .host(.host(error))
        }
    }

    func expect(
        _ figure: PoolFigure, _ value: Int, _ machine: EmulatedMachine
    ) throws(PoolSessionError) -> PoolOutcome {
        switch figure {
        case .hugePages(let name, let size):
            let info = machine.hugePages(size)
            let found =
                switch name {
                case "HugePages_Total": info.total
                case "HugePages_Free": info.free
                case "HugePages_Rsvd": info.reserved
                case "HugePages_Surp": info.surplus
                default: info.optimized
                }
            return .expected(name, expected: "\(value)", found: "\(found.rawValue)")
        case .nodePages(let name, let size, let node):
            let nodes = machine.pool(size).nodes
            guard nodes.indices.contains(node) else {
                throw .script(PoolScriptError(found: "node=\(node)", expected: "boot with nodes=2"))
            }
            let found =
                switch name {
                case "HugePages_Total": nodes[node].total
                case "HugePages_Free": nodes[node].free
                default: nodes[node].surplus
                }
            return .expected("\(name) of node \(node)", expected: "\(value)", found: "\(found.rawValue)")
        case .machine(let name):
            let info = machine.memmap()
            let found =
                switch name {
                case "nr_memmap_pages": info.allocatorPages.rawValue
                case "nr_memmap_boot_pages": info.bootPages.rawValue
                case "nr_memmap_sum": info.allocatorPages.rawValue + info.bootPages.rawValue
                case "split_page_tables": info.splitPageTables
                case "free_pages": info.freePages
                case "removed_reads": removedReads
                default: try figures(machine).distinctFrames.rawValue
                }
            return .expected(name, expected: "\(value)", found: "\(found)")
        }
    }
}
