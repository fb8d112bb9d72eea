import HostMemory

/// Linux 5.18 to 7.0: page 0 stays, every other page shows it, read-only. Readers must see through the fake heads that
/// come of it (``CompoundHead/throughFakeHead(_:at:pageSize:next:)``).
struct HeadScheme: SchemeRules {
    let firstLinux = (major: 5, minor: 18)
    let origin = "Linux 5.18 to 7.0"
    let encoding = CompoundHead.Encoding.pointerBesideFakeHeads
    let tailSource = TailSource.head

    /// Every tail shows the one head page.
    func mostTailFrames(tails: Int) -> Int { 1 }

    func ownPages(tailFrames: Int) -> Range<VmemmapPageIndex> { VmemmapPageIndex(0)..<VmemmapPageIndex(1) }

    func replacements(pages: Int, tailFrames: Int, _ backing: Backing) -> [MappingPlan.Replacement] {
        let first = backing == .anonymous ? [MappingPlan.Replacement(0, 1, .own(0), .readWrite)] : []
        return first + repeated(.own(0), from: 1, to: pages, tailFrames: 1)
    }
}
