package import HostMemory

/// What the host maps at each vmemmap page of a region, from /proc/self/maps: the check on what the owner of states
/// says.
package struct PageMappings {
    /// What is mapped at one vmemmap page.
    package enum Kind: Hashable, Sendable {
        case unmapped
        /// Private anonymous memory.
        case own(isWritable: Bool)
        /// A page of a memory file.
        case shared(isWritable: Bool)
        /// Of the host's pages that it consists of some are one thing, some another.
        case mixed
    }

    /// Of each page of the host.
    private let kinds: [Kind]
    private let perVmemmapPage: Int
    private let plan: MappingPlan
    /// How the plan replaces each vmemmap page of a huge page; nil where it does not.
    private let replaced: [MappingPlan.ReplacementProtection?]
    /// How many mappings overlap the region.
    package let count: MappingCount

    /// Looks at all of a region.
    package init(of region: VmemmapRegion) throws(HostError) {
        plan = region.plan
        let pages = plan.geometry.vmemmapPagesPerHugePage.rawValue
        var replaced = [MappingPlan.ReplacementProtection?](repeating: nil, count: pages)
        for replacement in plan.replacements {
            let first = replacement.first.rawValue
            for page in first..<(first + replacement.count.rawValue) { replaced[page] = replacement.protection }
        }
        self.replaced = replaced
        perVmemmapPage = plan.geometry.hostPagesPerVmemmapPage
        let pageSize = HostLimits.pageSize.rawValue
        var kinds = [Kind](repeating: .unmapped, count: region.range.length.rawValue / pageSize)
        var count = MappingCount.zero
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
            count = count + MappingCount(1)
            let first = max(0, (mapping.range.start - region.range.start).rawValue / pageSize)
            let end = min(kinds.count, (mapping.range.end - region.range.start).rawValue / pageSize)
            let kind: Kind =
                mapping.isShared ? .shared(isWritable: mapping.isWritable) : .own(isWritable: mapping.isWritable)
            for page in first..<end { kinds[page] = kind }
        }
        self.kinds = kinds
        self.count = count
    }

    /// How the plan replaces a vmemmap page; nil where it does not.
    package func replacement(of vmemmapPage: Int) -> MappingPlan.ReplacementProtection? { replaced[vmemmapPage] }

    /// What is mapped at a vmemmap page of a huge page.
    package func kind(_ vmemmapPage: Int, of page: Int) -> Kind {
        let first = (page * plan.geometry.vmemmapPagesPerHugePage.rawValue + vmemmapPage) * perVmemmapPage
        let kind = kinds[first]
        return kinds[first..<(first + perVmemmapPage)].allSatisfy { $0 == kind } ? kind : .mixed
    }

    /// The vmemmap pages of a huge page that are not mapped as `state` says.
    package func pagesNotAs(_ state: HugePageState, in page: Int) -> [String] {
        var wrong: [String] = []
        for vmemmapPage in replaced.indices {
            let found = kind(vmemmapPage, of: page)
            if found != expected(vmemmapPage, state) { wrong.append("vmemmap page \(vmemmapPage) is \(found)") }
        }
        return wrong
    }

    private func expected(_ vmemmapPage: Int, _ state: HugePageState) -> Kind {
        guard state == .optimized, let protection = replaced[vmemmapPage] else {
            return plan.backing == .anonymous ? .own(isWritable: true) : .shared(isWritable: true)
        }
        return .shared(isWritable: protection == .readWrite)
    }
}
