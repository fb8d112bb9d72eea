internal import HostMemory
internal import VmemmapEmulator

/// A region's pages as an outsider sees them, in one pass over pagemap and maps.
struct RegionView {
    /// What became of the huge pages.
    let pages: InspectResult.Pages
    /// The frame behind each present page; empty where frame numbers are not shown.
    let frames: [UInt64]

    static func take(
        _ plan: MappingPlan, _ layout: VmemmapLayout, of process: ObservedProcess
    ) throws(HostError) -> RegionView {
        var tally = PatternTally(plan)
        var frames: [UInt64] = []
        let pageSize = plan.geometry.basePageSize.rawValue
        try PageMap.forEachPage(of: process, in: layout.vmemmap(of: layout.allHugePages)) { (page) throws(HostError) in
            if page.entry.pfn != 0 { frames.append(page.entry.pfn) }
            tally.add(AliasPattern.Identity(page), at: (page.address - layout.base).rawValue / pageSize)
        }
        return RegionView(pages: tally.pages(), frames: frames)
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
    private var verdicts: [AliasPattern.Verdict: Int] = [:]
    private var current: (page: Int, identities: [AliasPattern.Identity])
    /// What the first optimized huge page of each zone showed of its templates.
    private var templates: [Int: [AliasPattern.Identity]] = [:]

    init(_ plan: MappingPlan) {
        self.plan = plan
        pattern = AliasPattern(plan)
        perHugePage = plan.geometry.vmemmapPagesPerHugePage.rawValue
        current = (0, [])
    }

    /// Takes in the next vmemmap page, the `index`-th of the region. Pages that are not mapped are never seen.
    mutating func add(_ identity: AliasPattern.Identity, at index: Int) {
        let page = index / perHugePage
        if page != current.page {
            judge()
            current = (page, [])
        }
        current.identities.append(identity)
    }

    /// What became of the huge pages. Those of which nothing was seen are neither.
    func pages() -> InspectResult.Pages {
        var last = self
        last.judge()
        let optimized = last.verdicts[.optimized] ?? 0
        let own = last.verdicts[.own] ?? 0
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
        verdicts[verdict, default: 0] += 1
    }
}
