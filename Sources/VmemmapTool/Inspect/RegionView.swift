import HostMemory
import VmemmapEmulator

/// A region's pages as an outsider sees them, in one pass over pagemap and maps.
struct RegionView {
    /// What became of the huge pages.
    let pages: InspectResult.Pages
    /// Those of them that are optimized, by zone.
    let optimizedInZone: [Int]
    /// How many mappings huge pages in these states make.
    let mappings: MappingCount
    /// Vmemmap pages that are not mapped as their huge page's state has them, and the first of them.
    let mappedOtherwise: PageCount
    let firstDifference: String?
    /// Vmemmap pages that show the kernel's page of zeroes; nil where the kernel does not tell.
    let zeroPages: PageCount?
    /// The frame behind each present page; empty where frame numbers are not shown.
    let frames: [UInt64]

    static func take(
        _ plan: MappingPlan, _ layout: VmemmapLayout, _ file: Mapping.FileIdentity?, of process: ObservedProcess
    ) throws(HostError) -> RegionView {
        let range = layout.vmemmap(of: layout.allHugePages)
        var tally = PatternTally(plan)
        var frames: [UInt64] = []
        let pageSize = HostLimits.pageSize.rawValue
        let zeroes = try PageMap.zeroPages(of: process, in: range)
        var next = 0
        try PageMap.forEachPage(of: process, in: range) { (page) throws(HostError) in
            if page.entry.pfn != 0 { frames.append(page.entry.pfn) }
            while let zeroes, next < zeroes.count, zeroes[next].end <= page.address { next += 1 }
            let isZeroes = zeroes.map { next < $0.count && $0[next].contains(page.address) } ?? false
            // No frame of the region's is behind such a page.
            tally.add(
                isZeroes ? .absent : AliasPattern.Identity(page), at: (page.address - layout.base).rawValue / pageSize)
        }
        let verdicts = tally.allVerdicts()
        var mappings = MappingTally(plan, range, verdicts, file)
        try ProcMaps.forEach(of: process, overlapping: range) { (mapping) throws(HostError) in mappings.add(mapping) }
        let optimized = verdicts.indices.filter { verdicts[$0] == .optimized }
        return RegionView(
            pages: tally.pages(),
            optimizedInZone: (0..<plan.zones).map { zone in
                optimized.count { plan.zone(of: HugePageIndex($0)) == zone }
            },
            mappings: plan.regionMappings(of: verdicts.map { $0 == .optimized ? .optimized : .restored }),
            mappedOtherwise: mappings.wrongPages(), firstDifference: mappings.firstDifference,
            zeroPages: zeroes.map { PageCount($0.reduce(0) { $0 + $1.length.rawValue } / pageSize) }, frames: frames)
    }
}

extension AliasPattern.Identity {
    init(_ page: PageView) {
        if let file = page.file {
            self = .file(file.identity, offset: file.offset)
        } else {
            // What was swapped out is there.
            self = page.entry.isPresent || page.entry.isSwapped ? .own(page.address) : .absent
        }
    }
}

/// Judges huge pages one after the other. Pure.
struct PatternTally {
    private let plan: MappingPlan
    private let pattern: AliasPattern
    private let perHugePage: Int
    /// Of each huge page; of those of which nothing is seen, neither.
    private var verdicts: [AliasPattern.Verdict]
    private var current: (page: Int, identities: [AliasPattern.Identity])
    /// What the first optimized huge page of each zone showed of its templates.
    private var templates: [Int: [AliasPattern.Identity]] = [:]

    init(_ plan: MappingPlan) {
        self.plan = plan
        pattern = AliasPattern(plan)
        perHugePage = plan.geometry.vmemmapPagesPerHugePage.rawValue * plan.geometry.hostPagesPerVmemmapPage
        verdicts = Array(repeating: .neither, count: plan.hugePages.rawValue)
        current = (0, [])
    }

    /// Takes in the next page of the host, the `index`-th of the region. Pages that are not mapped are never seen.
    mutating func add(_ identity: AliasPattern.Identity, at index: Int) {
        let page = index / perHugePage
        if page != current.page {
            judge()
            current = (page, [])
        }
        current.identities.append(identity)
    }

    /// What became of each huge page. Those of which nothing was seen are neither.
    func allVerdicts() -> [AliasPattern.Verdict] {
        var last = self
        last.judge()
        return last.verdicts
    }

    /// How many have become what.
    func pages() -> InspectResult.Pages {
        let verdicts = allVerdicts()
        let optimized = verdicts.count { $0 == .optimized }
        let own = verdicts.count { $0 == .own }
        return InspectResult.Pages(
            optimized: HugePageCount(optimized), unoptimized: HugePageCount(own),
            neither: HugePageCount(plan.hugePages.rawValue - optimized - own))
    }

    private mutating func judge() {
        var verdict = pattern.verdict(current.identities, of: current.page)
        if verdict == .optimized {
            let zone = plan.zone(of: HugePageIndex(current.page))
            let shown = pattern.templateIdentities(current.identities)
            if let known = templates[zone] {
                if known != shown { verdict = .neither }
            } else {
                templates[zone] = shown
            }
        }
        verdicts[current.page] = verdict
    }
}
