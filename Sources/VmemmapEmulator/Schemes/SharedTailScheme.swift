import HostMemory

/// Linux 7.1: page 0 stays private, the tails of all huge pages of a zone and an order show the same few pages,
/// read-only. Works because a tail holds a mask and not an address (``CompoundHead/masked(_:at:)``).
struct SharedTailScheme: SchemeRules {
    let firstLinux = (major: 7, minor: 1)
    let origin = "Linux 7.1"
    let encoding = CompoundHead.Encoding.mask
    let tailSource = TailSource.template

    func mostTailFrames(tails: Int) -> Int { tails }

    func ownPages(tailFrames: Int) -> Range<VmemmapPageIndex> { VmemmapPageIndex(1)..<VmemmapPageIndex(1) }

    func replacements(pages: Int, tailFrames: Int, _ backing: Backing) -> [MappingPlan.Replacement] {
        repeated(.template(0), from: 1, to: pages, tailFrames: tailFrames)
    }
}
