import HostMemory

/// What a scheme decides about one huge page. To add a scheme, copy one of the files beside this one and give it a case
/// in ``Scheme``: plans, both remappers, readers and checks follow from what stands there.
protocol SchemeRules: Sendable {
    /// The first Linux that shares vmemmap so.
    var firstLinux: (major: Int, minor: Int) { get }

    /// Whose it is, in a few words.
    var origin: String { get }

    /// Whether huge pages are optimized and restored as they come and go; false where they are built shared, once for
    /// all.
    var isRemapped: Bool { get }

    /// How a reader finds the head.
    var encoding: CompoundHead.Encoding { get }

    /// Where a restored tail page takes its contents from.
    var tailSource: TailSource { get }

    /// The most tail frames that make sense for a huge page with `tails` tail pages.
    func mostTailFrames(tails: Int) -> Int

    /// The vmemmap pages whose frames others show, with `tailFrames` of them: empty where tails show templates.
    func ownPages(tailFrames: Int) -> Range<VmemmapPageIndex>

    /// The mappings that replace vmemmap pages of a huge page with `pages` of them, in the order in which they are
    /// made.
    func replacements(pages: Int, tailFrames: Int, _ backing: Backing) -> [MappingPlan.Replacement]
}

/// Where a restored tail page takes its contents from.
enum TailSource: Sendable {
    /// The huge page's own tails that the others show, over and over.
    case ownTails
    /// The huge page's head page, with what makes its struct pages a head taken away.
    case head
    /// The image of the zone's templates (``TailImages``).
    case template
}

extension SchemeRules {
    var isRemapped: Bool { true }

    /// Whether the tails show frames that all huge pages of a zone share.
    var usesTemplates: Bool { tailSource == .template }

    /// The vmemmap pages from `first` on, as many at a time as there are tail frames, all by the same frames.
    func repeated(
        _ frame: MappingPlan.Replacement.Frame, from first: Int, to pages: Int, tailFrames: Int,
        _ protection: MappingPlan.ReplacementProtection = .readOnly
    ) -> [MappingPlan.Replacement] {
        stride(from: first, to: pages, by: tailFrames).map {
            MappingPlan.Replacement($0, min(tailFrames, pages - $0), frame, protection)
        }
    }
}
