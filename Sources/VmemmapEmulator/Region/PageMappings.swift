package import HostMemory

/// What the host maps at each vmemmap page of a region, from /proc/self/maps: the check on what the owner of states says.
package struct PageMappings {
    /// What is mapped at one vmemmap page.
    package enum Kind: Hashable, Sendable {
        case unmapped
        /// Private anonymous memory.
        case own(isWritable: Bool)
        /// A page of a memory file.
        case shared(isWritable: Bool)
    }

    private let kinds: [Kind]
    private let plan: MappingPlan
    /// The vmemmap pages that the plan replaces, and how.
    private let replaced: [Int: MappingPlan.ReplacementProtection]

    /// Looks at all of a region.
    package init(of region: VmemmapRegion) throws(HostError) {
        plan = region.plan
        replaced = region.plan.replacements.reduce(into: [:]) { replaced, replacement in
            for page in 0..<replacement.count.rawValue {
                replaced[replacement.first.rawValue + page] = replacement.protection
            }
        }
        let pageSize = region.plan.geometry.basePageSize.rawValue
        var kinds = [Kind](repeating: .unmapped, count: region.range.length.rawValue / pageSize)
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
            let first = max(0, (mapping.range.start - region.range.start).rawValue / pageSize)
            let end = min(kinds.count, (mapping.range.end - region.range.start).rawValue / pageSize)
            let kind: Kind =
                mapping.isShared ? .shared(isWritable: mapping.isWritable) : .own(isWritable: mapping.isWritable)
            for page in first..<end { kinds[page] = kind }
        }
        self.kinds = kinds
    }

    /// What is mapped at a vmemmap page of a huge page.
    package func kind(_ vmemmapPage: Int, of page: Int) -> Kind {
        kinds[page * plan.geometry.vmemmapPagesPerHugePage.rawValue + vmemmapPage]
    }

    /// The vmemmap pages of a huge page that are not mapped as `state` says.
    package func pagesNotAs(_ state: HugePageState, in page: Int) -> [String] {
        (0..<plan.geometry.vmemmapPagesPerHugePage.rawValue).compactMap { vmemmapPage in
            let found = kind(vmemmapPage, of: page)
            return found == expected(vmemmapPage, state) ? nil : "vmemmap page \(vmemmapPage) is \(found)"
        }
    }

    private func expected(_ vmemmapPage: Int, _ state: HugePageState) -> Kind {
        guard state == .optimized, let protection = replaced[vmemmapPage] else {
            return plan.backing == .anonymous ? .own(isWritable: true) : .shared(isWritable: true)
        }
        return .shared(isWritable: protection == .readWrite)
    }
}
