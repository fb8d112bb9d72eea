import HostMemory

/// The v5 series (2020), and Linux 5.14 to 5.17: page 0 and page 1 stay, every other tail page shows page 1, read-only.
/// Nothing changes for readers, since page 1 holds tails and nothing else.
struct FirstTailScheme: SchemeRules {
    let firstLinux = (major: 5, minor: 14)
    let origin = "the v5 series"
    let encoding = CompoundHead.Encoding.pointer
    let tailSource = TailSource.ownTails

    /// A frame for every tail would free nothing.
    func mostTailFrames(tails: Int) -> Int { tails - 1 }

    func ownPages(tailFrames: Int) -> Range<VmemmapPageIndex> { VmemmapPageIndex(1)..<VmemmapPageIndex(1 + tailFrames) }

    func replacements(pages: Int, tailFrames: Int, _ backing: Backing) -> [MappingPlan.Replacement] {
        // Page 1 stays writable, as in the v5 series; the rest of the run holds tails like all others.
        let first = backing == .anonymous ? [MappingPlan.Replacement(1, 1, .own(0), .readWrite)] : []
        let rest = tailFrames > 1 ? [MappingPlan.Replacement(2, tailFrames - 1, .own(1), .readOnly)] : []
        return first + rest + repeated(.own(0), from: 1 + tailFrames, to: pages, tailFrames: tailFrames)
    }
}
