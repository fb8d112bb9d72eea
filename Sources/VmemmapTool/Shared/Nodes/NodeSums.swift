import HostMemory

// What several processes measured of themselves, put together. A sum is null where one of its parts is.

extension Measured {
    /// The parts put together; not measured if one of them was not, or if there are none.
    static func sum(_ parts: [Measured<Value>], _ add: (Value, Value) -> Value) -> Measured<Value> {
        guard let first = parts.first else { return .notMeasured }
        return parts.dropFirst().reduce(first) { sum, part in
            guard let left = sum.value, let right = part.value else { return .notMeasured }
            return .value(add(left, right))
        }
    }
}

extension MemoryFigures {
    /// The figures of several processes together. What the host counts for all of them is not added up.
    ///
    /// Distinct frames of the regions may be added: each is private memory, or a memory file, of its own process.
    init(of processes: [MemoryFigures]) {
        func sum<Value: Quantity>(_ figure: (MemoryFigures) -> Measured<Value>) -> Measured<Value> {
            .sum(processes.map(figure), +)
        }
        self.init(
            rssBytes: sum(\.rssBytes), pssBytes: sum(\.pssBytes), distinctFrames: sum(\.distinctFrames),
            swappedPages: sum(\.swappedPages), regionPresentPages: sum(\.regionPresentPages),
            memfdBytes: sum(\.memfdBytes), pageTableBytes: processes.reduce(.zero) { $0 + $1.pageTableBytes },
            mappings: processes.reduce(.zero) { $0 + $1.mappings }, regionMappings: sum(\.regionMappings),
            mappingCostBytes: processes.reduce(.zero) { $0 + $1.mappingCostBytes },
            pmdMappedBytes: sum(\.pmdMappedBytes),
            pagesInHugeFolios: sum(\.pagesInHugeFolios), splitBlocks: .sum(processes.map(\.splitBlocks), +),
            hugePageEvents: processes.last?.hugePageEvents ?? .notMeasured)
    }
}

extension PlanBlock {
    /// The plans of several regions together, which differ in nothing but their size.
    init(of plans: [PlanBlock]) {
        precondition(!plans.isEmpty, "no plan")
        func sum<Value: Quantity>(_ figure: (PlanBlock) -> Value) -> Value {
            plans.reduce(.zero) { $0 + figure($1) }
        }
        pages = sum(\.pages)
        hugePageBytes = plans[0].hugePageBytes
        basePageBytes = plans[0].basePageBytes
        scheme = plans[0].scheme
        backing = plans[0].backing
        mapping = plans[0].mapping
        tailFrames = plans[0].tailFrames
        vmemmapPagesPerHugePage = plans[0].vmemmapPagesPerHugePage
        freedPagesPerHugePage = plans[0].freedPagesPerHugePage
        regionBytes = sum(\.regionBytes)
        framesPopulated = sum(\.framesPopulated)
        framesOptimized = sum(\.framesOptimized)
        mappingsOptimized = sum(\.mappingsOptimized)
        grossSavingBytes = sum(\.grossSavingBytes)
        overheadBytes = sum(\.overheadBytes)
        netSavingBytes = sum(\.netSavingBytes)
    }
}

extension Check {
    /// The same checks of several nodes together: each figure added up, and how many nodes do not pass. A sum alone
    /// would not do: what one node has too many, another may have too few.
    ///
    /// - Parameter nodes: the checks of each node, which are the same.
    static func all(ofNodes nodes: [[Check]]) -> [Check] {
        guard let first = nodes.first else { return [] }
        return first.indices.map { index in
            let checks = nodes.map { $0[index] }
            let figures = checks[0].figures.indices.map { place in
                Figure(of: checks.map { $0.figures[place] })
            }
            let failed = checks.enumerated().filter { $0.element.outcome == .failed }
            let reasons = failed.map { number, check in
                "node \(number): "
                    + check.figures.filter { $0.outcome == .failed }.map(\.text).joined(separator: "; ")
            }
            return Check(
                checks[0].id, checks[0].statement, figures + [.equal("failed_nodes", 0, failed.count)],
                method: (reasons + [failed.first?.element.method ?? checks[0].method]).joined(separator: "; "))
        }
    }
}

extension Check.Figure {
    /// The same figure of several nodes, added up.
    fileprivate init(of nodes: [Check.Figure]) {
        self.init(
            name: nodes[0].name, expected: .sum(nodes.map(\.expected), +), bound: nodes[0].bound,
            measured: .sum(nodes.map(\.measured), +))
    }
}

/// How far nodes are, together.
struct NodeProgress {
    private var last: [Int: Progress] = [:]

    /// What all nodes have done of the work that one of them tells about.
    mutating func sum(_ progress: Progress, by node: Int) -> Progress {
        last[node] = progress
        guard case .count(let work, _, _, let unit) = progress else { return progress }
        var (done, total) = (0, 0)
        for case .count(work, let part, of: let whole, unit: unit) in last.values {
            done += part
            total += whole
        }
        return .count(work, done, of: total, unit: unit)
    }
}
