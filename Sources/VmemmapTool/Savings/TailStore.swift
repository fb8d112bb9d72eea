import HostMemory
import VmemmapEmulator

/// A store through one tail whose huge page keeps its tails writable, as device DAX does: in which vmemmap pages it
/// shows. It is taken back.
struct TailStore: Hashable, Sendable {
    /// Vmemmap pages that show the tail's frame by the plan.
    private let expectedPages: Int
    /// Of its huge page, those in which it was read.
    private let pages: Int
    /// Of all others, the head's among them, those in which it was read.
    private let pagesElsewhere: Int
    /// Those in which something was left after it was taken back.
    private let changedPages: Int

    /// What it must show in, in words.
    private let allTails: String

    /// A number that no tail's refcount has by itself.
    private static let delta: Int32 = 0x2da7
    /// Which struct page of a vmemmap page: a tail in every one.
    private static let place = 9

    /// Stores to a refcount through the last vmemmap page of a huge page in the middle, and reads the same place of
    /// every vmemmap page of the region. Nobody else may write to it meanwhile.
    init(in region: VmemmapRegion) throws(VmemmapError) {
        let plan = region.plan
        let last = plan.geometry.vmemmapPagesPerHugePage.rawValue - 1
        let page = HugePageIndex(plan.hugePages.rawValue / 2)
        // Tail frames repeat from page 1 on.
        expectedPages = (1...last).count { ($0 - last).isMultiple(of: plan.tailFrames.rawValue) }
        allTails = "all tails" + (plan.tailFrames == 1 ? "" : " with its frame")
        let frame = Self.frame(last, of: page, plan)
        try region.addToRefcount(of: frame, Self.delta)
        let shown: [HugePageIndex: Int]
        do {
            shown = try Self.changed(region)
        } catch {
            try region.addToRefcount(of: frame, -Self.delta)
            throw error
        }
        try region.addToRefcount(of: frame, -Self.delta)
        pages = shown[page] ?? 0
        pagesElsewhere = shown.values.reduce(0, +) - pages
        changedPages = try Self.changed(region).values.reduce(0, +)
    }

    private static func frame(_ vmemmapPage: Int, of page: HugePageIndex, _ plan: MappingPlan) -> PageFrameNumber {
        plan.geometry.headFrame(of: page)
            .advanced(by: vmemmapPage * plan.geometry.structPagesPerVmemmapPage + place)
    }

    /// In how many vmemmap pages of a huge page the refcount is not a tail's, which is 0; of none where it is nowhere.
    private static func changed(_ region: VmemmapRegion) throws(VmemmapError) -> [HugePageIndex: Int] {
        var found: [HugePageIndex: Int] = [:]
        for page in region.layout.allHugePages {
            for vmemmapPage in 0..<region.plan.geometry.vmemmapPagesPerHugePage.rawValue
            where try region.refcount(of: frame(vmemmapPage, of: page, region.plan)) != 0 {
                found[page, default: 0] += 1
            }
        }
        return found
    }

    /// What is checked of it.
    var check: Check {
        Check(
            "store_shows_in_every_tail", "a store through one tail shows in \(allTails)",
            [
                .equal("vmemmap_pages_seen_in", expectedPages, pages),
                .equal("vmemmap_pages_seen_elsewhere", 0, pagesElsewhere),
                .equal("vmemmap_pages_left_changed", 0, changedPages),
            ],
            method: "a refcount changed through a huge page's last vmemmap page, and changed back: every vmemmap page "
                + "of its frame has it, and neither the first nor another huge page's")
    }

    /// What it means, in sentences without their full stops.
    static let notes = [
        "Nobody may keep anything of a tail's own there: a device's tails are writable, and what is stored through one "
            + "shows in all",
        "HugeTLB's tails are read-only, and the same store would fault",
    ]
}
