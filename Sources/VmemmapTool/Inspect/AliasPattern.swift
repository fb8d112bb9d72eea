import HostMemory
import VmemmapEmulator

/// Which vmemmap pages of a huge page ought to show the same frame, worked out from the plan alone, and whether they
/// do.
///
/// What is compared is who shares with whom, not where in the memory file a frame lies: an outsider's view, that owes
/// nothing to how the engine lays its file out. Goes by pages of the host, of which a vmemmap page may be several.
/// Pure.
struct AliasPattern {
    /// What a vmemmap page shows, as far as an outsider can tell it from another.
    enum Identity: Hashable {
        /// A page of a file.
        case file(Mapping.FileIdentity, offset: ByteCount)
        /// Private memory: shared with nobody.
        case own(Address)
        /// Nothing is there, or what is there is the kernel's page of zeroes.
        case absent
    }

    /// What became of a huge page.
    enum Verdict: Hashable {
        /// As the scheme has it, optimized.
        case optimized
        /// Every vmemmap page has a frame of its own.
        case own
        /// Neither.
        case neither
    }

    private let pageSize = HostLimits.pageSize
    /// For each page the first one that ought to show the same frame.
    private let first: [Int]
    /// For each frame of the templates the first page that ought to show it.
    private let templates: [Int]

    init(_ plan: MappingPlan) {
        let run = plan.geometry.hostPagesPerVmemmapPage
        var first = Array(0..<plan.geometry.vmemmapPagesPerHugePage.rawValue * run)
        // A page that keeps its frame shows the frame that others share from it.
        let own = plan.ownPages.lowerBound.rawValue * run
        var firstOfTemplate: [Int: Int] = [:]
        for replacement in plan.replacements {
            for step in 0..<replacement.count.rawValue * run {
                let page = replacement.first.rawValue * run + step
                switch replacement.frame {
                case .own(let number): first[page] = own + number * run + step
                case .template(let number):
                    let frame = number * run + step
                    first[page] = firstOfTemplate[frame] ?? page
                    if firstOfTemplate[frame] == nil { firstOfTemplate[frame] = page }
                }
            }
        }
        self.first = first
        templates = (0..<firstOfTemplate.count).compactMap { firstOfTemplate[$0] }
    }

    /// What the pages of a huge page show of the templates: the same for every huge page of a zone.
    func templateIdentities(_ pages: [Identity]) -> [Identity] { templates.map { pages[$0] } }

    /// What became of the `index`-th huge page, whose vmemmap pages show `pages`.
    func verdict(_ pages: [Identity], of index: Int) -> Verdict {
        guard pages.count == first.count, !pages.contains(.absent) else { return .neither }
        if isUnoptimized(pages, index) { return .own }
        let distinct = Set(pages).count
        let asPlanned = pages.indices.allSatisfy { pages[$0] == pages[first[$0]] }
        let sharers = pages.indices.count { first[$0] == $0 }
        return asPlanned && distinct == sharers ? .optimized : .neither
    }

    /// Private memory throughout, or a file mapped from end to end: a template of as many frames as there are tails is
    /// shared with other huge pages only, and so is not to be told from that by who shares with whom in this one.
    private func isUnoptimized(_ pages: [Identity], _ index: Int) -> Bool {
        pages.indices.allSatisfy { page in
            switch pages[page] {
            case .own: true
            case .file(_, let offset): offset == pageSize * (index * pages.count + page)
            case .absent: false
            }
        }
    }
}
