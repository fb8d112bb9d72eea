import HostMemory

// What several processes measured of themselves, put together. A sum is null where one of its parts is.

/// Something that each of several processes has a part of.
protocol Addable {
    /// What both have together.
    static func + (left: Self, right: Self) -> Self
}

extension Int: Addable {}
extension ByteCount: Addable {}
extension PageCount: Addable {}
extension MappingCount: Addable {}

extension Measured: Addable where Value: Addable {
    /// Not measured if one of the two was not.
    static func + (left: Self, right: Self) -> Self {
        guard let left = left.value, let right = right.value else { return .notMeasured }
        return .value(left + right)
    }
}

extension Sequence where Element: Addable {
    /// What all have together; nil if there are none.
    func sum() -> Element? { reduce(nil) { sum, part in sum.map { $0 + part } ?? part } }
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
            name: nodes[0].name, expected: nodes.map(\.expected).sum() ?? .notMeasured, bound: nodes[0].bound,
            measured: nodes.map(\.measured).sum() ?? .notMeasured)
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
