import HostMemory
import VmemmapEmulator

/// What the scheme says of a region's figures, beside what an outsider measured.
enum InspectChecks {
    static func all(
        _ plan: MappingPlan, _ view: RegionView, _ figures: InspectResult.Figures, guardPages: Int
    ) -> [Check] {
        // Of huge pages that are out of the scheme it says nothing.
        let isJudged = view.pages.neither == .zero
        let frames = isJudged ? frames(plan, view).rawValue : nil
        let file = plan.fileFrames(optimized: view.pages.optimized).bytes(pageSize: plan.geometry.basePageSize)
        // Private memory that was restored has more mappings than such as never was optimized.
        let mappings =
            plan.backing == .anonymous && view.pages.unoptimized > .zero ? Check.Figure.atMost : Check.Figure.equal
        let reason = isJudged ? "" : "; the scheme says nothing of huge pages out of it"
        return [
            Check(
                "huge_pages_in_scheme", "every huge page shares as the scheme has it, or not at all",
                [.equal("huge_pages_out_of_scheme", 0, view.pages.neither.rawValue)], method: "pagemap and maps"),
            Check(
                "pages_mapped_as_their_state", "every vmemmap page is mapped as its huge page's state says",
                [.equal("pages_mapped_otherwise", 0, view.mappedOtherwise.rawValue)],
                method: view.firstDifference ?? "protection, file and offset in maps"),
            Check(
                "guard_pages", "an inaccessible page stands on each side of the region",
                [.equal("guard_pages", 2, guardPages)], method: "maps"),
            Check(
                "zero_pages", "no vmemmap page shows the kernel's page of zeroes",
                [.equal("zero_pages", 0, view.zeroPages?.rawValue)],
                method: "PAGEMAP_SCAN, which Linux 6.7 brought"),
            Check(
                "distinct_frames", "the region has the frames that the scheme says",
                [.equal("distinct_frames", frames, figures.distinctFrames.rawValue)], method: "pagemap" + reason),
            Check(
                "region_mappings", "the region has the mappings that the scheme says",
                [mappings("region_mappings", isJudged ? view.mappings.rawValue : nil, figures.regionMappings.rawValue)],
                method: "lines of maps" + reason),
            Check(
                "memory_file", "the memory file holds what the scheme says",
                [.equal("memfd_bytes", isJudged ? file.rawValue : nil, figures.memfdBytes.value?.rawValue)],
                method: "st_blocks by way of fd, where the file has to be found" + reason),
        ]
    }

    /// The frames behind the region: each optimized huge page has given some, and each zone with one shows its
    /// templates.
    private static func frames(_ plan: MappingPlan, _ view: RegionView) -> PageCount {
        let zones = view.optimizedInZone.count { $0 > 0 }
        return plan.hostFrames(
            plan.framesPopulated - PageCount(plan.freedPages.count) * view.pages.optimized.rawValue
                + plan.templatesPerZone * zones)
    }
}
